import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { adminGet, startEnvoy } from '../../src/envoy/run-envoy.ts';
import { type SidecarBootstrap, sidecarBootstrap } from '../../src/envoy/sidecar-bootstrap.ts';
import { type CheckServer, post, postHttp2, startCheckServer, startUpstream } from './loopback.ts';
import { temporaryDirectory } from './scene.ts';

interface Sidecar extends AsyncDisposable {
  port: number;
  adminSocket: string;
  sign: CheckServer;
}

async function startSidecar(gateway: SidecarBootstrap['gateway']): Promise<Sidecar> {
  const stack = new AsyncDisposableStack();
  const { path: directory } = stack.use(temporaryDirectory());
  const sign = stack.use(await startCheckServer(`unix:${directory}/sign.sock`));
  const bootstrap = sidecarBootstrap({
    listen: { address: '127.0.0.1', port: 0 },
    maxRequestBytes: 100_000,
    authorizationService: { unixSocket: `${directory}/sign.sock` },
    admin: { unixSocket: `${directory}/admin.sock` },
    timeoutMillis: 2000,
    gateway,
  });
  const envoy = await startEnvoy({ bootstrap, directory: join(directory, 'run'), concurrency: 1 });
  stack.defer(envoy.stop);
  return {
    port: envoy.ports.sidecar ?? 0,
    adminSocket: `${directory}/admin.sock`,
    sign,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('the sidecar', { timeout: 120_000 }, () => {
  test('sends the path and the body as they were signed, with what the service set and without the local secret', async () => {
    await using gateway = await startUpstream();
    await using sidecar = await startSidecar({ url: gateway.url, authority: 'gateway.example' });
    const capability = 'c'.repeat(24 * 1024);
    Object.assign(sidecar.sign.headers, { 'agent-capability': capability, 'signature-input': 'cap=()', signature: 'cap=:AA==:' });
    const answer = await post(sidecar.port, {
      path: '/openai/v1/a%20b//c?q=%2F&r',
      host: `127.0.0.1:${sidecar.port}`,
      headers: {
        authorization: 'Bearer local-secret',
        'idempotency-key': 'one',
        'x-stainless-lang': 'js',
        'content-type': 'application/json',
      },
      body: '{"a":1}',
    });
    expect(answer.status).toBe(200);
    const [signed] = sidecar.sign.checks;
    expect(signed).toMatchObject({ path: '/openai/v1/a%20b/c?q=%2F&r', bodyBytes: 7 });
    expect(new Map(signed?.headers).get('authorization')).toBe('Bearer local-secret');
    expect(gateway.received).toEqual([
      {
        method: 'POST',
        path: signed?.path,
        bodyBytes: 7,
        httpVersion: '1.1',
        trailers: {},
        headers: {
          host: 'gateway.example',
          'idempotency-key': 'one',
          'x-stainless-lang': 'js',
          'content-type': 'application/json',
          'content-length': '7',
          'agent-capability': capability,
          'signature-input': 'cap=()',
          signature: 'cap=:AA==:',
        },
      },
    ]);
  });

  test('answers to loopback names only, on any port: a web page’s own host reaches nothing', async () => {
    await using gateway = await startUpstream();
    await using sidecar = await startSidecar({ url: gateway.url });
    for (const host of ['localhost', 'LOCALHOST:1234', '127.0.0.1', `[::1]:${sidecar.port}`]) {
      expect(await post(sidecar.port, { path: '/x', host })).toMatchObject({ status: 200 });
    }
    expect(await post(sidecar.port, { path: '/x', host: `rebound.example:${sidecar.port}` })).toMatchObject({ status: 404 });
    expect(gateway.received).toHaveLength(4);
  });

  test('a body past the limit is 413 and never sent', async () => {
    await using gateway = await startUpstream();
    await using sidecar = await startSidecar({ url: gateway.url });
    const call = (bytes: number) => ({ path: '/x', host: 'localhost', body: Buffer.alloc(bytes, 97) });
    expect((await post(sidecar.port, call(100_000))).status).toBe(200);
    expect((await post(sidecar.port, call(100_001))).status).toBe(413);
    expect(await postHttp2(sidecar.port, call(100_001))).toBe(413);
    expect(gateway.received.map((request) => request.bodyBytes)).toEqual([100_000]);
  });

  test('repeats a failed connection twice, large body included, with the one signature it has', async () => {
    await using gateway = await startUpstream();
    await gateway[Symbol.asyncDispose](); // its port is now one where nobody listens
    await using sidecar = await startSidecar({ url: gateway.url });
    const call = { path: '/x', host: 'localhost', body: Buffer.alloc(100_000, 97) };
    expect(await post(sidecar.port, call)).toMatchObject({ status: 503 });
    expect(sidecar.sign.checks).toHaveLength(1);
    const { body } = await adminGet(sidecar.adminSocket, '/stats?filter=^cluster.gateway.upstream_rq_retry$');
    expect(body.trim()).toBe('cluster.gateway.upstream_rq_retry: 2');
  });
});

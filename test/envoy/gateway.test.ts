import { readFileSync } from 'node:fs';
import { ServerCredentials } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { adminGet } from '../../src/envoy/run-envoy.ts';
import { makeCertificates } from './certificates.ts';
import { post, postHttp2, sendRaw, startCheckServer, startUpstream } from './loopback.ts';
import { startScene, temporaryDirectory } from './scene.ts';

const slow = { timeout: 120_000 };

const privateOnes = {
  authorization: 'Bearer of-the-agent',
  'x-api-key': 'of-the-agent',
  'api-key': 'of-the-agent',
  cookie: 'session=1',
  via: '1.1 proxy',
  forwarded: 'for=10.0.0.1',
  'x-forwarded-for': '10.0.0.1',
  'x-forwarded-host': 'inside.example',
  'x-real-ip': '10.0.0.1',
  'x-request-id': 'mine',
  'agent-capability': '"root"',
  'agent-attestation': '"result"',
  'x-agent-id': 'did:key:z6Mk',
  'signature-input': 'cap=()',
  signature: 'cap=:AA==:',
  'content-digest': 'sha-256=:AA==:',
  'x-envoy-auth-partial-body': 'false',
  'x-envoy-auth-failure-mode-allowed': 'true',
  'x-envoy-peer-metadata': 'aa',
  'x-envoy-retry-on': '5xx',
  'x-envoy-expected-rq-timeout-ms': '5',
  'x-envoy-upstream-rq-timeout-ms': '5',
  'x-envoy-original-path': '/other',
};

describe('what the provider receives', slow, () => {
  test('its own host, its base path, its key and the call: nothing of the agent, of Envoy or of us', async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: new URL('/base', upstream.url) });
    const answer = await post(scene.port, {
      path: '/local/v1/chat?x=1',
      headers: { ...privateOnes, 'x-stainless-lang': 'js' },
      body: '{"a":1}',
    });
    expect(answer.status).toBe(200);
    expect(upstream.received).toEqual([
      {
        method: 'POST',
        path: '/base/v1/chat?x=1',
        bodyBytes: 7,
        httpVersion: '1.1',
        trailers: {},
        headers: {
          host: upstream.url.host,
          authorization: 'Bearer sk-environment',
          'x-stainless-lang': 'js',
          'content-length': '7',
        },
      },
    ]);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-envoy'))).toEqual([]);
    expect(answer.headers).not.toHaveProperty('alt-svc');
    expect(answer.headers.server).toBe('upstream');
  });

  test('the Check sees the call before that, without what a client claims to be from an Envoy', async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url });
    await post(scene.port, { path: '/local/../local//a/%41?b', headers: privateOnes, body: '{"a":1}' });
    const [check] = scene.check.checks;
    expect(check).toMatchObject({ path: '/local/a/A?b', host: 'gateway.example', bodyBytes: 7 });
    const headers = new Map(check?.headers);
    expect(headers.get('agent-capability')).toBe('"root"');
    expect(headers.get(':scheme')).toBe('https');
    expect([...headers.keys()].filter((name) => name.startsWith('x-envoy-')).sort()).toEqual([
      'x-envoy-auth-partial-body',
      'x-envoy-external-address',
    ]);
  });

  test('a header of 24 KiB, the largest Agent-Capability, passes to the Check', async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url });
    const capability = 'c'.repeat(24 * 1024);
    expect(await post(scene.port, { path: '/local/x', headers: { 'agent-capability': capability } })).toMatchObject({
      status: 200,
    });
    expect(await postHttp2(scene.port, { path: '/local/x', headers: { 'agent-capability': capability } })).toBe(200);
    for (const check of scene.check.checks) expect(new Map(check.headers).get('agent-capability')).toHaveLength(24 * 1024);
  });
});

describe('nothing passes without a Check', slow, () => {
  test('unknown paths and hosts are checked, then not found', async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url });
    const calls = [
      { path: '/other' },
      { path: '/local' },
      { path: '/local/x', host: 'evil.example' },
      { path: '/local/x', host: 'gateway.example:8443' },
    ];
    for (const call of calls) {
      const answer = await post(scene.port, call);
      expect(answer).toMatchObject({ status: 404, headers: { 'content-type': 'application/problem+json' } });
    }
    expect(scene.check.checks.map(({ path, host }) => ({ path, host }))).toEqual(
      calls.map((call) => ({ host: 'gateway.example', ...call })),
    );
    scene.check.code = 7;
    for (const call of [...calls, { path: '/local/x' }])
      expect(await post(scene.port, call)).toMatchObject({ status: 403, body: 'denied' });
    expect(upstream.received).toEqual([]);
  });

  test.each([
    ['an escaped slash', { path: '/local/%2fx' }],
    ['an escaped backslash', { path: '/local/%5cx' }],
    ['an underscore in a header name', { path: '/local/x', headers: { x_agent_id: '1' } }],
  ])('%s is refused before', async (_what, call) => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url });
    expect(await post(scene.port, call)).toMatchObject({ status: 400 });
    expect(scene.check.checks).toEqual([]);
    expect(upstream.received).toEqual([]);
  });

  test.each([
    [
      'a WebSocket upgrade',
      'GET /local/x HTTP/1.1\r\nHost: gateway.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      403,
    ],
    ['CONNECT', 'CONNECT gateway.example:443 HTTP/1.1\r\nHost: gateway.example:443\r\n\r\n', 404],
    ['HTTP/1.0', 'GET /local/x HTTP/1.0\r\nHost: gateway.example\r\n\r\n', 426],
    ['a fragment', 'GET /local/x#f HTTP/1.1\r\nHost: gateway.example\r\n\r\n', 400],
    [
      'two framings',
      'POST /local/x HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
  ])('%s is refused before', async (_what, text, status) => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url });
    expect(await sendRaw(scene.port, text)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(scene.check.checks).toEqual([]);
    expect(upstream.received).toEqual([]);
  });

  test('the host of an absolute URI is the one that is checked, and trailers are not forwarded', async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url });
    await sendRaw(scene.port, 'GET http://evil.example/local/x HTTP/1.1\r\nHost: gateway.example\r\n\r\n');
    expect(scene.check.checks.map((check) => check.host)).toEqual(['evil.example']);
    expect(upstream.received).toEqual([]);
    const chunked = 'Host: gateway.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nagent-capability: x\r\n\r\n';
    await sendRaw(scene.port, `POST /local/x HTTP/1.1\r\n${chunked}`);
    expect(upstream.received).toMatchObject([{ bodyBytes: 1, trailers: {} }]);
  });

  test('without a service the answer is 503', async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url });
    await scene.check[Symbol.asyncDispose]();
    expect(await post(scene.port, { path: '/local/x' })).toMatchObject({ status: 503 });
    expect(upstream.received).toEqual([]);
  });

  test('a provider that cannot be reached is tried once: one Check stands for one attempt', async () => {
    await using upstream = await startUpstream();
    await upstream[Symbol.asyncDispose](); // its port is now one where nobody listens
    await using scene = await startScene({ upstream: upstream.url });
    const headers = { 'x-envoy-retry-on': 'connect-failure', 'x-envoy-max-retries': '3' };
    expect(await post(scene.port, { path: '/local/x', headers })).toMatchObject({ status: 503 });
    const { body } = await adminGet(
      `${scene.directory}/admin.sock`,
      '/stats?filter=^cluster.provider_local.upstream_(cx_total|rq_retry)$',
    );
    expect(body.trim().split('\n')).toEqual([
      'cluster.provider_local.upstream_cx_total: 1',
      'cluster.provider_local.upstream_rq_retry: 0',
    ]);
  });

  test('a service behind mutual TLS is believed only under its name', async () => {
    using directory = temporaryDirectory();
    const { server, client, trustedCaFile } = await makeCertificates(directory.path);
    const pair = { cert_chain: readFileSync(server.certificateFile), private_key: readFileSync(server.keyFile) };
    const credentials = ServerCredentials.createSsl(readFileSync(trustedCaFile), [pair], true);
    await using check = await startCheckServer('127.0.0.1:0', credentials);
    await using upstream = await startUpstream();
    const named = (serverNames: string[]) => ({
      authorizationService: { address: '127.0.0.1', port: check.port, tls: { ...client, trustedCaFile, serverNames } },
    });
    await using trusting = await startScene({ upstream: upstream.url, gateway: named(['service.test']) });
    expect(await post(trusting.port, { path: '/local/x' })).toMatchObject({ status: 200 });
    expect(check.checks).toHaveLength(1);
    await using wary = await startScene({ upstream: upstream.url, gateway: named(['other.test']) });
    expect(await post(wary.port, { path: '/local/x' })).toMatchObject({ status: 503 });
    expect(check.checks).toHaveLength(1);
    expect(upstream.received).toHaveLength(1);
  });
});

describe('the body is checked whole or not forwarded', slow, () => {
  // 2 MiB is beyond Envoy's default buffer of 1 MiB.
  test.each([1000, 100_000, 2 * 1024 * 1024])('N = %i: N passes and N + 1 is 413, whatever the framing', async (limit) => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url, gateway: { maxRequestBytes: limit } });
    const call = (bytes: number, headers: Record<string, string> = {}) => ({
      path: '/local/x',
      body: Buffer.alloc(bytes, 97),
      headers,
    });
    const chunked = { 'transfer-encoding': 'chunked' };
    expect((await post(scene.port, call(limit))).status).toBe(200);
    expect((await post(scene.port, call(limit, chunked))).status).toBe(200);
    expect(await postHttp2(scene.port, call(limit))).toBe(200);
    expect(await postHttp2(scene.port, call(limit, { 'content-length': String(limit) }))).toBe(200);
    expect(scene.check.checks.map((check) => check.bodyBytes)).toEqual([limit, limit, limit, limit]);
    expect(upstream.received.map((request) => request.bodyBytes)).toEqual([limit, limit, limit, limit]);

    for (const bytes of [limit + 1, limit + 500, limit + 16_383, limit + 16_384, limit * 2]) {
      expect((await post(scene.port, call(bytes))).status).toBe(413);
      expect((await post(scene.port, call(bytes, chunked))).status).toBe(413);
      expect(await postHttp2(scene.port, call(bytes))).toBe(413);
      expect(await postHttp2(scene.port, call(bytes, { 'content-length': String(bytes) }))).toBe(413);
    }
    expect(upstream.received).toHaveLength(4);
  });

  test('what Envoy refuses by itself is a problem document that SDKs can read, and a denial of the service stays as it is', async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url, gateway: { maxRequestBytes: 1000 } });
    for (const [call, status, code] of [
      [{ path: '/local/x', body: Buffer.alloc(1001, 97) }, 413, 'content-too-large'],
      [{ path: '/local/%2f' }, 400, 'bad-request'],
      [{ path: '/local/x', headers: { x_agent_id: 'a' } }, 400, 'bad-request'],
    ] as const) {
      const answer = await post(scene.port, call);
      expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/problem+json']);
      expect(JSON.parse(answer.body)).toMatchObject({
        type: 'about:blank',
        status,
        error: { code, type: 'invalid_request_error' },
      });
    }
    expect(scene.check.checks).toEqual([]);
  });

  test('pinned version: Envoy 1.40 asks for a partial body over HTTP/2, which is why the backstop is there', async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url, gateway: { maxRequestBytes: 1000 } });
    expect(await postHttp2(scene.port, { path: '/local/x', body: Buffer.alloc(1001, 97) })).toBe(413);
    const [check] = scene.check.checks;
    expect(check?.bodyBytes).toBe(1000);
    expect(new Map(check?.headers).get('x-envoy-auth-partial-body')).toBe('true');
    expect(upstream.received).toEqual([]);
  });
});

describe('an https provider', slow, () => {
  test('is spoken to in HTTP/2 after its name was verified, and a DNS name resolves', async () => {
    using directory = temporaryDirectory();
    const { server, trustedCaFile } = await makeCertificates(directory.path);
    await using upstream = await startUpstream({ tls: server });
    const url = new URL(`https://localhost:${upstream.url.port}`);
    await using scene = await startScene({ upstream: url, provider: { trustedCaFile } });
    expect(await post(scene.port, { path: '/local/x' })).toMatchObject({ status: 200 });
    expect(upstream.received).toMatchObject([
      { httpVersion: '2.0', path: '/x', headers: { authorization: 'Bearer sk-environment' } },
    ]);
  });

  test('is verified by its address where the URL has one', async () => {
    using directory = temporaryDirectory();
    const { server, trustedCaFile } = await makeCertificates(directory.path);
    await using upstream = await startUpstream({ tls: server });
    await using scene = await startScene({ upstream: upstream.url, provider: { trustedCaFile } });
    expect(await post(scene.port, { path: '/local/x' })).toMatchObject({ status: 200 });
  });

  test('gets nothing when its certificate is for another name', async () => {
    using directory = temporaryDirectory();
    const { client, trustedCaFile } = await makeCertificates(directory.path);
    await using upstream = await startUpstream({ tls: client });
    await using scene = await startScene({ upstream: upstream.url, provider: { trustedCaFile } });
    expect(await post(scene.port, { path: '/local/x' })).toMatchObject({ status: 503 });
    expect(upstream.received).toEqual([]);
  });

  test('gets nothing when its certificate is from an authority that is not trusted', async () => {
    using directory = temporaryDirectory();
    const { server } = await makeCertificates(directory.path);
    await using upstream = await startUpstream({ tls: server });
    await using scene = await startScene({ upstream: upstream.url });
    expect(await post(scene.port, { path: '/local/x' })).toMatchObject({ status: 503 });
    expect(upstream.received).toEqual([]);
  });
});

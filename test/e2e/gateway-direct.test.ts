/**
 * The gateway without a sidecar in front: an agent that signs by itself, HTTP/2, TLS on both sides of Envoy, and who may dial the
 * service (threat H1).
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { connect, type OutgoingHttpHeaders } from 'node:http2';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { credentials } from '@grpc/grpc-js';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { GATEWAY_NAME, hermesbridge, PROVIDER_KEY, startWorld, type World } from '../../examples/quickstart/local-world.ts';
import { type Certificates, makeCertificates } from '../envoy/certificates.ts';
import { authorizationClient } from './authorization-client.ts';
import { startProgram } from './program.ts';
import { chatSigner, type SignedRequest, send } from './signed-request.ts';
import { expectOnlyTheProvidersOwn, expectStreamed, readStream } from './streamed.ts';

const CHAT = { model: 'gpt-5-mini', messages: [{ role: 'user' as const, content: 'Hello' }] };

let directory: string;
let certificates: Certificates;
let strangers: Certificates;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hb-tls-'));
  certificates = await makeCertificates(directory);
  strangers = await makeCertificates(mkdtempSync(join(directory, 'strangers-')));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Sends requests on one HTTP/2 connection, all at once. */
async function sendOverHttp2(requests: readonly SignedRequest[], options: { ca?: Buffer } = {}) {
  const session = connect(requests[0]?.url.origin ?? '', options);
  try {
    return await Promise.all(
      requests.map(async ({ url, headers, body }) => {
        const fields: OutgoingHttpHeaders = { ':method': 'POST', ':path': url.pathname, ...Object.fromEntries(headers) };
        const stream = session.request(fields);
        stream.end(body);
        const [answered] = await new Promise<[Record<string, unknown>]>((resolve, reject) => {
          stream.once('response', (...seen) => resolve(seen as unknown as [Record<string, unknown>]));
          stream.once('error', reject);
        });
        return { status: answered[':status'], text: await text(stream) };
      }),
    );
  } finally {
    session.close();
  }
}

describe('an agent without a sidecar', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ sidecar: false });
  });
  afterAll(() => world?.stop());

  it('sends what `hermesbridge sign` printed; once, and not again', async () => {
    const url = `${world.gatewayUrl}/openai/v1/chat/completions`;
    const body = JSON.stringify(CHAT);
    const keys = ['--key', world.files.agentKey, '--capability', world.files.capability];
    const { method, headers } = await hermesbridge('sign', ...keys, '--url', url, '--data', body);
    const call = () => fetch(url, { method: String(method), headers: headers as [string, string][], body });
    const first = await call();
    expect([first.status, await first.text()]).toEqual([200, expect.stringContaining(world.standIn.text)]);
    expect(world.records(1)).toMatchObject([{ effect: 'allow', agents: [world.agentDid], model: 'openai/gpt-5-mini' }]);
    const secrets = [world.agentDid, world.operatorDid];
    expectOnlyTheProvidersOwn(world.standIn.requests[0], ['authorization', `Bearer ${PROVIDER_KEY}`], secrets);
    const second = await call();
    expect([second.status, await second.json()]).toEqual([
      401,
      expect.objectContaining({ title: 'The request was seen before' }),
    ]);
    expect(world.standIn.requests).toHaveLength(1);
  });

  it('speaks HTTP/2 in clear text by prior knowledge, many requests on one connection, each judged by itself', async () => {
    const sign = await chatSigner(world);
    const good = Array.from({ length: 5 }, (_, at) => sign(`over HTTP/2, ${at}`));
    const other = sign('another model', { model: 'o3-pro' });
    const answers = await sendOverHttp2([...good, other]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 403]);
    const again = await sendOverHttp2(good);
    expect(again.map(({ status, text }) => [status, JSON.parse(text).error.code])).toEqual(
      Array(5).fill([401, 'nonce-replayed']),
    );
    expect(world.records(11).filter(({ effect }) => effect === 'allow')).toHaveLength(5);
  });

  it('takes a replay over HTTP/2 of what was sent over HTTP/1 for what it is', async () => {
    const signed = (await chatSigner(world))('first over HTTP/1');
    expect(await send(signed)).toEqual({ status: 200 });
    expect(await sendOverHttp2([signed])).toMatchObject([{ status: 401 }]);
  });
});

describe('a gateway with TLS', () => {
  let world: World;
  let ca: Buffer;
  beforeAll(async () => {
    const port = await freePort();
    const tls = { certificate: certificates.server.certificateFile, key: certificates.server.keyFile };
    world = await startWorld({
      sidecar: false,
      verify: {
        gateway: { names: [GATEWAY_NAME], authorities: [`127.0.0.1:${port}`] },
        envoy: { listen: `127.0.0.1:${port}`, concurrency: 1, tls },
      },
    });
    ca = readFileSync(certificates.trustedCaFile);
  });
  afterAll(() => world?.stop());

  it('serves HTTP/1.1 and HTTP/2 to an agent that trusts its CA', async () => {
    expect(world.gatewayUrl).toMatch(/^https:/);
    const sign = await chatSigner(world);
    const { url, headers, body } = sign('over HTTP/1.1');
    const status = await new Promise((resolve, reject) => {
      const fields = Object.fromEntries(headers);
      const sent = request(url, { method: 'POST', ca, headers: fields, agent: false }, (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode));
      });
      sent.once('error', reject).end(body);
    });
    expect(status).toBe(200);
    expect(await sendOverHttp2([sign('over HTTP/2')], { ca })).toMatchObject([{ status: 200 }]);
  });

  const startSidecar = async (name: string, settings: object) => {
    const secret = join(world.directory, 'local.secret');
    const sign = {
      service: { listen: `unix:run/${name}.sock` },
      key: { file: world.files.agentKey },
      capability: { file: world.files.capability },
      localSecret: { file: secret },
      gateway: world.gatewayUrl,
      envoy: { listen: '127.0.0.1:0', concurrency: 1, directory: `run/${name}` },
      ...settings,
    };
    const file = join(world.directory, `${name}.yaml`);
    await writeFile(file, stringify({ sign }));
    const sidecar = await startProgram('up', file);
    const openai = new OpenAI({
      apiKey: world.localSecret,
      baseURL: `${sidecar.said.urls?.sign}/openai/v1`,
      maxRetries: 0,
    });
    return { sidecar, openai };
  };

  it('is reached by a sidecar with gatewayCa, streaming', async () => {
    const { sidecar, openai } = await startSidecar('trusting', { gatewayCa: certificates.trustedCaFile });
    try {
      const stream = await openai.chat.completions.create({ ...CHAT, stream: true });
      expectStreamed(await readStream(stream, (chunk) => chunk.choices[0]?.delta.content), world.standIn.text);
    } finally {
      await sidecar.stop();
    }
  });

  it('is not spoken to by a sidecar that does not trust its CA', async () => {
    const before = world.records(1000).length;
    const { sidecar, openai } = await startSidecar('strict', { gatewayCa: strangers.trustedCaFile });
    try {
      await expect(openai.chat.completions.create(CHAT)).rejects.toMatchObject({ status: 503 });
      expect(world.records(1000)).toHaveLength(before);
    } finally {
      await sidecar.stop();
    }
  });
});

describe('a service on TCP with mutual TLS', () => {
  let world: World;
  let address: string;
  beforeAll(async () => {
    address = `127.0.0.1:${await freePort()}`;
    const tls = {
      certificate: certificates.server.certificateFile,
      key: certificates.server.keyFile,
      clientCa: certificates.trustedCaFile,
      clientNames: ['spiffe://cluster.test/envoy'],
      envoyCertificate: certificates.client.certificateFile,
      envoyKey: certificates.client.keyFile,
    };
    world = await startWorld({ sidecar: false, verify: { service: { listen: address, tls } } });
  });
  afterAll(() => world?.stop());

  it('is asked by its Envoy', async () => {
    const sign = await chatSigner(world);
    expect(await send(sign('over mutual TLS'))).toEqual({ status: 200 });
    expect(await send(sign('another model', { model: 'o3-pro' }))).toEqual({ status: 403, reason: 'capability-insufficient' });
  });

  const dial = async (channel = credentials.createInsecure()) => {
    const client = authorizationClient(address, channel);
    try {
      return await client.check();
    } finally {
      client.close();
    }
  };
  const withCertificate = (of?: { certificateFile: string; keyFile: string }) =>
    credentials.createSsl(
      readFileSync(certificates.trustedCaFile),
      of ? readFileSync(of.keyFile) : null,
      of ? readFileSync(of.certificateFile) : null,
    );
  const unavailable = { code: 14 };

  it('answers a peer with the name of its Envoy', async () => {
    const reply = await dial(withCertificate(certificates.client));
    expect(reply.status.code).toBe(7);
    // What was asked is not a request, and it says so: the question was heard.
    expect(JSON.parse(reply.denied_response?.body ?? '{}')).toMatchObject({ status: 400, error: { code: 'malformed' } });
  });

  it.each([
    ['in clear text', () => credentials.createInsecure()],
    ['without a certificate', () => withCertificate()],
    ['with a certificate of another CA', () => withCertificate(strangers.client)],
  ])('hangs up on a peer %s', async (_how, channel) => {
    const before = world.records(1000).length;
    await expect(dial(channel())).rejects.toMatchObject(unavailable);
    expect(world.records(1000)).toHaveLength(before);
  });

  it('denies whatever a peer with a certificate of another name asks', async () => {
    const before = world.records(1000).length;
    const reply = await dial(withCertificate(certificates.server));
    expect(reply.status.code).toBe(7);
    expect(JSON.parse(reply.denied_response?.body ?? '{}')).toMatchObject({ status: 503, error: { code: 'indeterminate' } });
    expect(world.records(1000)).toHaveLength(before);
  });
});

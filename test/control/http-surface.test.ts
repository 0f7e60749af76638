// HTTP itself: paths, methods, sizes, media types, pages, conditional reads. Whatever goes wrong is told as problem+json.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates } from '../envoy/certificates.ts';
import { fresh, Operator } from './operator.ts';
import { startVault, startWith, type World } from './vault-world.ts';

const acme = new Operator('acme');
const other = new Operator('other');
let world: World;

beforeAll(async () => {
  world = await startWith(acme, other);
});
afterAll(() => world.stop());

/** Bytes as they are, over a connection of their own. */
async function raw(text: string): Promise<string> {
  const [host, port] = world.address.split(':');
  const socket = connect(Number(port), host);
  socket.end(text);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

describe('what is asked for', () => {
  test.each([
    ['POST', '/v1/nothing', 404, 'not-found'],
    ['GET', '/', 404, 'not-found'],
    ['GET', '/v1/agents/', 404, 'not-found'],
    ['GET', '/operators/nobody/did.jsonl', 404, 'not-found'],
    ['GET', '/operators/acme/did-witness.json', 404, 'not-found'],
    ['GET', '/operators/..%2facme/did.jsonl', 400, 'bad-parameter'],
    ['GET', '/operators/ACME/did.jsonl', 400, 'bad-parameter'],
    ['GET', '/v1/agents/did%0d%0aX:y', 400, 'bad-parameter'],
    ['GET', '/v1/agents/%ff', 400, 'malformed-request'],
    ['GET', '/v1/agents/acme', 400, 'bad-parameter'],
    ['GET', '/v1/agents?limit=0', 400, 'bad-parameter'],
    ['GET', '/v1/agents?limit=201', 400, 'bad-parameter'],
    ['GET', '/v1/agents?limit=1&limit=2', 400, 'bad-parameter'],
    ['GET', '/v1/agents?colour=red', 400, 'bad-parameter'],
    ['GET', '/v1/agents?operator=acme', 400, 'bad-parameter'],
    ['GET', '/v1/agents?cursor=x', 400, 'bad-parameter'],
    ['GET', '/v1/changes?after=-1', 400, 'bad-parameter'],
    ['GET', '/v1/changes?wait=26', 400, 'bad-parameter'],
    ['DELETE', '/v1/agents', 405, 'method-not-allowed'],
    ['PUT', '/operators/acme/did.jsonl', 405, 'method-not-allowed'],
    ['POST', '/v1/changes', 405, 'method-not-allowed'],
    ['OPTIONS', '/v1/agents', 405, 'method-not-allowed'],
  ])('%s %s is answered with %i', async (method, path, status, code) => {
    const { status: answered, body, headers } = await world.ask({ method, path });
    expect([answered, body.type]).toEqual([status, `urn:hermesbridge:control:${code}`]);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(headers['x-powered-by'] ?? headers.server).toBeUndefined();
    if (status === 405) expect(headers.allow).toMatch(/GET|POST/);
  });

  test('names the parameter that is wrong, and nothing else of it', async () => {
    const { body } = await world.ask('/v1/agents?limit=many&%0d%0aevil%1b=1');
    expect(body.errors.map(({ field }: { field: string }) => field).sort()).toEqual(['??evil?', 'limit']);
  });

  test('HEAD says what GET would, without the content', async () => {
    const [head, get] = [
      await world.ask({ method: 'HEAD', path: '/operators/acme/did.jsonl' }),
      await world.ask('/operators/acme/did.jsonl'),
    ];
    expect([head.status, head.text]).toEqual([200, '']);
    for (const name of ['etag', 'content-type', 'content-length', 'cache-control'])
      expect(head.headers[name]).toBe(get.headers[name]);
    expect((await world.ask({ method: 'HEAD', path: '/v1/agents' })).status).toBe(200);
  });

  test('the vault says that it serves', async () => {
    expect((await world.ask('/v1/health')).body).toEqual({ status: 'serving' });
  });
});

describe('a body', () => {
  const post = (body: string, type: string) =>
    world.ask({ method: 'POST', path: '/v1/agents', body, headers: { 'content-type': type } });

  test('has at most 64 KiB', async () => {
    const { status, body } = await post(JSON.stringify({ entry: 'a'.repeat(65_536) }), 'application/json');
    expect([status, body.type]).toEqual([413, 'urn:hermesbridge:control:content-too-large']);
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/cbor', 'x', ''])(
    'of %j is refused',
    async (type) => {
      const { status, body } = await post('{}', type);
      expect([status, body.type]).toEqual([415, 'urn:hermesbridge:control:unsupported-media-type']);
    },
  );

  test('that is missing is refused', async () => {
    const { status, body } = await world.post(acme, '/v1/agents', '');
    expect([status, body.type]).toEqual([400, 'urn:hermesbridge:control:malformed-request']);
  });
});

describe('bytes that are no request', () => {
  test.each([
    ['of no protocol', 'hello\r\n\r\n', 400],
    ['with a header that is too large', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['with two lengths', 'POST /v1/agents HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    [
      'with a length and chunks',
      'POST /v1/agents HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'with a body that breaks off',
      'POST /v1/agents HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
      400,
    ],
    ['with two hosts', 'GET /v1/health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n', 400],
    ['with no host', 'GET /v1/health HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['for another server', 'GET http://other.example/v1/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 400],
  ])('%s are answered with a problem', async (_, text, status) => {
    const answer = await raw(text);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json');
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).status).toBe(status);
    expect(world.logged.join('')).not.toContain('control request failed');
  });
});

describe('a log', () => {
  test('is sent once for each version', async () => {
    const log = acme.agent(fresh('agent'));
    await world.register(acme, log);
    const path = `/${log.location.split(':').slice(1).join('/')}/did.jsonl`;
    const first = await world.ask(path);
    const { versionId } = JSON.parse(log.lines[0] ?? '');
    expect(first.headers.etag).toBe(`"${versionId}"`);
    expect(first.headers['cache-control']).toContain('max-age=0');
    for (const tag of [`"${versionId}"`, `W/"${versionId}"`, `"other", "${versionId}"`, '*']) {
      const same = await world.ask({ path, headers: { 'if-none-match': tag } });
      expect([same.status, same.text, same.headers.etag]).toEqual([304, '', `"${versionId}"`]);
    }
    await world.append(acme, acme.next(log));
    expect((await world.ask({ path, headers: { 'if-none-match': `"${versionId}"` } })).status).toBe(200);
  });
});

describe('pages', () => {
  const made: string[] = [];

  beforeAll(async () => {
    const before = await world.ask('/v1/agents?limit=200');
    made.push(...before.body.items.map(({ did }: { did: string }) => did));
    for (let batch = 0; batch < 26; batch++) {
      const logs = Array.from({ length: 20 }, () => (batch === 25 ? other : acme).agent(fresh('many')));
      for (const { status, body } of await Promise.all(logs.map((log) => world.register(batch === 25 ? other : acme, log)))) {
        expect(status).toBe(201);
        made.push(body.did);
      }
    }
  });

  async function all(query: string): Promise<{ dids: string[]; pages: number }> {
    const dids: string[] = [];
    let pages = 0;
    for (let path: string | undefined = `/v1/agents?${query}`; path !== undefined; pages++) {
      const { status, body } = await world.ask(path);
      expect(status).toBe(200);
      dids.push(...body.items.map(({ did }: { did: string }) => did));
      path = body.next === undefined ? undefined : `/v1/agents?${query}&cursor=${body.next}`;
    }
    return { dids, pages };
  }

  test('show each of more than 500 agents once', async () => {
    const { dids, pages } = await all('limit=100');
    expect(pages).toBe(Math.ceil(made.length / 100));
    expect(new Set(dids)).toEqual(new Set(made));
    expect(dids).toHaveLength(made.length);
  });

  test('have 50 items unless asked otherwise', async () => {
    expect((await world.ask('/v1/agents')).body.items).toHaveLength(50);
  });

  test('show those of one operator', async () => {
    const { dids } = await all(`limit=7&operator=${encodeURIComponent(other.did)}`);
    expect(new Set(dids)).toEqual(new Set(made.slice(-20)));
    expect((await world.ask(`/v1/agents?operator=did:web:nobody.example`)).body).toEqual({ items: [] });
  });

  test('do not take the cursor of another list, nor one that was made up', async () => {
    const { next } = (await world.ask('/v1/agents?limit=1')).body;
    const cursor = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url');
    for (const path of [
      `/v1/operators?cursor=${next}`,
      `/v1/agents?operator=${encodeURIComponent(acme.did)}&cursor=${next}`,
      `/v1/agents?cursor=${cursor('agents ', 'x; DROP TABLE')}`,
      `/v1/agents?cursor=${cursor('agents ', '-1')}`,
      `/v1/agents?cursor=${cursor('agents ', 7)}`,
      `/v1/agents/${encodeURIComponent(made[0] ?? '')}/versions?cursor=${next}`,
    ]) {
      expect((await world.ask(path)).status).toBe(400);
    }
  });

  test('of versions are pages too', async () => {
    let log = acme.agent(fresh('long'));
    await world.register(acme, log);
    for (let version = 2; version <= 5; version++) {
      log = acme.next(log);
      await world.append(acme, log);
    }
    const path = `/v1/agents/${encodeURIComponent(log.did)}/versions?limit=2`;
    const found: string[] = [];
    for (let next: string | undefined = path; next !== undefined; ) {
      const { body } = await world.ask(next);
      found.push(...body.items.map(({ entry }: { entry: string }) => entry));
      next = body.next && `${path}&cursor=${body.next}`;
    }
    expect(found).toEqual(log.lines);
  });
});

test('HTTPS is served with the certificate of the configuration', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hb-control-tls-'));
  const { trustedCaFile, server } = await makeCertificates(directory);
  const tls = { certificate: server.certificateFile, key: server.keyFile, ca: readFileSync(trustedCaFile) };
  const own = await startVault({ operators: [acme], tls });
  try {
    expect((await own.register(acme, acme.log)).status).toBe(201);
    expect((await own.ask('/operators/acme/did.jsonl')).text).toBe(`${acme.log.lines[0]}\n`);
  } finally {
    await own.stop();
    rmSync(directory, { recursive: true });
  }
});

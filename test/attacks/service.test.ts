// H: attacks on the service behind Envoy: what it is sent directly, what fails inside it, and what it gives away.

import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROVIDER_KEY } from '../../examples/quickstart/local-world.ts';
import type { Checks } from '../../src/checks/checks.ts';
import { adminGet } from '../../src/envoy/run-envoy.ts';
import { encodeDeny } from '../../src/ext-authz/build-check-response.ts';
import { startGrpcServer } from '../../src/ext-authz/grpc-server.ts';
import { problem } from '../../src/ext-authz/problem.ts';
import { makeCertificates } from '../envoy/certificates.ts';
import { fuzz } from '../fuzz/fuzz-check-request.ts';
import { attempt, chat, mintRoot, newHolder, toWire, withLine } from './attacker.ts';
import { ask, encodeCheck, encodeMessage, type Gate, type GateSettings, openGate, ruling } from './gate.ts';
import { openScene, type Scene } from './scene.ts';

const CHECK = '/envoy.service.auth.v3.Authorization/Check';
const identity = (bytes: Buffer) => bytes;
const [operator, agent] = [newHolder(), newHolder()];
const token = mintRoot(operator, agent);
const good = (change = {}) => toWire(attempt(agent, token, change));

async function withGate(settings: Partial<GateSettings>, use: (gate: Gate) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-'));
  const gate = await openGate({ operator, directory, ...settings });
  try {
    await use(gate);
  } finally {
    await gate.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function checkOver(client: Client, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 5000;
    client.makeUnaryRequest(CHECK, identity, identity, bytes, { deadline }, (error, reply) =>
      error || !reply ? reject(error) : resolve(reply),
    );
  });
}

describe('H2 CheckRequests with parts missing', () => {
  const http = { method: 'POST', path: '/openai/v1/chat/completions', host: 'gateway.local', scheme: 'https' };
  test.each<[string, Buffer, number, string]>([
    ['nothing at all', Buffer.alloc(0), 400, 'malformed'],
    ['empty attributes', encodeMessage({ attributes: {} }), 400, 'malformed'],
    [
      'no request',
      encodeMessage({ attributes: { source: { address: { socket_address: { address: '127.0.0.1' } } } } }),
      400,
      'malformed',
    ],
    ['an empty request', encodeMessage({ attributes: { request: {} } }), 400, 'malformed'],
    ['an empty HTTP request', encodeMessage({ attributes: { request: { http: {} } } }), 403, 'capability-missing'],
    ['no headers', encodeMessage({ attributes: { request: { http } } }), 403, 'capability-missing'],
    ['no method', encodeCheck(good(), { http: { method: '' } }), 400, 'malformed'],
    ['no path', encodeCheck(good(), { http: { path: '' } }), 400, 'malformed'],
    ['no host', encodeCheck(good(), { http: { host: '' } }), 400, 'malformed'],
    [
      'no raw body where there is content',
      encodeCheck(good(), { partialBody: undefined, http: { raw_body: Buffer.alloc(0) } }),
      503,
      'indeterminate',
    ],
    ['G16 a body that is partial', encodeCheck(good(), { partialBody: 'true' }), 400, 'malformed'],
    [
      'G16 a body twice said to be whole and partial',
      encodeCheck(withLine(good(), 'content-type', identityText), { partialBody: 'false, true' }),
      400,
      'malformed',
    ],
    [
      'the body as text',
      encodeCheck(good(), { http: { raw_body: Buffer.alloc(0), body: chat('hello').toString() } }),
      503,
      'indeterminate',
    ],
    ['two HTTP requests', Buffer.concat([encodeCheck(good()), encodeCheck(good())]), 400, 'malformed'],
    ['bytes of no message', Buffer.from('ffffffffffffffffffff', 'hex'), 400, 'malformed'],
    ['a message cut short', encodeCheck(good()).subarray(0, -20), 400, 'malformed'],
  ])('H2 %s', async (_title, bytes, status, reason) => {
    await withGate({}, async (gate) => {
      expect(ruling(await ask(gate.handler, bytes))).toMatchObject({ allowed: false, status, reason });
      expect(gate.records.map((record) => [JSON.parse(record).effect, JSON.parse(record).reason])).toEqual([['deny', reason]]);
    });
  });
});

test('H3 100,000 mutated CheckRequests', { timeout: 400_000 }, async () => {
  const { reasons, findings } = await fuzz({ count: 100_000, seed: 9421 });
  expect(findings).toEqual([]);
  // The mutations reach the first check and the last ones.
  for (const reason of ['malformed', 'signature-input', 'chain-invalid', 'digest-mismatch', 'capability-insufficient'])
    expect(reasons[reason]).toBeGreaterThan(100);
});

describe('H4 an exception in a stage', () => {
  const stages = [
    'form',
    'signatureInput',
    'chain',
    'identity',
    'signature',
    'digest',
    'nonce',
    'restriction',
    'attestation',
    'capability',
    'budget',
  ] as const satisfies readonly (keyof Checks)[];
  const failing = (stage: keyof Checks, fail: () => unknown) => (checks: Checks) => ({ ...checks, [stage]: fail }) as Checks;
  const throwing = (): never => {
    throw new Error(`secret of the inside: ${PROVIDER_KEY}`);
  };

  test('H4 every stage is tried', async () => {
    await withGate(
      {
        changeChecks: (checks) => {
          expect(Object.keys(checks).sort()).toEqual([...stages].sort());
          return checks;
        },
      },
      async (gate) => {
        expect((await gate.check(good())).allowed).toBe(true);
      },
    );
  });

  const failures: [stage: keyof Checks, how: string, fail: () => unknown][] = stages.flatMap((stage) => [
    [stage, 'throws', throwing],
    [stage, 'answers nothing', () => undefined],
    [stage, 'passes without a proof', () => ({ denied: false, proof: undefined })],
  ]);
  const awaited = ['chain', 'signature', 'nonce'] as const;
  for (const stage of awaited) failures.push([stage, 'rejects', async () => throwing()]);

  test.each(failures)('H4 %s %s', async (stage, _how, fail) => {
    await withGate({ changeChecks: failing(stage, fail) }, async (gate) => {
      const answer = await gate.check(good());
      expect(answer).toMatchObject({ allowed: false, status: 503, reason: 'indeterminate' });
      expect(answer.body).not.toContain(PROVIDER_KEY);
      expect(gate.records.map((record) => JSON.parse(record).reason)).toEqual(['indeterminate']);
    });
  });

  test('H4 the record cannot be written', async () => {
    await withGate({ beforeAppend: throwing }, async (gate) => {
      expect(await gate.check(good())).toMatchObject({ allowed: false, status: 503, reason: 'indeterminate' });
    });
  });

  test('H4 a decision that comes after its caller was told that there is none: its record denies under that id', async () => {
    const slow = (checks: Checks): Checks => ({
      ...checks,
      identity: async (...proofs) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        return checks.identity(...proofs);
      },
    });
    await withGate({ deadlineMillis: 100, changeChecks: slow }, async (gate) => {
      const ruling = await gate.check(good());
      expect(ruling).toMatchObject({ allowed: false, status: 503, reason: 'indeterminate' });
      await expect.poll(() => gate.records.length).toBe(1);
      const { instance } = JSON.parse(ruling.body);
      expect(JSON.parse(gate.records[0] ?? '')).toMatchObject({ effect: 'deny', reason: 'indeterminate', decision_id: instance });
    });
  });

  test('H4 a record that is late: what was said to be allowed is denied in the last one', async () => {
    let appended = 0;
    const beforeAppend = () => {
      if (appended++ === 0) for (const until = Date.now() + 300; Date.now() < until; );
    };
    await withGate({ deadlineMillis: 100, beforeAppend }, async (gate) => {
      const ruling = await gate.check(good());
      expect(ruling).toMatchObject({ allowed: false, status: 503 });
      await expect.poll(() => gate.records.length).toBe(2);
      const { instance } = JSON.parse(ruling.body);
      expect(gate.records.map((record) => JSON.parse(record)).map(({ effect, decision_id }) => [effect, decision_id])).toEqual([
        ['allow', instance],
        ['deny', instance],
      ]);
    });
  });

  test('H4 a stage that never ends', async () => {
    const never = () => new Promise(() => {});
    await withGate({ deadlineMillis: 100, changeChecks: failing('chain', never) }, async (gate) => {
      expect(await gate.check(good())).toMatchObject({ allowed: false, status: 503, reason: 'indeterminate' });
    });
  });
});

describe('H6 what a caller writes cannot forge a line of log or record', () => {
  const evil = 'x\n{"level":30,"msg":"forged"}\r\n\u001b[31mred</script><script>\u2028\u0007';

  test.each([
    ['a signature field', () => withLine(good(), 'signature-input', () => evil)],
    ['a path', () => ({ ...good(), target: `/${encodeURIComponent(evil)}</script>` })],
    ['a content type', () => good({ contentType: evil })],
    ['a host', () => good({ host: evil })],
    ['a method', () => good({ method: evil })],
    ['an agent', () => good({ capability: `"${mintRoot(operator, { ...agent, did: evil })}"` })],
    ['a session', () => good({ capability: `"${mintRoot(operator, agent, { claims: { sid: evil } })}"` })],
    ['a model', () => good({ body: chat('x', { model: evil }) })],
    ['a tool', () => good({ body: chat('x', { tools: [{ type: 'function', function: { name: evil } }] }) })],
    [
      'a member of the token',
      () => good({ capability: `"${mintRoot(operator, agent, { claims: { authorization_details: [{ [evil]: 1 }] } })}"` }),
    ],
  ])('H6 %s', async (_title, make) => {
    await withGate({}, async (gate) => {
      const answer = await gate.check(make());
      for (const text of [...gate.records, ...gate.log.map((line) => line.replace(/\n$/, '')), answer.body]) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
        expect(text).not.toMatch(/[\u0000-\u001f\u007f]/);
        if (text !== '') expect(JSON.parse(text)).not.toHaveProperty('msg', 'forged');
      }
      expect(gate.records).toHaveLength(1);
    });
  });
});

test('H9 what is secret is compared in constant time', async () => {
  const source = async (path: string) => readFile(new URL(`../../src/${path}`, import.meta.url), 'utf8');
  expect(await source('ext-authz/answer-sign.ts')).toMatch(/timingSafeEqual\(createHash\('sha256'\)/);
  expect(await source('crypto/content-digest.ts')).toMatch(/timingSafeEqual\(/);
});

describe('H17 time grows no faster than the request', () => {
  // One size in bytes to a request; each is measured at a size and at four times that size.
  const shapes: [string, (size: number) => Parameters<typeof encodeCheck>[0]][] = [
    ['blanks inside a header that begins with one', (size) => good({ extra: [['x-a', ` x${' '.repeat(size)}x`]] })],
    ['tabs inside a header that ends with one', (size) => good({ extra: [['x-a', `x${'\t'.repeat(size)}x\t`]] })],
    ['open parentheses in Signature-Input', (size) => withLine(good(), 'signature-input', () => `cap=${'('.repeat(size)}`)],
    ['A37 labels in Signature-Input', (size) => withLine(good(), 'signature-input', () => 'a=(),'.repeat(size / 5))],
    [
      'A37 items in an inner list',
      (size) => withLine(good(), 'signature-input', () => `cap=(${'"a" '.repeat(size / 4)});tag="agent-cap"`),
    ],
    ['parameters of Signature-Input', (size) => withLine(good(), 'signature-input', (old) => old + ';a'.repeat(size / 2))],
    ['escapes in a String', (size) => withLine(good(), 'signature-input', () => `cap=();tag="${'\\"'.repeat(size / 2)}"`)],
    ['digits in a number', (size) => withLine(good(), 'signature-input', () => `cap=();created=${'1'.repeat(size)}`)],
    ['members of Content-Digest', (size) => withLine(good(), 'content-digest', () => 'a=:AA==:,'.repeat(size / 9))],
    ['tokens in Agent-Capability', (size) => good({ capability: '"a",'.repeat(size / 4) })],
    ['dots in a token', (size) => good({ capability: `"${'.'.repeat(size)}"` })],
    ['labels of a host', (size) => good({ host: `${'a.'.repeat(size / 2)}!` })],
    ['segments of a path', (size) => good({ target: `/openai${'/a'.repeat(size / 2)}` })],
    ['a query of pairs', (size) => good({ target: `/openai/v1/chat/completions?${'a=b&'.repeat(size / 4)}` })],
    ['a content type of blanks', (size) => good({ contentType: `application/json${' '.repeat(size)}x` })],
    [
      'a content type of parameters',
      (size) =>
        good({ contentType: `multipart/form-data${'; a="b"'.repeat(size / 7)}`, target: '/openai/v1/audio/transcriptions' }),
    ],
    [
      'a DID of colons',
      (size) =>
        good({ capability: `"${mintRoot(operator, { ...agent, did: `did:key:z${'1'.repeat(Math.min(size, 4000))}` })}"` }),
    ],
    ['arrays in arrays', (size) => good({ body: Buffer.from('['.repeat(size * 16)) })],
    [
      'arrays in arrays that close',
      (size) => good({ body: Buffer.from(`{"model":${'['.repeat(size * 8)}${']'.repeat(size * 8)}}`) }),
    ],
    ['escaped quotes in the body', (size) => good({ body: Buffer.from(`{"model":"${'\\"'.repeat(size * 8)}"}`) })],
    ['backslashes in the body', (size) => good({ body: Buffer.from(`{"model":"${'\\\\'.repeat(size * 8)}"}`) })],
    [
      'members of the body',
      (size) => good({ body: Buffer.from(`{${Array.from({ length: size }, (_, at) => `"a${at}":1`).join()}}`) }),
    ],
    [
      'parts of a form',
      (size) =>
        good({
          body: Buffer.from('--x\r\n'.repeat(size * 2)),
          contentType: 'multipart/form-data; boundary=x',
          target: '/openai/v1/audio/transcriptions',
        }),
    ],
    [
      'dashes in a form',
      (size) =>
        good({
          body: Buffer.from(`--x\r\n${'\r\n-'.repeat(size * 4)}`),
          contentType: 'multipart/form-data; boundary=x',
          target: '/openai/v1/audio/transcriptions',
        }),
    ],
  ];
  // Twelve for four times the size: linear is 4, quadratic 16. What takes next to no time at the larger size is not compared.
  const MOST_GROWTH = 12;
  const NOTICEABLE_MILLIS = 8;

  let gate: Gate;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hb-'));
    gate = await openGate({ operator, directory });
  });
  afterAll(async () => {
    await gate.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** Processor time of this thread from the message to its answer: the least of five, each signed afresh. */
  async function millis(make: () => Parameters<typeof encodeCheck>[0]): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    for (let times = 0; times < 5; times++) {
      const bytes = encodeCheck(make());
      const started = process.threadCpuUsage();
      await ask(gate.handler, bytes);
      const { user, system } = process.threadCpuUsage(started);
      least = Math.min(least, (user + system) / 1000);
    }
    return least;
  }

  test.each(shapes)('H17 %s', async (_title, make) => {
    const [small, large] = [await millis(() => make(12_000)), await millis(() => make(48_000))];
    expect(large < NOTICEABLE_MILLIS || large / small < MOST_GROWTH, `${small.toFixed(2)} ms, then ${large.toFixed(2)} ms`).toBe(
      true,
    );
  });
});

test('C21 no prototype was touched by any of this', () => {
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(
    Object.getOwnPropertyNames(Object.getPrototypeOf({})).sort(),
  );
  expect('exp' in {} || 'model' in {} || 'a' in {}).toBe(false);
});

/** The code with which the call for a response ends. */
function watchOver(client: Client, message: Buffer): Promise<number> {
  const same = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest('/envoy.service.ext_proc.v3.ExternalProcessor/Process', same, same);
  call.on('error', () => {});
  call.on('data', () => {});
  const ended = new Promise<number>((resolve) => call.once('status', ({ code }) => resolve(code)));
  call.write(message);
  return ended;
}

describe('B14 H1 the port of the service', () => {
  test('B14 H1 is closed to whoever has no certificate of Envoy', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'hb-'));
    const files = await makeCertificates(directory);
    let asked = 0;
    let watched = 0;
    const server = await startGrpcServer({
      configuration: {
        listen: '127.0.0.1:0',
        deadlineMillis: 1000,
        drainSeconds: 0,
        tls: {
          certificate: files.server.certificateFile,
          key: files.server.keyFile,
          clientCa: files.trustedCaFile,
          clientNames: ['spiffe://cluster.test/envoy'],
        },
      },
      check: (_call, reply) => {
        asked++;
        reply(null, encodeDeny(problem('malformed', 'reached', 'id', Date.now())));
      },
      watch: (call) => {
        watched++;
        call.end();
      },
      refuseStranger: () => encodeDeny(problem('indeterminate', 'stranger', 'id', Date.now())),
      maxRequestBytes: 100_000,
    });
    try {
      const ca = await readFile(files.trustedCaFile);
      const read = ({ certificateFile, keyFile }: { certificateFile: string; keyFile: string }) =>
        Promise.all([readFile(keyFile), readFile(certificateFile)]);
      const dial = (use: ReturnType<typeof credentials.createSsl>) =>
        new Client(server.address, use, { 'grpc.ssl_target_name_override': 'service.test' });
      for (const nobody of [dial(credentials.createInsecure()), dial(credentials.createSsl(ca))]) {
        await expect(checkOver(nobody, encodeCheck(good({}), { id: 'the-id-of-another-check' }))).rejects.toThrow();
        nobody.close();
      }
      const stranger = dial(credentials.createSsl(ca, ...(await read(files.server))));
      expect(ruling(await checkOver(stranger, encodeCheck(good())))).toMatchObject({ allowed: false, status: 503 });
      expect(await watchOver(stranger, Buffer.alloc(0))).toBe(status.PERMISSION_DENIED);
      expect([asked, watched]).toEqual([0, 0]);
      const envoy = dial(credentials.createSsl(ca, ...(await read(files.client))));
      expect(ruling(await checkOver(envoy, encodeCheck(good())))).toMatchObject({ allowed: false, reason: 'malformed' });
      expect(await watchOver(envoy, Buffer.alloc(0))).toBe(status.OK);
      expect([asked, watched]).toEqual([1, 1]);
      for (const client of [stranger, envoy]) client.close();
    } finally {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe('the running program', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene?.stop());

  test('H3 random bytes instead of a response to watch over: each call ends with an error, and it lives', async () => {
    const client = new Client(`unix:${join(scene.world.directory, 'run/verify.sock')}`, credentials.createInsecure());
    const calls = Array.from({ length: 500 }, (_, length) => watchOver(client, randomBytes(length % 100)));
    expect(new Set(await Promise.all(calls))).toEqual(new Set([status.FAILED_PRECONDITION]));
    client.close();
    await scene.expectAllowed(toWire(scene.attempt()));
  });

  test('H3 random bytes over its own socket: it denies, and it lives', async () => {
    const client = new Client(`unix:${join(scene.world.directory, 'run/verify.sock')}`, credentials.createInsecure());
    let state = 1;
    for (let times = 0; times < 2000; times++) {
      const bytes = times % 2 === 0 ? Buffer.from(encodeCheck(good())) : Buffer.alloc(times % 300);
      for (let at = 0; at < 1 + bytes.length / 20; at++) {
        state = (state * 1103515245 + 12345) % 2 ** 31;
        if (bytes.length > 0) bytes[state % bytes.length] = state >>> 16;
      }
      expect(ruling(await checkOver(client, bytes)).allowed).toBe(false);
    }
    client.close();
    await scene.expectAllowed(toWire(scene.attempt()));
  });

  test('H6 its log is one JSON object a line', async () => {
    await scene.expectDenied({ ...toWire(scene.attempt()), target: '/%0a%1b[31m</script>' }, [401, 'signature-invalid']);
    const lines = scene.world
      .gatewayLog()
      .split('\n')
      .filter((line) => line !== '');
    for (const line of lines.slice(1)) expect(() => JSON.parse(line)).not.toThrow();
  });

  test('H10 an unknown operator and a bad signature of a known one get the same status and code', async () => {
    const thief = newHolder();
    const unknown = await scene.expectDenied(toWire(scene.attempt({ capability: `"${mintRoot(thief, scene.agent)}"` })), [
      401,
      'chain-invalid',
    ]);
    const bad = await scene.expectDenied(
      toWire(scene.attempt({ capability: `"${mintRoot({ ...scene.operator, key: thief.key }, scene.agent)}"` })),
      [401, 'chain-invalid'],
    );
    expect(unknown.response.status).toBe(bad.response.status);
  });

  test('H11 the provider key is in no reply, log, record or file but its own', async () => {
    const { response, upstream } = await scene.expectAllowed(toWire(scene.attempt()));
    expect(upstream[0]?.headers.authorization).toBe(`Bearer ${PROVIDER_KEY}`);
    expect(response.text).not.toContain(PROVIDER_KEY);
    await scene.expectDenied(toWire(scene.attempt({ target: `/openai/v1/chat/completions?key=${PROVIDER_KEY.slice(0, -1)}` })), [
      403,
      'capability-insufficient',
    ]);
    expect(scene.world.gatewayLog()).not.toContain(PROVIDER_KEY);
    expect(JSON.stringify(scene.world.records(10_000))).not.toContain(PROVIDER_KEY);
    const holding: string[] = [];
    for (const entry of await readdir(scene.world.directory, { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name);
      if (entry.isFile() && (await readFile(file)).includes(PROVIDER_KEY))
        holding.push(file.slice(scene.world.directory.length + 1));
    }
    expect(holding).toEqual(['provider.key']);
    const admin = join(scene.world.directory, 'run/verify-envoy/admin.sock');
    for (const path of ['/config_dump?include_eds', '/stats', '/clusters', '/server_info']) {
      const { status, body } = await adminGet(admin, path);
      expect(status).toBe(200);
      expect(body).not.toContain(PROVIDER_KEY);
    }
  });
});

function identityText(value: string): string {
  return value;
}

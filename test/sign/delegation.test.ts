// Delegation over a real Unix socket: what is minted, what is refused and in which words, and who can open the socket.

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportPrivateJwk } from '../../src/crypto/private-key.ts';
import { listenPrivately } from '../../src/serve/private-socket.ts';
import type { AgentChains } from '../../src/sign/agent-chains.ts';
import { delegate } from '../../src/sign/delegate.ts';
import { makeDelegationServer } from '../../src/sign/delegation-server.ts';
import { holdChain } from '../../src/sign/held-chain.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { hb, hbJson } from '../cli/run-cli.ts';
import { keyOf } from '../keys.ts';
import { claimsOf, DETAILS, MINUTE, rootOf, type Sidecar, START, sidecarOf } from './held.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-delegate-'));
const socketPath = join(directory, 'run', 'delegate.sock');
const delegateKey = keyOf('delegate');
const TO = didKeyOf(delegateKey.publicKey);
const NARROW = { ...DETAILS, actions: ['chat'], max: { output_tokens: 100 } };
const asked = { to: TO, key: { ...delegateKey.publicKey.jwk, alg: 'Ed25519' }, details: NARROW };
const TASKS = { small: { ...DETAILS, max: { output_tokens: 50 } } };

let sidecar: Sidecar;
let chains: AgentChains;
let stop: () => Promise<void>;
const server = () =>
  makeDelegationServer({
    delegate: async (delegation) =>
      delegate(delegation, {
        above: await chains.delegable(),
        tasks: TASKS,
        taskLifetimeSeconds: 900,
        now: sidecar.clock.now,
      }),
    log: pino({ level: 'silent' }),
  });
beforeAll(async () => {
  sidecar = sidecarOf(await rootOf());
  chains = sidecar.chains;
  stop = await listenPrivately(server(), socketPath);
});
afterAll(async () => {
  await stop?.();
  rmSync(directory, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly text: string;
  readonly value: Record<string, unknown>;
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

function call({ method = 'POST', path = '/delegate', headers = {}, body = '' }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const all = { host: 'localhost', 'content-type': 'application/json', ...headers };
    const asking = request({ socketPath, path, method, headers: all, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'],
          text,
          value: text === '' ? {} : JSON.parse(text),
        }),
      );
    });
    asking.once('error', reject);
    asking.end(body);
  });
}

const ask = (changes: object = {}) => call({ body: JSON.stringify({ ...asked, ...changes }) });

/** The chain of an answer, as the other agent's sidecar reads it. */
function received({ value }: Answer) {
  return holdChain(delegateKey, value.chain as [string, ...string[]]);
}

describe('a delegation', () => {
  test('is a link below the session to the other agent’s DID and key', async () => {
    const answer = await ask();
    expect([answer.status, answer.type]).toEqual([201, 'application/json']);
    const held = received(answer);
    const session = await chains.session();
    expect(held.chain.slice(0, -1)).toEqual(session.chain);
    const claims = claimsOf(held);
    expect(claims).toMatchObject({ client_id: TO, sid: claimsOf(session).sid, del_depth: 2, del_max_depth: 3 });
    expect(claims.authorization_details).toEqual([NARROW]);
    expect(answer.value.expires).toBe(new Date(held.expiresAt).toISOString());
    expect(held.expiresAt).toBe(session.expiresAt);
  });

  test('can be shorter, shallower, for fewer gateways and for one task', async () => {
    const claims = claimsOf(received(await ask({ lifetimeSeconds: 60, maxDepth: 2, audience: 'other.example', task: 'review' })));
    expect(claims).toMatchObject({ del_max_depth: 2, aud: 'other.example', task: 'review' });
    expect(claims.exp - claims.iat).toBe(60);
  });

  test('for a task lives no longer than a task', async () => {
    const { exp, iat } = claimsOf(received(await ask({ task: 'review', lifetimeSeconds: 3600 })));
    expect(exp - iat).toBe(900);
  });

  test('beside a session that leaves no room for it ends with the session all the same', async () => {
    const before = chains;
    chains = sidecarOf(await rootOf({ maxDepth: 1, lifetimeSeconds: 90 * 86_400 })).chains;
    try {
      const session = await chains.session();
      for (const changes of [{}, { lifetimeSeconds: 30 * 86_400 }]) {
        const held = received(await ask(changes));
        expect([held.chain.length, held.expiresAt]).toEqual([2, session.expiresAt]);
      }
    } finally {
      chains = before;
    }
  });

  test('is held to the task that its own chain is for', async () => {
    const before = chains;
    chains = sidecarOf(received(await ask({ task: 'small', details: TASKS.small }))).chains;
    try {
      const third = keyOf('third').publicKey;
      const to = { to: didKeyOf(third), key: { ...third.jwk, alg: 'Ed25519' } };
      const wide = { ...TASKS.small, max: { output_tokens: 51 } };
      // The chain itself says 50, whatever the sidecar’s configuration does.
      expect((await ask({ ...to, details: wide })).status).toBe(403);
      expect((await ask({ ...to, details: TASKS.small })).status).toBe(201);
    } finally {
      chains = before;
    }
  });

  test('to a DID that must be resolved is the gateway’s to judge', async () => {
    expect((await ask({ to: 'did:webvh:QmSCID:agents.example:reader' })).status).toBe(201);
  });
});

describe('refused with the member that is at fault:', () => {
  const other = keyOf('other').publicKey;
  test.each<[string, () => object, status: number, code: string, field: string]>([
    ['a model', () => ({ details: { ...NARROW, models: ['openai/*'] } }), 403, 'broader', 'details.models'],
    ['a limit left out', () => ({ details: { ...NARROW, max: {} } }), 403, 'broader', 'details.max.output_tokens'],
    ['an action', () => ({ details: { ...NARROW, actions: ['files'] } }), 403, 'broader', 'details.actions'],
    ['more than its task', () => ({ task: 'small' }), 403, 'broader', 'details.max.output_tokens'],
    ['another gateway', () => ({ audience: ['gateway.example', 'evil.example'] }), 403, 'broader', 'audience'],
    ['too deep', () => ({ maxDepth: 4 }), 403, 'too-deep', 'maxDepth'],
    ['above itself', () => ({ maxDepth: 1 }), 403, 'too-deep', 'maxDepth'],
    ['another’s key', () => ({ key: { ...other.jwk, alg: 'Ed25519' } }), 422, 'invalid-key', 'key'],
    ['a private key', () => ({ key: exportPrivateJwk(delegateKey) }), 422, 'invalid-key', 'key'],
    ['a key without algorithm', () => ({ key: { ...other.jwk, alg: undefined } }), 422, 'invalid-body', 'key.alg'],
    ['another algorithm', () => ({ key: { ...asked.key, alg: 'ES256' } }), 422, 'invalid-key', 'key'],
    ['the agent itself', () => ({ to: didKeyOf(keyOf('agent').publicKey) }), 422, 'not-another-agent', 'to'],
    ['no DID', () => ({ to: 'somebody' }), 422, 'invalid-body', 'to'],
    ['no time', () => ({ lifetimeSeconds: 0 }), 422, 'invalid-body', 'lifetimeSeconds'],
    ['a task with a blank', () => ({ task: 'a b' }), 422, 'invalid-body', 'task'],
    ['something unknown', () => ({ sid: 'mine' }), 422, 'invalid-body', ''],
  ])('%s', async (_, changes, status, code, field) => {
    const answer = await ask(changes());
    expect([answer.status, answer.type]).toEqual([status, 'application/problem+json']);
    expect(answer.value).toMatchObject({ type: `urn:hermesbridge:delegation:${code}`, status, errors: [{ field }] });
    expect(answer.text).not.toContain(String(exportPrivateJwk(delegateKey).d));
  });

  test('an agent that the chain has left', async () => {
    const bound = received(await ask());
    const before = chains;
    chains = sidecarOf(bound).chains;
    try {
      const answer = await ask({
        to: didKeyOf(keyOf('agent').publicKey),
        key: { ...keyOf('agent').publicKey.jwk, alg: 'Ed25519' },
      });
      expect(answer.value).toMatchObject({ status: 403, type: 'urn:hermesbridge:delegation:not-delegable' });
      expect(answer.value.detail).toContain('comes back to an agent');
    } finally {
      chains = before;
    }
  });

  test('a chain that can go no deeper, and a capability that has ended', async () => {
    const before = { chains, now: sidecar.clock.now };
    try {
      chains = sidecarOf(await rootOf({ maxDepth: 0 })).chains;
      expect((await ask()).value).toMatchObject({ status: 403, type: 'urn:hermesbridge:delegation:too-deep' });
      chains = before.chains;
      sidecar.clock.now = START + 48 * 60 * MINUTE;
      expect((await ask()).value).toMatchObject({ status: 403, type: 'urn:hermesbridge:delegation:expired' });
    } finally {
      chains = before.chains;
      sidecar.clock.now = before.now;
    }
  });
});

describe('the server', () => {
  test.each<[string, Call, number]>([
    ['another path', { path: '/' }, 404],
    ['another path below', { path: '/delegate/' }, 404],
    ['a query', { path: '/delegate?to=x' }, 404],
    ['GET', { method: 'GET' }, 405],
    ['another type', { headers: { 'content-type': 'text/plain' }, body: JSON.stringify(asked) }, 415],
    ['no JSON', { body: '{"to":' }, 400],
    ['a member twice', { body: '{"to":"did:key:a","to":"did:key:b"}' }, 400],
    ['a list', { body: '[]' }, 422],
    ['64 KiB and one byte', { body: Buffer.alloc(65_537, 0x20) }, 413],
    ['the same in chunks', { headers: { 'transfer-encoding': 'chunked' }, body: Buffer.alloc(200_000, 0x20) }, 413],
    ['an expectation', { headers: { expect: 'something' } }, 417],
  ])('refuses %s', async (_, asking, status) => {
    const answer = await call(asking);
    expect([answer.status, answer.type]).toEqual([status, 'application/problem+json']);
    expect(answer.value).toMatchObject({ status, type: expect.stringMatching(/^urn:hermesbridge:delegation:/) });
  });

  test('takes what is just 64 KiB', async () => {
    const body = JSON.stringify(asked);
    expect((await call({ body: body + ' '.repeat(65_536 - body.length) })).status).toBe(201);
  });

  const raw = async (text: string) => {
    const socket = connect(socketPath).setEncoding('utf8');
    let answer = '';
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.write(text);
    await new Promise((resolve) => socket.once('close', resolve));
    return answer;
  };

  test('does not wait for a request that never ends', { timeout: 30_000 }, async () => {
    const started = performance.now();
    const answer = await raw(
      'POST /delegate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*delegation:timeout/);
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test('answers what is no HTTP', async () => {
    expect(await raw('DELEGATE\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [\s\S]*delegation:malformed/);
  });
});

describe('the socket', () => {
  test('is its owner’s alone, whatever the mask is', async () => {
    const mask = process.umask(0);
    try {
      const open = join(directory, 'open.sock');
      const end = await listenPrivately(server(), open);
      expect(statSync(open).mode & 0o7777).toBe(0o600);
      expect(process.umask()).toBe(0);
      await end();
      expect(() => statSync(open)).toThrow();
    } finally {
      process.umask(mask);
    }
    expect(statSync(socketPath).mode & 0o7777).toBe(0o600);
    expect(statSync(join(directory, 'run')).mode & 0o7777).toBe(0o700);
  });

  test('that someone listens on is not taken, and one that was left behind is', async () => {
    await expect(listenPrivately(server(), socketPath)).rejects.toThrow('is in use');
    expect((await ask()).status).toBe(201);
    const left = join(directory, 'left.sock');
    writeFileSync(left, '');
    const end = await listenPrivately(server(), left);
    await end();
  });
});

describe('hermesbridge delegate', { timeout: 60_000 }, () => {
  const words = ['delegate', '--socket', socketPath, '--to', TO];
  const grant = ['--action', 'chat', '--model', 'openai/gpt-5*', '--max-output-tokens', '100'];

  test('prints the chain, or writes it to a file, for the key that the DID consists of', async () => {
    const { code, stdout } = await hb([...words, ...grant]);
    expect(code).toBe(0);
    const [root = '', ...links] = stdout.trim().split('\n');
    expect(claimsOf(holdChain(delegateKey, [root, ...links])).authorization_details).toEqual([NARROW]);
    const file = join(directory, 'delegate.capability');
    const key = join(directory, 'delegate.jwk');
    writeFileSync(key, JSON.stringify(exportPrivateJwk(delegateKey)), { mode: 0o600 });
    const ran = await hbJson([...words, ...grant, '--key', key, '--task', 'review', '--lifetime', '5m', '--out', file]);
    expect(ran.value).toMatchObject({ file, chain: { length: 3 } });
    const inspected = await hb(['capability', 'inspect', file]);
    expect(inspected.stdout).toContain('"task": "review"');
  });

  test('says what is broader, and that nobody listens', async () => {
    const broader = await hb([...words, '--action', 'chat', '--model', 'openai/*']);
    expect([broader.code, broader.stdout]).toEqual([1, '']);
    expect(broader.stderr).toMatch(/not delegated: .*details\.models: /);
    const nobody = await hb(['delegate', '--socket', join(directory, 'none.sock'), '--to', TO]);
    expect(nobody.stderr).toMatch(/none\.sock is not there: the sidecar does not run/);
  });
});

// D8 and D9: what was revoked is used all the same, through the real Envoy; and at the service, while it is being revoked.

import { sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPrivateKey } from '../../src/crypto/private-key.ts';
import { RestrictionSet } from '../../src/restrictions/restriction-set.ts';
import { type RestrictionStatement, signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { type Restriction, reopenRestriction } from '../../src/restrictions/verify-restriction.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { attempt, type Holder, mintBelow, mintRoot, newHolder, toWire } from './attacker.ts';
import { openGate } from './gate.ts';
import { sendHttp1 } from './raw-http.ts';
import { openScene, type Scene } from './scene.ts';

const REVOKED = [401, 'revoked'] as const;

function restriction(author: Holder, changes: Partial<RestrictionStatement>): Restriction {
  const key = readPrivateKey(JSON.stringify({ ...author.key.export({ format: 'jwk' }), alg: 'Ed25519' }));
  const statement = { effect: 'revoke', at: Math.floor(Date.now() / 1000), reason: 'test', ...changes } as RestrictionStatement;
  return reopenRestriction(signRestriction(statement, { key, keyId: author.kid }));
}

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string; sid?: string; task?: string };

describe('D: revocation', () => {
  let scene: Scene;
  // The file that `revoke --store` writes to, while the gateway's program has it open.
  let store: SqliteRestrictionStore;
  beforeAll(async () => {
    scene = await openScene();
    store = await SqliteRestrictionStore.open(join(scene.world.directory, 'run/hermesbridge.db-restrictions'));
  });
  afterAll(async () => {
    await store?.close();
    await scene?.stop();
  });

  const revoke = async (changes: Partial<RestrictionStatement>, author = scene.operator) => {
    const made = restriction(author, changes);
    await store.append([made]);
    return made;
  };
  const inForce = () => new Promise((resolve) => setTimeout(resolve, 1000));

  test.each<[string, (agent: Holder, token: string) => RestrictionStatement['target']]>([
    ['agent', ({ did }) => ({ kind: 'agent', value: did })],
    ['key', ({ jkt }) => ({ kind: 'key', value: jkt })],
    ['token', (_, token) => ({ kind: 'token', value: claimsOf(token).jti })],
    ['session', (_, token) => ({ kind: 'session', value: claimsOf(token).sid ?? '' })],
    ['task', (_, token) => ({ kind: 'task', value: claimsOf(token).task ?? '' })],
  ])('D8 a %s that was revoked a second ago, and that was allowed before', async (kind, targetOf) => {
    const agent = newHolder();
    const token = mintRoot(scene.operator, agent, { claims: { sid: `session-of-${kind}`, task: `task-of-${kind}` } });
    const other = scene.newAgent();
    await scene.expectAllowed(toWire(attempt(agent, token)));
    const { id } = await revoke({ target: targetOf(agent, token) });
    await inForce();
    const { records, response } = await scene.expectDenied(toWire(attempt(agent, token)), REVOKED);
    expect(records).toMatchObject([{ restriction: id, restriction_high_water: store.lastSequence(), agents: [agent.did] }]);
    expect(response.headers['www-authenticate']).toContain('revoked');
    expect(response.headers['x-should-retry']).toBe('false');
    // Nothing of it names what was revoked: whoever asks may hold the chain of another.
    for (const value of [id, agent.did, agent.jkt]) expect(response.body).not.toContain(value);
    await scene.expectAllowed(toWire(attempt(other.agent, other.token)));
  });

  test('D8 whoever holds a link below what was revoked, minted offline and never seen before', async () => {
    const agent = newHolder();
    const root = { token: mintRoot(scene.operator, agent, { claims: { del_max_depth: 3 } }), holder: agent };
    const other = newHolder();
    const delegated = mintBelow(root, other, { claims: { client_id: other.did } });
    const present = () => {
      const leaf = mintBelow(delegated, newHolder());
      const capability = [root, delegated, leaf].map(({ token }) => `"${token}"`).join(', ');
      const { key } = leaf.holder;
      return toWire(attempt(leaf.holder, leaf.token, { capability, sign: (base) => sign(null, base, key) }));
    };
    await scene.expectAllowed(present());
    await revoke({ target: { kind: 'token', value: claimsOf(root.token).jti } });
    await inForce();
    const { records } = await scene.expectDenied(present(), REVOKED);
    expect(records).toMatchObject([{ agents: [agent.did, other.did, other.did] }]);
  });

  test('D8 a stranger’s revocation, and the agent’s own, take nothing from anyone', async () => {
    const { agent, token } = scene.newAgent();
    await revoke({ target: { kind: 'agent', value: agent.did } }, newHolder());
    await revoke({ target: { kind: 'operator', value: scene.operator.did } }, newHolder());
    await revoke({ target: { kind: 'agent', value: agent.did } }, agent);
    await inForce();
    await scene.expectAllowed(toWire(attempt(agent, token)));
  });

  test('D8 a narrowing holds what it does not allow, and nothing once it was lifted', async () => {
    const { agent, token } = scene.newAgent();
    const target = { kind: 'agent', value: agent.did } as const;
    const details = { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5-nano'] } as const;
    const { id } = await revoke({ effect: 'narrow', target, details } as never);
    await inForce();
    const { records } = await scene.expectDenied(toWire(attempt(agent, token)), [403, 'capability-insufficient']);
    expect(records).toMatchObject([{ restriction: id, model: 'openai/gpt-5-mini' }]);
    await revoke({ effect: 'lift', target, lifts: id } as never);
    await inForce();
    await scene.expectAllowed(toWire(attempt(agent, token)));
  });

  test('D9 traffic that never stops: allowed before, and not one a second after the acknowledgement', {
    timeout: 60_000,
  }, async () => {
    const { agent, token } = scene.newAgent();
    const seen: { sent: number; status: number }[] = [];
    let going = true;
    const caller = async () => {
      while (going) {
        const sent = performance.now();
        const { status } = await sendHttp1(scene.port, toWire(attempt(agent, token)));
        seen.push({ sent, status });
      }
    };
    const callers = Array.from({ length: 3 }, caller);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await revoke({ target: { kind: 'agent', value: agent.did } });
    const acknowledged = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    going = false;
    await Promise.all(callers);
    expect(seen.filter(({ sent, status }) => sent < acknowledged - 500 && status === 200).length).toBeGreaterThan(5);
    const after = seen.filter(({ sent }) => sent > acknowledged + 1000);
    expect(after.length).toBeGreaterThan(5);
    expect([...new Set(after.map(({ status }) => status))]).toEqual([401]);
  });
});

test('D9 at the service: whatever begins after a revocation is acknowledged is refused, with no time in between', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'revocation-'));
  const operator = newHolder();
  const store = await SqliteRestrictionStore.open(join(directory, 'restrictions.db'));
  const set = new RestrictionSet({ administrators: [], read: (sequence) => store.read(sequence) });
  store.keepInForce(set);
  const restrictions = { find: set.find.bind(set), highWaterMark: 0, isFresh: () => store.failure === undefined };
  const gate = await openGate({ operator, directory, restrictions });
  try {
    for (let round = 0; round < 20; round++) {
      const agent = newHolder();
      const token = mintRoot(operator, agent);
      const wires = Array.from({ length: 12 }, () => toWire(attempt(agent, token)));
      const under = wires.slice(0, 8).map((wire) => gate.check(wire));
      await store.append([restriction(operator, { target: { kind: 'agent', value: agent.did } })]);
      const after = await Promise.all(wires.slice(8).map((wire) => gate.check(wire)));
      expect(after.map(({ allowed, reason }) => [allowed, reason])).toEqual(after.map(() => [false, 'revoked']));
      for (const { allowed, reason } of await Promise.all(under)) if (!allowed) expect(reason).toBe('revoked');
    }
    const effects = gate.records.map((record) => (JSON.parse(record) as { effect: string }).effect);
    expect(effects.filter((effect) => effect === 'deny').length).toBeGreaterThanOrEqual(80);
  } finally {
    await gate.close();
    await store.close();
    await rm(directory, { recursive: true, force: true });
  }
});

test.each([
  ['revoked', 'revoked', {}],
  [
    'narrowed to what it does not ask for',
    'capability-insufficient',
    { effect: 'narrow', details: { type: 'llm_access', actions: ['embed'], models: ['openai/gpt-5-mini'] } },
  ],
] as const)('D9 %s while the record of the permit is being written: denied, and the record of that follows', async (...row) => {
  const [, reason, changes] = row;
  const directory = await mkdtemp(join(tmpdir(), 'revocation-'));
  const [operator, agent] = [newHolder(), newHolder()];
  const set = new RestrictionSet({ administrators: [], read: () => undefined });
  const restrictions = { find: set.find.bind(set), highWaterMark: 0, isFresh: () => true };
  let inForce = 0;
  const meanwhile = restriction(operator, { ...(changes as object), target: { kind: 'agent', value: agent.did } });
  const gate = await openGate({ operator, directory, restrictions, beforeAppend: () => set.add(meanwhile, ++inForce) });
  try {
    const reply = await gate.check(toWire(attempt(agent, mintRoot(operator, agent))));
    expect([reply.allowed, reply.reason]).toEqual([false, reason]);
    const records = gate.records.map((text) => JSON.parse(text) as { effect: string; reason?: string; decision_id: string });
    expect(records.map((record) => [record.effect, record.reason])).toEqual([
      ['allow', undefined],
      ['deny', reason],
    ]);
    expect(new Set(records.map((record) => record.decision_id)).size).toBe(1);
  } finally {
    await gate.close();
    await rm(directory, { recursive: true, force: true });
  }
});

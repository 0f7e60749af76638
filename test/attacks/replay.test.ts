// B: replay and nonces, one replica, through the real Envoy; the stepped clock against the checks and the real store.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attempt, mintRoot, newHolder, parameters, toWire } from './attacker.ts';
import { openGate } from './gate.ts';
import { sendCopies, sendHttp1, sendHttp2 } from './raw-http.ts';
import { openScene, type Scene } from './scene.ts';

const PER_KEY_LIMIT = 50;
const REPLAYED = [401, 'nonce-replayed'] as const;

describe('B: replay', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({ nonce: { perKeyLimit: PER_KEY_LIMIT } });
  });
  afterAll(() => scene?.stop());

  const fresh = (change = {}) => {
    const { agent, token } = scene.newAgent();
    return toWire(attempt(agent, token, change));
  };

  test('B1 the same bytes twice', async () => {
    const wire = fresh();
    await scene.expectAllowed(wire);
    await scene.expectDenied(wire, REPLAYED);
  });

  test('B1 the same request over another protocol, and its x-request-id repeated', async () => {
    const wire = fresh({ extra: [['x-request-id', 'c5a5a3a4-0000-4000-8000-000000000000']] });
    await scene.expectAllowed(wire);
    await scene.expectDenied(wire, REPLAYED, sendHttp2);
    await scene.expectDenied(wire, REPLAYED);
  });

  test('B1 another request with a nonce that was used', async () => {
    const { agent, token } = scene.newAgent();
    const nonce = parameters(agent, { nonce: '"AAAAAAAAAAAAAAAAAAAAAA"' });
    await scene.expectAllowed(toWire(attempt(agent, token, { parameters: nonce })));
    await scene.expectDenied(toWire(attempt(agent, token, { parameters: nonce, extra: [['x-a', 'b']] })), REPLAYED);
    const later = parameters(agent, { nonce: '"AAAAAAAAAAAAAAAAAAAAAA"', expires: `${Math.floor(Date.now() / 1000) + 59}` });
    await scene.expectDenied(toWire(attempt(agent, token, { parameters: later })), REPLAYED);
  });

  test('B1 a nonce belongs to its key: another agent may use the same', async () => {
    for (const { agent, token } of [scene.newAgent(), scene.newAgent()]) {
      await scene.expectAllowed(
        toWire(attempt(agent, token, { parameters: parameters(agent, { nonce: '"BBBBBBBBBBBBBBBBBBBBBB"' }) })),
      );
    }
  });

  test('B3 a thousand copies at once: exactly one is allowed', { timeout: 120_000 }, async () => {
    const wire = fresh();
    const statuses = new Map<number, number>();
    const { records, upstream } = await scene.observe(async () => {
      const responses = await sendCopies(scene.port, wire, 1000);
      for (const { status } of responses) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const [first] = responses;
      if (first === undefined) throw new Error('no response');
      return first;
    });
    expect(Object.fromEntries(statuses)).toEqual({ 200: 1, 401: 999 });
    expect(upstream).toHaveLength(1);
    expect(records).toHaveLength(1000);
    expect(records.filter(({ effect }) => effect === 'allow')).toHaveLength(1);
    expect(new Set(records.filter(({ effect }) => effect === 'deny').map(({ reason }) => reason))).toEqual(
      new Set(['nonce-replayed']),
    );
  });

  test('B5 replayed after kill -9 and a restart', { timeout: 120_000 }, async () => {
    const { agent, token } = scene.newAgent();
    const wire = toWire(attempt(agent, token));
    await scene.expectAllowed(wire);
    await scene.world.restartGateway('SIGKILL');
    await scene.expectDenied(wire, REPLAYED);
    await scene.expectAllowed(toWire(attempt(agent, token)));
  });

  test('B11 one key over its quota, and the others unaffected', async () => {
    const flooder = scene.newAgent();
    const bystander = scene.newAgent();
    const send = () => sendHttp1(scene.port, toWire(attempt(flooder.agent, flooder.token)));
    for (let at = 0; at < PER_KEY_LIMIT; at++) expect((await send()).status).toBe(200);
    await scene.expectDenied(toWire(attempt(flooder.agent, flooder.token)), [429, 'nonce-quota']);
    await scene.expectAllowed(toWire(attempt(bystander.agent, bystander.token)));
  });

  test('B12 a flood of bad signatures leaves the nonces as they were', { timeout: 120_000 }, async () => {
    const { agent, token } = scene.newAgent();
    const thief = newHolder();
    const before = scene.nonceCount();
    const flood = [
      () => toWire(attempt(agent, token, { sign: () => Buffer.alloc(64) })),
      () => toWire(attempt(thief, token)),
      () => toWire(attempt(thief, mintRoot(thief, thief))),
      () => toWire(attempt(agent, token, { digest: 'sha-256=:AAAA:' })),
    ];
    const responses = await sendCopies(scene.port, (index) => (flood[index % flood.length] ?? fresh)(), 1000);
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([401]));
    expect(scene.nonceCount()).toBe(before);
    // None was burned either: the agent's own quota is untouched.
    await scene.expectAllowed(toWire(attempt(agent, token)));
  });
});

describe('B15 a clock that is set back', () => {
  const SKEW_AND_LIFETIME = 60 + 2 * 30;

  // Milliseconds that pass, then how far the wall clock is set back.
  test.each([
    ['at once', 0, 0, 'nonce-replayed'],
    ['after a minute, set back by one', 60_000, 60_000, 'nonce-replayed'],
    ['after it was forgotten, set back to then', 200_000, 200_000, 'signature-expired'],
    ['after it was forgotten, set back to just before its end', 200_000, 120_000, 'signature-expired'],
    ['ten minutes on, ten minutes back', 600_000, 600_000, 'signature-expired'],
    ['set back by ten minutes at once', 1000, 600_000, 'clock-skew'],
  ])('B15 the same request %s', async (_title, pass, back, reason) => {
    let wall = Date.now();
    let monotonic = 0;
    const directory = await mkdtemp(join(tmpdir(), 'hb-'));
    const operator = newHolder();
    const agent = newHolder();
    const gate = await openGate({ operator, directory, clock: () => wall, monotonic: () => monotonic });
    // The store refuses what was signed before it was made.
    wall = Date.now();
    try {
      const wire = toWire(attempt(agent, mintRoot(operator, agent)));
      expect((await gate.check(wire)).allowed).toBe(true);
      // Time passes while others are served, which is what makes the store forget.
      for (let passed = 0; passed < pass; passed += 30_000) {
        wall += Math.min(30_000, pass - passed);
        monotonic += Math.min(30_000, pass - passed);
        const now = Math.floor(wall / 1000);
        const other = parameters(agent, { created: `${now}`, expires: `${now + 60}` });
        expect((await gate.check(toWire(attempt(agent, mintRoot(operator, agent), { parameters: other })))).allowed).toBe(true);
      }
      expect(pass <= SKEW_AND_LIFETIME * 1000 || gate.store.nonces.size < 8).toBe(true);
      wall -= back;
      expect(await gate.check(wire)).toMatchObject({ allowed: false, reason });
    } finally {
      await gate.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

// Nonces of several replicas in a real Redis: what is taken once is taken for all, and whatever Redis forgot is refused.

import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redisVersion, startRedis, type TestRedis, withRedis } from './redis-server.ts';
import { type Replica, seconds, serves, settled, startReplica, until, use, WINDOW } from './replica.ts';

/** The second after a fence, in which what is signed counts again. */
const nextSecond = () => new Promise((resolve) => setTimeout(resolve, 1010 - (Date.now() % 1000)));

describe.skipIf(redisVersion === undefined)(`replicas on one Redis${withRedis}`, () => {
  let redis: TestRedis;
  let a: Replica;
  let b: Replica;
  beforeAll(async () => {
    redis = await startRedis();
    a = await startReplica(redis.section);
    b = await startReplica(redis.section);
    await nextSecond();
  }, 30_000);
  afterAll(async () => {
    await a?.stop();
    await b?.stop();
    await redis?.stop();
  });

  test('the first is the first, on whichever replica the others are', async () => {
    const once = use();
    expect(await a.store.consume(once)).toBe('first');
    expect(await b.store.consume({ ...once, streamId: 'another' })).toBe('replayed');
    expect(await a.store.consume({ ...once, streamId: 'another' })).toBe('replayed');
  });

  test('a Check that Envoy repeats gets the same decision from any replica, and no longer after two seconds', async () => {
    const once = use();
    expect(await a.store.consume(once)).toBe('first');
    const again = { ...once, decisionId: randomUUID() };
    expect(await b.store.consume(again)).toEqual({ repeated: once.decisionId });
    expect(await b.store.consume({ ...again, signature: 'another' })).toBe('replayed');
    await new Promise((resolve) => setTimeout(resolve, 2050));
    expect(await b.store.consume(again)).toBe('replayed');
    const nameless = use({ streamId: '' });
    expect(await a.store.consume(nameless)).toBe('first');
    expect(await b.store.consume(nameless)).toBe('replayed');
  });

  test('of a thousand at once over two replicas one is the first', async () => {
    const once = use();
    const verdicts = await Promise.all(
      Array.from({ length: 1000 }, (_, at) => (at % 2 ? a : b).store.consume({ ...once, streamId: `s${at}` })),
    );
    expect(verdicts.filter((verdict) => verdict === 'first')).toHaveLength(1);
    expect(verdicts.filter((verdict) => verdict === 'replayed')).toHaveLength(999);
  });

  test('no name in Redis tells a nonce, and what is kept there goes away by itself', async () => {
    const once = use();
    await a.store.consume(once);
    const keys = await redis.admin.keys('*5:nonce*');
    expect(keys.length).toBeGreaterThan(0);
    for (const key of await redis.admin.keys('*')) {
      const held = key.includes('6:gossip') ? (await redis.admin.xrange(key, '-', '+')).join() : await redis.admin.get(key);
      expect(key + held).not.toContain(once.entry);
      expect(key + held).not.toContain(once.signature.slice(0, 20));
    }
    for (const key of keys) expect(await redis.admin.pttl(key)).toBeGreaterThan(WINDOW);
  });

  test('a value that the fleet did not make, or made for another key, is a replay', async () => {
    const [once, other] = [use(), use()];
    const before = new Set(await redis.admin.keys('*5:nonce*'));
    await a.store.consume(once);
    const [key = ''] = (await redis.admin.keys('*5:nonce*')).filter((name) => !before.has(name));
    await a.store.consume(other);
    const [another = ''] = (await redis.admin.keys('*5:nonce*')).filter((name) => !before.has(name) && name !== key);
    const own = (await redis.admin.get(key)) ?? '';
    for (const value of ['', 'x'.repeat(100), own.slice(0, -1), `${own}x`, (await redis.admin.get(another)) ?? '']) {
      await redis.admin.set(key, value, 'KEEPTTL');
      expect(await b.store.consume(once)).toBe('replayed');
    }
    await redis.admin.set(key, own, 'KEEPTTL');
    expect(await b.store.consume(once)).toEqual({ repeated: once.decisionId });
    // Of another type: an error, and so no conclusion.
    await redis.admin.del(key);
    await redis.admin.lpush(key, 'x');
    await expect(Promise.resolve(b.store.consume(once))).rejects.toThrow('WRONGTYPE');
    await redis.admin.del(key);
  });

  test('FLUSHALL: what was signed before is refused by every replica, and what is signed then is served', async () => {
    const once = use({ created: seconds() });
    const ahead = use({ created: seconds() + 5 });
    for (const each of [once, ahead]) expect(await a.store.consume(each)).toBe('first');
    await redis.admin.flushall();
    expect(await b.store.consume({ ...once, streamId: 'x' })).toBe('forgotten');
    expect(await a.store.consume(use({ created: seconds() }))).toBe('forgotten');
    // The clock of its client is ahead: the other replica heard of it, and the one that took it moves the fence behind it, for all.
    expect(['replayed', 'forgotten']).toContain(await b.store.consume({ ...ahead, streamId: 'x' }));
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(await b.store.consume({ ...ahead, streamId: 'x' })).toBe('forgotten');
    await until(() => [...a.log, ...b.log].join('').includes('nonces that Redis does not know'));
    await settled(a, b);
  });

  test('an old epoch that is put back is believed by nobody', async () => {
    const keys = await redis.admin.keys('*5:epoch');
    const old = new Map<string, string>();
    for (const key of keys) old.set(key, (await redis.admin.get(key)) ?? '');
    const once = use({ created: seconds() });
    await nextSecond();
    const later = use({ created: seconds() });
    expect(await a.store.consume(later)).toBe('first');
    await redis.admin.flushall();
    expect(await b.store.consume(later)).toBe('forgotten');
    await redis.admin.flushall();
    for (const [key, value] of old) await redis.admin.set(key, value);
    expect(await b.store.consume(later)).toBe('forgotten');
    expect(await b.store.consume(once)).toBe('forgotten');
    await settled(a, b);
  });

  test('an epoch made for another bucket, or by nobody of the fleet, is replaced', async () => {
    const keys = await redis.admin.keys('*5:epoch');
    const [first = ''] = keys;
    const value = (await redis.admin.get(first)) ?? '';
    for (const key of keys) await redis.admin.set(key, value);
    const before = use({ created: seconds() });
    const verdicts = await Promise.all(Array.from({ length: 200 }, () => b.store.consume(use({ created: before.created }))));
    expect(verdicts.filter((verdict) => verdict === 'forgotten').length).toBeGreaterThan(150);
    await settled(a, b);
  });

  test('a nonce whose key somebody removes is known to every replica that heard of it', async () => {
    const once = use();
    expect(await a.store.consume(once)).toBe('first');
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (let at = 0; at < 3; at++) {
      await redis.admin.del(await redis.admin.keys('*5:nonce*'));
      expect(await b.store.consume({ ...once, streamId: 'x' })).toBe('replayed');
      expect(await a.store.consume({ ...once, streamId: 'x' })).toBe('replayed');
    }
  });

  test('a replica that starts later takes no nonce whose key somebody removed before', async () => {
    const once = use();
    const ahead = use({ created: seconds() + 4 });
    for (const each of [once, ahead]) expect(await a.store.consume(each)).toBe('first');
    await new Promise((resolve) => setTimeout(resolve, 200));
    await redis.admin.del(await redis.admin.keys('*5:nonce*'));
    const late = await startReplica(redis.section);
    try {
      expect(await late.store.consume({ ...once, streamId: 'x' })).toBe('forgotten');
      expect(await late.store.consume({ ...ahead, streamId: 'x' })).toBe('replayed');
    } finally {
      await late.stop();
    }
  });

  test('something that is not of the fleet among what replicas tell: an alarm, and a fence', async () => {
    const [stream = ''] = await redis.admin.keys('*6:gossip*');
    const once = use();
    expect(await a.store.consume(once)).toBe('first');
    await redis.admin.xadd(stream, '*', 'batch', 'x'.repeat(100));
    await until(() => [a, b].every(({ log }) => log.join('').includes('not of the fleet')));
    await settled(a, b);
    await redis.admin.del(await redis.admin.keys('*5:nonce*'));
    expect(await b.store.consume({ ...once, streamId: 'x' })).toBe('forgotten');
  });

  test('what was told once and is told again is nothing new', async () => {
    const [stream = ''] = await redis.admin.keys('*6:gossip*');
    const told = (await redis.admin.xrange(stream, '-', '+')).map(([, [, value = '']]) => value);
    const genuine = told.filter((value) => !value.startsWith('xxx')).slice(-20);
    expect(genuine.length).toBeGreaterThan(2);
    const logged = () => a.log.length + b.log.length;
    const before = logged();
    for (const value of genuine) await redis.admin.xadd(stream, '*', 'batch', value);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(logged()).toBe(before);
    await serves(b);
  });

  test('replicas that cannot hear deny, and hear again', async () => {
    const kill = async () => {
      const clients = String(await redis.admin.client('LIST'))
        .split('\n')
        .filter((line) => line.includes('name=hermesbridge-gossip'));
      for (const line of clients) await redis.admin.client('KILL', 'ID', Number(/id=(\d+)/.exec(line)?.[1]));
    };
    const errors: string[] = [];
    for (let at = 0; at < 20; at++) {
      await kill();
      await new Promise((resolve) => setTimeout(resolve, 5));
      await Promise.resolve(b.store.consume(use())).catch((error: Error) => errors.push(error.message));
    }
    expect(errors.filter((message) => message.includes('not heard of')).length).toBeGreaterThan(5);
    const back = performance.now();
    await settled(a, b);
    expect(performance.now() - back).toBeLessThan(3000);
  });

  test('a stream that begins anew behind where it was: a fence, and it goes on', async () => {
    const [stream = ''] = await redis.admin.keys('*6:gossip*');
    const [[, [, value = '']] = ['', []]] = await redis.admin.xrevrange(stream, '+', '-', 'COUNT', 1);
    await redis.admin.xadd(stream, `${Date.now() + 3_600_000}-0`, 'batch', value);
    // Both are there before it begins anew; one that was not waiting just then would find nothing missing.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await redis.admin.del(stream);
    await until(() => [a, b].every(({ log }) => log.join('').includes('what this replica told itself')));
    await settled(a, b);
  });

  test('the quota is each replica’s own', async () => {
    const few = await startReplica(redis.section, Date.now, 2);
    try {
      await nextSecond();
      const verdicts = [];
      for (let at = 0; at < 3; at++) verdicts.push(await few.store.consume(use({ jkt: 'flooder' })));
      expect(verdicts, few.log.join('')).toEqual(['first', 'first', 'quota']);
      expect(await few.store.consume(use({ jkt: 'another' }))).toBe('first');
    } finally {
      await few.stop();
    }
  });

  test('clocks: a little apart is nothing, half a minute is no conclusion and no readiness, and set back again it is over', async () => {
    let offset = 5000;
    const apart = await startReplica(redis.section, () => Date.now() + offset);
    try {
      await serves(apart);
      for (const step of [600_000, -600_000, 31_000]) {
        offset = step;
        await expect(Promise.resolve(apart.store.consume(use()))).rejects.toThrow(/clock is \d+\.\d s/);
        expect(apart.fit).toBe(false);
        offset = 0;
        await until(() => apart.fit);
        await serves(apart);
      }
      offset = 45_000;
      await until(() => !apart.fit);
      expect(apart.log.join('')).toContain('ALARM');
    } finally {
      await apart.stop();
    }
    await expect(startReplica(redis.section, () => Date.now() + 60_000)).rejects.toThrow('clock');
  });

  test('an eviction policy that is set while it runs ends readiness, and the right one brings it back', async () => {
    await redis.admin.config('SET', 'maxmemory', '100mb');
    await redis.admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await until(() => !a.fit && !b.fit);
    await expect(Promise.resolve(a.store.consume(use()))).rejects.toThrow('noeviction');
    await expect(startReplica(redis.section)).rejects.toThrow('maxmemory-policy allkeys-lru');
    await redis.admin.config('SET', 'maxmemory-policy', 'noeviction');
    await until(() => a.fit && b.fit);
    await serves(a);
    // Full: no conclusion, until there is room.
    await redis.admin.config('SET', 'maxmemory', '1mb');
    try {
      await expect(Promise.resolve(a.store.consume(use()))).rejects.toThrow('OOM');
    } finally {
      await redis.admin.config('SET', 'maxmemory', '0');
    }
    await serves(a);
  });

  test('Redis hangs: denied in time, then at once; and served within two seconds after', async () => {
    const c = await startReplica({ ...redis.section, commandTimeoutMillis: 150 });
    redis.signal('SIGSTOP');
    try {
      const started = performance.now();
      await expect(Promise.resolve(c.store.consume(use()))).rejects.toThrow('did not answer');
      expect(performance.now() - started).toBeLessThan(250);
      const then = performance.now();
      await expect(Promise.resolve(c.store.consume(use()))).rejects.toThrow();
      expect(performance.now() - then).toBeLessThan(50);
    } finally {
      redis.signal('SIGCONT');
    }
    const back = performance.now();
    await serves(c);
    expect(performance.now() - back).toBeLessThan(2000);
    await c.stop();
  });

  test('a Redis that lets in anyone is refused, and so is one that is not the right one', async () => {
    const open = await startRedis({
      users: ['user default on nopass ~* &* +@all', 'user hermesbridge on >password-of-the-gateways ~* &* +@all'],
    });
    try {
      await expect(startReplica(open.section)).rejects.toThrow('answers who has no password');
      const { certificates: _, ...elsewhere } = { ...redis.section, certificates: 0, url: open.section.url };
      await expect(startReplica(elsewhere)).rejects.toThrow('cannot be reached');
    } finally {
      await open.stop();
    }
  });

  test('killed and started again, empty: denied at once, nothing old is allowed, and new requests are after two seconds', async () => {
    const once = use({ created: seconds() });
    expect(await a.store.consume(once)).toBe('first');
    await redis.kill();
    const started = performance.now();
    await expect(Promise.resolve(b.store.consume(use()))).rejects.toThrow();
    expect(performance.now() - started).toBeLessThan(250);
    await redis.start();
    const back = performance.now();
    await until(async () => {
      expect(await Promise.resolve(b.store.consume({ ...once, streamId: 'x' })).catch(() => 'none')).not.toBe('first');
      return (await Promise.resolve(b.store.consume(use({ created: seconds() }))).catch(() => 'none')) === 'first';
    });
    expect(performance.now() - back).toBeLessThan(2000);
    expect(await b.store.consume({ ...once, streamId: 'x' })).toBe('forgotten');
  });
});

// B, H13: replay over several replicas that share a Redis, through their real Envoys, and what becomes of the Redis meanwhile.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { hbJson } from '../cli/run-cli.ts';
import { redisVersion, startRedis, type TestRedis, withRedis } from '../stores/redis/redis-server.ts';
import { type SentinelSet, startSentinelSet } from '../stores/redis/sentinels.ts';
import { attempt, toWire } from './attacker.ts';
import { sendCopies, sendHttp1, sendHttp2, type WireRequest } from './raw-http.ts';
import { openScene, type Scene } from './scene.ts';

const REPLAYED = [401, 'nonce-replayed'] as const;
/** The machine is shared: an answer may be late without Redis being so. */
const PATIENT = { commandTimeoutMillis: 3000 };

interface Fleet {
  readonly scene: Scene;
  /** Of each replica's Envoy. */
  readonly ports: readonly number[];
  fresh(): WireRequest;
  /** Status and code of the answer of a replica. */
  send(port: number, wire: WireRequest): Promise<{ status: number; code: string | undefined }>;
  /** Fresh requests to each replica until one is allowed by each. @returns the milliseconds that the last one took */
  untilServed(): Promise<number>;
}

async function openFleet(redis: Record<string, unknown>, replicas: number): Promise<Fleet> {
  // There is no vault that would publish restrictions in this Redis.
  const scene = await openScene({ replicas, redis: { ...PATIENT, ...redis }, restrictions: { feed: 'store' } });
  const ports = [scene.port];
  for (let at = 1; at < replicas; at++) ports.push(Number(new URL((await scene.world.addGateway(`replica-${at}`)).url).port));
  const fresh = () => {
    const { agent, token } = scene.newAgent();
    return toWire(attempt(agent, token));
  };
  const send: Fleet['send'] = async (port, wire) => {
    const { status, body } = await sendHttp1(port, wire);
    return { status, code: status === 200 ? undefined : (JSON.parse(body) as { error: { code: string } }).error.code };
  };
  const untilServed = async () => {
    const started = performance.now();
    for (const port of ports) {
      for (let answer = await send(port, fresh()); answer.status !== 200; answer = await send(port, fresh())) {
        if (performance.now() - started > 20_000) throw new Error(`never served: ${JSON.stringify(answer)}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    return performance.now() - started;
  };
  await untilServed();
  return { scene, ports, fresh, send, untilServed };
}

describe.skipIf(redisVersion === undefined)(`B: replay over replicas${withRedis}`, () => {
  let redis: TestRedis;
  let fleet: Fleet;
  beforeAll(async () => {
    redis = await startRedis();
    fleet = await openFleet(redis.section, 3);
  });
  afterAll(async () => {
    await fleet?.scene.stop();
    await redis?.stop();
  });
  const [first, second, third] = [0, 1, 2].map((at) => () => fleet.ports[at] ?? 0) as [() => number, () => number, () => number];

  test('B2 the same bytes at another replica', async () => {
    const { scene, fresh, send } = fleet;
    const wire = fresh();
    await scene.expectAllowed(wire);
    for (const port of [second(), third(), first()]) {
      expect(await send(port, wire)).toEqual({ status: REPLAYED[0], code: REPLAYED[1] });
      expect((await sendHttp2(port, wire)).status).toBe(401);
    }
    expect(await send(second(), fresh())).toEqual({ status: 200, code: undefined });
  });

  test('B3 a thousand copies at once over three replicas: exactly one is allowed', { timeout: 120_000 }, async () => {
    const wire = fleet.fresh();
    const seen = fleet.scene.world.standIn.requests.length;
    const copies = [334, 333, 333];
    const responses = await Promise.all(fleet.ports.map((port, at) => sendCopies(port, wire, copies[at] ?? 0)));
    const statuses = Map.groupBy(responses.flat(), ({ status }) => status);
    expect([...statuses].map(([status, all]) => [status, all.length]).sort()).toEqual([
      [200, 1],
      [401, 999],
    ]);
    expect(fleet.scene.world.standIn.requests.length - seen).toBe(1);
  });

  test('B2 B6 with every key of its nonce deleted, by whoever is inside Redis', async () => {
    const wire = fleet.fresh();
    expect((await fleet.send(second(), wire)).status).toBe(200);
    await redis.admin.flushall();
    for (const port of [first(), second(), third()]) {
      const { status, code } = await fleet.send(port, wire);
      expect([401, 503]).toContain(status);
      expect(['nonce-replayed', 'signature-expired', 'indeterminate']).toContain(code);
    }
    expect(await fleet.untilServed()).toBeLessThan(5000);
    for (const port of fleet.ports) expect((await fleet.send(port, wire)).status).toBe(401);
  });

  test('B6 killed and back with nothing: 503 meanwhile, at once, and what was allowed before is never again', async () => {
    const wire = fleet.fresh();
    expect((await fleet.send(first(), wire)).status).toBe(200);
    await redis.kill();
    for (const port of fleet.ports) {
      const started = performance.now();
      expect(await fleet.send(port, fleet.fresh())).toEqual({ status: 503, code: 'indeterminate' });
      // Within 250 ms where the machine is not shared.
      expect(performance.now() - started).toBeLessThan(1000);
      expect((await fleet.send(port, wire)).status).not.toBe(200);
    }
    await redis.start();
    expect(await fleet.untilServed()).toBeLessThan(5000);
    for (const port of fleet.ports) expect((await fleet.send(port, wire)).status).toBe(401);
  });

  test('B8 a policy that evicts: running replicas deny, and a further one does not start', { timeout: 120_000 }, async () => {
    await redis.admin.config('SET', 'maxmemory', '200mb');
    await redis.admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      await expect(fleet.scene.world.addGateway('late')).rejects.toThrow(/maxmemory-policy allkeys-lru.*noeviction/);
      await new Promise((resolve) => setTimeout(resolve, 2500));
      // Envoy's own 503 once the health service has told it.
      for (const port of fleet.ports) expect((await sendHttp1(port, fleet.fresh())).status).toBe(503);
    } finally {
      await redis.admin.config('SET', 'maxmemory-policy', 'noeviction');
    }
    expect(await fleet.untilServed()).toBeLessThan(10_000);
  });
});

describe.skipIf(redisVersion === undefined)(`B7: replay after a failover${withRedis}`, () => {
  let set: SentinelSet;
  let fleet: Fleet;
  beforeAll(async () => {
    set = await startSentinelSet();
    fleet = await openFleet(set.section, 2);
  });
  afterAll(async () => {
    await fleet?.scene.stop();
    await set?.stop();
  });

  test('B7 a failover that lost the nonce: refused, and new requests are served again', { timeout: 120_000 }, async () => {
    const [first = 0, second = 0] = fleet.ports;
    const wire = fleet.fresh();
    expect((await fleet.send(first, wire)).status).toBe(200);
    const primary = await set.primary();
    // What was not replicated yet when the primary went. The epochs, which are older, were.
    for (const node of set.nodes) {
      if (node === primary) continue;
      await node.admin.config('SET', 'replica-read-only', 'no');
      for (const key of await node.admin.keys('*5:nonce*')) await node.admin.del(key);
      await node.admin.config('SET', 'replica-read-only', 'yes');
    }
    await primary?.kill();
    const statuses: number[] = [];
    const allowed = () => fleet.send(second, fleet.fresh()).then(({ status }) => status === 200);
    for (const end = Date.now() + 60_000; Date.now() < end && !(await allowed()); ) {
      for (const port of fleet.ports) statuses.push((await fleet.send(port, wire)).status);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    for (const port of fleet.ports) statuses.push((await fleet.send(port, wire)).status);
    expect(statuses).not.toContain(200);
    expect(statuses).toContain(503);
    await fleet.untilServed();
    for (const port of fleet.ports) expect((await fleet.send(port, wire)).status).toBe(401);
  });
});

describe('H13: a Redis that others can read or write is refused', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hb-'));
    await writeFile(join(directory, 'secret'), 'x'.repeat(32), { mode: 0o600 });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  const user = { username: 'hermesbridge', password: { file: 'secret' } };

  const check = async (verify: Record<string, unknown>) => {
    const file = join(directory, 'gateway.yaml');
    const gateway = {
      gateway: { names: ['gateway.local'] },
      trust: { operators: [{ did: 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK' }] },
      providers: { openai: { api: 'openai', credential: { file: 'secret' } } },
    };
    await writeFile(file, stringify({ verify: { ...gateway, ...verify } }));
    return hbJson(['config', 'check', '--config', file]);
  };

  test.each([
    ['H13 without TLS', { url: 'redis://redis.example:6379', ...user }, 'must use TLS'],
    ['H13 Sentinels without TLS', { sentinel: { name: 'n', nodes: ['a.example:1'] }, ...user }, 'must use TLS'],
    ['H13 a Cluster without TLS', { cluster: { nodes: ['a.example:1'] }, ...user }, 'must use TLS'],
    ['H13 without a user', { url: 'rediss://redis.example:6379', password: { file: 'secret' } }, 'is required'],
    ['H13 without a password', { url: 'rediss://redis.example:6379', username: 'hermesbridge' }, 'is required'],
    ['H13 a password in the URL', { url: 'rediss://hermesbridge:hunter2@redis.example:6379' }, 'without a user or a password'],
    [
      'H13 an exception for this machine, for another one',
      { url: 'redis://10.0.0.1:6379', insecureLoopback: true },
      'this machine',
    ],
    [
      'H13 an exception for this machine, for one node that is not',
      { cluster: { nodes: ['127.0.0.1:1', '127.0.0.1.example:2'] }, insecureLoopback: true },
      'this machine',
    ],
  ])('%s', async (_title, redis, message) => {
    const { code, stderr, stdout } = await check({ redis: { ...redis, secret: { file: 'secret' } } });
    expect(code).not.toBe(0);
    expect(stderr + stdout).toContain(message);
    expect(stderr + stdout).not.toContain('hunter2');
  });

  test('H13 a secret that could be guessed', async () => {
    await writeFile(join(directory, 'short'), 'x'.repeat(31), { mode: 0o600 });
    const redis = { url: 'rediss://redis.example', ...user, secret: { file: 'short' } };
    const { code, stderr, stdout } = await check({ redis });
    expect(code).not.toBe(0);
    expect(stderr + stdout).toContain('shorter than 32 bytes');
  });

  test('B2 two replicas without a Redis', async () => {
    const { code, stderr, stdout } = await check({ replicas: 2 });
    expect(code).not.toBe(0);
    expect(stderr + stdout).toContain('needs `redis`');
  });
});

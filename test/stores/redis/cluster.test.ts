// Nonces over a real Redis Cluster: buckets on all nodes, and the failover of one of them.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RedisCluster, startRedisCluster } from './cluster-nodes.ts';
import { redisVersion, withRedis } from './redis-server.ts';
import { type Replica, serves, settled, startReplica, until, use } from './replica.ts';

describe.skipIf(redisVersion === undefined)(`replicas on a Redis Cluster${withRedis}`, () => {
  let cluster: RedisCluster;
  let a: Replica;
  let b: Replica;
  beforeAll(async () => {
    cluster = await startRedisCluster(['min-replicas-to-write 1', 'min-replicas-max-lag 2']);
    a = await startReplica(cluster.section);
    b = await startReplica(cluster.section);
    await settled(a, b);
  });
  afterAll(async () => {
    await a?.stop();
    await b?.stop();
    await cluster?.stop();
  });

  test('nonces are on all nodes, and each is taken once', async () => {
    const uses = Array.from({ length: 200 }, () => use());
    expect(new Set(await Promise.all(uses.map((each) => a.store.consume(each))))).toEqual(new Set(['first']));
    const again = await Promise.all(uses.map((each) => b.store.consume({ ...each, streamId: 'x' })));
    expect(new Set(again)).toEqual(new Set(['replayed']));
    for (const { admin } of cluster.nodes.slice(0, 3)) expect((await admin.keys('*5:nonce*')).length).toBeGreaterThan(20);
  });

  test('a primary goes: its buckets are fenced when its replica takes over, and no nonce is taken twice', {
    timeout: 90_000,
  }, async () => {
    await settled(a, b);
    const uses = Array.from({ length: 200 }, () => use());
    expect(new Set(await Promise.all(uses.map((each) => a.store.consume(each))))).toEqual(new Set(['first']));
    const successor = cluster.nodes[3];
    await cluster.nodes[0]?.kill();
    const verdicts = new Set<string>();
    const replayAll = async () => {
      const all = uses.map((each) => Promise.resolve(b.store.consume({ ...each, streamId: 'x' })).catch(() => 'none'));
      for (const verdict of await Promise.all(all)) verdicts.add(String(verdict));
    };
    await until(async () => {
      await replayAll();
      return String(await successor?.admin.info('replication')).includes('role:master');
    }, 20_000);
    await cluster.nodes[0]?.start();
    await until(async () => {
      await replayAll();
      return Promise.resolve(b.store.consume(use())).then(
        (verdict) => verdict === 'first',
        () => false,
      );
    }, 30_000);
    await serves(a);
    await replayAll();
    expect(verdicts).not.toContain('first');
    expect(verdicts).toContain('none');
    await settled(a, b);
    const late = await Promise.all(uses.map((each) => b.store.consume({ ...each, streamId: 'x' })));
    expect(new Set(late)).not.toContain('first');
    expect(late).toContain('forgotten');
  });
});

test.skipIf(redisVersion === undefined)(
  `a Cluster whose old primaries go on writing is refused${withRedis}`,
  { timeout: 60_000 },
  async () => {
    const cluster = await startRedisCluster([]);
    try {
      await expect(startReplica(cluster.section)).rejects.toThrow('min-replicas-to-write');
    } finally {
      await cluster.stop();
    }
  },
);

// A vault and its gateways over Redis with Sentinel and over a Redis Cluster: restrictions come through, and go on coming through when the
// primary that holds them is replaced, or the node that carries what gateways say of themselves.

import { afterEach, describe, expect, test } from 'vitest';
import { startRedisCluster } from '../stores/redis/cluster-nodes.ts';
import { redisVersion, type TestRedis, withRedis } from '../stores/redis/redis-server.ts';
import { startSentinelSet } from '../stores/redis/sentinels.ts';
import { RestrictionFleet } from './restriction-fleet.ts';

interface Topology {
  readonly section: Record<string, unknown>;
  /** The one that holds the restrictions now. */
  holder(): Promise<TestRedis | undefined>;
  readonly nodes: readonly TestRedis[];
  stop(): Promise<void>;
}

const SLOT = '{12:hermesbridge12:restrictions}';

async function startCluster(): Promise<Topology> {
  const cluster = await startRedisCluster(['min-replicas-to-write 1', 'min-replicas-max-lag 2']);
  const holder = async () => {
    for (const node of cluster.nodes) {
      if (node.admin.status !== 'ready') continue;
      const info = await node.admin.info('replication').catch(() => '');
      if (info.includes('role:master') && (await node.admin.keys(`${SLOT}*`)).length > 0) return node;
    }
    return undefined;
  };
  return { ...cluster, holder };
}

async function startSentinels(): Promise<Topology> {
  const set = await startSentinelSet();
  return { ...set, holder: () => set.primary() };
}

describe.skipIf(redisVersion === undefined).each<[string, () => Promise<Topology>]>([
  ['Sentinel', startSentinels],
  ['a Cluster', startCluster],
])(`restrictions over Redis with %s${withRedis}`, (_, start) => {
  let topology: Topology | undefined;
  let fleet: RestrictionFleet | undefined;
  afterEach(async () => {
    await fleet?.stop();
    await topology?.stop();
  });

  test('in force on every replica when `--wait` returns, before and after the primary that holds them is gone', {
    timeout: 120_000,
  }, async () => {
    topology = await start();
    fleet = await RestrictionFleet.start(topology.section, ['one', 'two']);
    await fleet.allFresh();
    expect(await fleet.acknowledged(await fleet.revoke('before'))).toMatchObject({ acknowledged: true, followers: 2 });
    expect(fleet.everywhere('before')).toEqual([true, true]);

    const former = await topology.holder();
    await former?.kill();
    // Stale meanwhile, unless another primary is there before what they know is too old; restrictions-redis.test.ts holds that they deny.
    await fleet.noneFresh().catch(() => undefined);
    // Kept by the vault while there is nobody to tell.
    const meanwhile = await fleet.revoke('meanwhile');
    await expect.poll(async () => (await topology?.holder())?.port, { timeout: 40_000, interval: 100 }).toBeDefined();
    expect((await topology.holder())?.port).not.toBe(former?.port);
    // Where it was the only other one, its successor takes no writes without it.
    await former?.start();
    await fleet.allFresh();
    expect(await fleet.acknowledged(meanwhile)).toMatchObject({ acknowledged: true, followers: 2 });
    expect(await fleet.acknowledged(await fleet.revoke('after'))).toMatchObject({ acknowledged: true, followers: 2 });
    for (const jti of ['before', 'meanwhile', 'after']) expect(fleet.everywhere(jti)).toEqual([true, true]);

    const newcomer = await fleet.startGateway('newcomer');
    fleet.gateways.push(newcomer);
    await fleet.allFresh();
    expect(['before', 'meanwhile', 'after'].map((jti) => newcomer.isRevoked(jti))).toEqual([true, true, true]);
    expect(await fleet.acknowledged(await fleet.revoke('with three'))).toMatchObject({ acknowledged: true, followers: 3 });
  });

  test('one node after the other restarts: gateways deny meanwhile at most, and miss nothing', { timeout: 180_000 }, async () => {
    topology = await start();
    fleet = await RestrictionFleet.start(topology.section, ['one', 'two']);
    await fleet.allFresh();
    const revoked: string[] = [];
    for (const [at, node] of topology.nodes.entries()) {
      await node.kill();
      const jti = `without node ${at}`;
      revoked.push(jti);
      const sequence = await fleet.revoke(jti);
      await new Promise((resolve) => setTimeout(resolve, 500));
      await node.start();
      await fleet.allFresh();
      await expect.poll(async () => (await fleet?.acknowledged(sequence))?.acknowledged, { timeout: 30_000 }).toBe(true);
      for (const each of revoked) expect(fleet.everywhere(each)).toEqual([true, true]);
      await expect.poll(async () => (await topology?.holder())?.port, { timeout: 40_000, interval: 100 }).toBeDefined();
    }
    expect(await fleet.acknowledged(await fleet.revoke('at the end'))).toMatchObject({ acknowledged: true, followers: 2 });
  });
});

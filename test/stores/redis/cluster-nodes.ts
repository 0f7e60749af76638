/** A Redis Cluster of three primaries with a replica each, all real and over TLS. */
import { freePort } from '../../../examples/quickstart/free-port.ts';
import { ADMIN_PASSWORD, startRedis, type TestRedis } from './redis-server.ts';

export interface RedisCluster {
  /** The `redis` section of a gateway. */
  readonly section: Record<string, unknown>;
  /** Three primaries, then a replica of each. */
  readonly nodes: readonly TestRedis[];
  stop(): Promise<void>;
}

const SLOTS = [
  [0, 5460],
  [5461, 10_922],
  [10_923, 16_383],
] as const;

export async function startRedisCluster(more: readonly string[]): Promise<RedisCluster> {
  const buses = await Promise.all(Array.from({ length: 6 }, () => freePort()));
  const nodes: TestRedis[] = [];
  for (const bus of buses) {
    const cluster = ['cluster-enabled yes', `cluster-port ${bus}`, 'tls-cluster yes', 'cluster-node-timeout 2000'];
    const replication = ['tls-replication yes', 'masteruser admin', `masterauth ${ADMIN_PASSWORD}`, 'repl-diskless-sync-delay 0'];
    const lines = [...cluster, ...replication, 'cluster-require-full-coverage no', ...more];
    nodes.push(await startRedis({ lines, ...(nodes[0] && { certificates: nodes[0].certificates }) }));
  }
  const [first] = nodes;
  if (first === undefined) throw new Error('no node');
  for (const [at, [from, to]] of SLOTS.entries()) await nodes[at]?.admin.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
  for (const [at, { port }] of nodes.entries())
    if (at > 0) await first.admin.call('CLUSTER', 'MEET', '127.0.0.1', port, buses[at] ?? 0);
  await until(async () =>
    (await Promise.all(nodes.map(({ admin }) => admin.cluster('INFO')))).every((info) => String(info).includes('known_nodes:6')),
  );
  for (const at of [0, 1, 2]) {
    const id = await nodes[at]?.admin.call('CLUSTER', 'MYID');
    const follow = async () => (await nodes[at + 3]?.admin.call('CLUSTER', 'REPLICATE', String(id))) === 'OK';
    await until(() => follow().catch(() => false));
  }
  await until(async () =>
    (await Promise.all(nodes.map(({ admin }) => admin.cluster('INFO')))).every((info) => String(info).includes('state:ok')),
  );
  await until(async () =>
    (await Promise.all(nodes.slice(0, 3).map(({ admin }) => admin.info('replication')))).every((info) =>
      /slave0:.*state=online/.test(info),
    ),
  );
  const { url: _, ...section } = first.section;
  return {
    section: { ...section, cluster: { nodes: nodes.slice(0, 2).map(({ port }) => `127.0.0.1:${port}`) } },
    nodes,
    stop: async () => {
      for (const node of nodes.toReversed()) await node.stop();
    },
  };
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the cluster does not come about');
}

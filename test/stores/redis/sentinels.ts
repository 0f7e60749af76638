/** A primary, two replicas and a Sentinel, all real and over TLS: what is left after one failover still takes writes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../examples/quickstart/free-port.ts';
import { ADMIN_PASSWORD, run, startRedis, type TestRedis, tlsLines } from './redis-server.ts';

export interface SentinelSet {
  /** The `redis` section of a gateway. */
  readonly section: Record<string, unknown>;
  readonly nodes: readonly TestRedis[];
  /** Whichever of the nodes is it now. */
  primary(): Promise<TestRedis | undefined>;
  stop(): Promise<void>;
}

const NAME = 'nonces';

export interface SentinelSetOptions {
  /** Stands before the first primary: all others know it by this port. */
  readonly before?: { readonly port: number; lead(port: number): void };
  /** Until the Sentinel takes a primary for gone. */
  readonly downAfterMillis?: number;
  /** How long a primary goes on taking writes when no replica hears it. */
  readonly maxLagSeconds?: number;
}

export async function startSentinelSet(options: SentinelSetOptions = {}): Promise<SentinelSet> {
  const { before, downAfterMillis = 1000, maxLagSeconds = 2 } = options;
  const replication = ['tls-replication yes', 'masteruser admin', `masterauth ${ADMIN_PASSWORD}`, 'repl-diskless-sync-delay 0'];
  const lines = [
    ...replication,
    'min-replicas-to-write 1',
    `min-replicas-max-lag ${maxLagSeconds}`,
    'repl-ping-replica-period 1',
  ];
  const announced = before === undefined ? [] : ['replica-announce-ip 127.0.0.1', `replica-announce-port ${before.port}`];
  const first = await startRedis({ lines: [...lines, ...announced] });
  before?.lead(first.port);
  const seenAt = before?.port ?? first.port;
  const { certificates } = first;
  const following = { lines: [...lines, `replicaof 127.0.0.1 ${seenAt}`], certificates };
  const nodes = [first, await startRedis(following), await startRedis(following)];
  const directory = await mkdtemp(join(tmpdir(), 'hb-sentinel-'));
  const port = await freePort();
  const watch = [
    `monitor ${NAME} 127.0.0.1 ${seenAt} 1`,
    `auth-user ${NAME} admin`,
    `auth-pass ${NAME} ${ADMIN_PASSWORD}`,
    `down-after-milliseconds ${NAME} ${downAfterMillis}`,
    `failover-timeout ${NAME} 5000`,
  ];
  await writeFile(
    join(directory, 'sentinel.conf'),
    [
      ...tlsLines(port, certificates),
      'tls-replication yes',
      `dir ${directory}`,
      ...watch.map((line) => `sentinel ${line}`),
      '',
    ].join('\n'),
  );
  const sentinel = await run(directory, 'sentinel.conf', '--sentinel');
  const { url: _, ...section } = first.section;
  const set: SentinelSet = {
    section: { ...section, sentinel: { name: NAME, nodes: [`127.0.0.1:${port}`] } },
    nodes,
    primary: async () => {
      for (const node of nodes) {
        if (node.admin.status !== 'ready') continue;
        const info = await node.admin.info('replication').catch(() => '');
        if (info.includes('role:master') && /min_slaves_good_slaves:[1-9]/.test(info)) return node;
      }
      return undefined;
    },
    stop: async () => {
      sentinel.kill('SIGKILL');
      for (const node of nodes) await node.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
  // The Sentinel asks the primary for its replicas every ten seconds: without them it has nobody to promote.
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    if (await set.primary()) return set;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await set.stop();
  throw new Error('the replicas do not follow');
}

// The world of a run: Redis, a vault, three replicas of the gateway, the agents, and the traffic between them. All of it is real but for
// the agents and the provider.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { NO_NAME, OWN, type Site, selfSigned, startSite } from '../attacks/own-site.ts';
import { startRedis, type TestRedis } from '../stores/redis/redis-server.ts';
import { type SentinelSet, startSentinelSet } from '../stores/redis/sentinels.ts';
import { type Cast, makeCast, REVOKED } from './agents.ts';
import { type GatewayReplica, startGateway } from './gateway.ts';
import { GoawayInterposer } from './goaway.ts';
import { startSharedEnvoy } from './shared-envoy.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';
import { epochMillis, startTraffic, type Traffic } from './traffic.ts';
import { type RunVault, startVault } from './vault.ts';

/**
 * `single`: one Redis, each replica with its own Envoy. `sentinel`: the same over a primary, two replicas and a Sentinel, which see
 * the primary through `primaryProxy`; the first gateway sees it through `pinnedProxy` and no Sentinel. `shared`: one Redis, one Envoy
 * before all replicas.
 */
export type WorldKind = 'single' | 'sentinel' | 'shared';
export type ServiceProxy = TcpProxy<GoawayInterposer>;

export interface World {
  readonly kind: WorldKind;
  readonly redis: TestRedis | undefined;
  readonly set: SentinelSet | undefined;
  readonly primaryProxy: TcpProxy<never> | undefined;
  readonly pinnedProxy: TcpProxy<never> | undefined;
  readonly replicas: readonly GatewayReplica[];
  /** Ports of the Envoys that clients come to; of a shared one, `direct` to the services and by way of `proxies`. */
  readonly ports: readonly number[];
  readonly proxiedPort: number | undefined;
  readonly proxies: readonly ServiceProxy[];
  readonly vault: RunVault;
  readonly cast: Cast;
  readonly site: Site | undefined;
  readonly traffic: Traffic;
  /** When a revocation was in force everywhere, by the agent's name. */
  readonly revokedAt: ReadonlyMap<string, number>;
  /** @returns the milliseconds until it was in force everywhere */
  revoke(agent: string): Promise<number>;
  stop(): Promise<void>;
}

export const STALE_SECONDS = 4;
const REPLICAS = ['one', 'two', 'three'];

export async function startRunWorld(kind: WorldKind): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-chaos-'));
  const stops: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  const stop = async () => {
    for (let last = stops.pop(); last !== undefined; last = stops.pop()) await last();
  };
  const keep = async <T>(starting: Promise<T>, end: (started: T) => Promise<unknown>): Promise<T> => {
    const started = await starting;
    stops.push(() => end(started));
    return started;
  };
  const keepProxy = () => keep(startTcpProxy<never>(), (proxy) => proxy.stop());
  try {
    const [primaryProxy, pinnedProxy] = kind === 'sentinel' ? [await keepProxy(), await keepProxy()] : [];
    const set =
      primaryProxy && (await keep(startSentinelSet({ before: primaryProxy, ...SENTINEL }), (started) => started.stop()));
    const redis = set ? undefined : await keep(startRedis(), (started) => started.stop());
    const primary = redis ?? set?.nodes[0];
    if (primary === undefined) throw new Error('no Redis');
    pinnedProxy?.lead(primary.port);
    endWithUs(redis ? [redis] : (set?.nodes ?? []));

    const { tls, site } = await openSite(keep);
    const cast = makeCast(site);
    const traffic = await keep(startTraffic(cast), (started) => started.stop());
    const redisSection = (redis ?? set)?.section ?? {};
    const vault = await keep(
      startVault({ directory, certificates: primary.certificates, redis: redisSection, operator: cast.operator }),
      (started) => started.stop(),
    );
    await writeFile(join(directory, 'provider.key'), 'sk-chaos-0123456789', { mode: 0o600 });
    await writeFile(join(directory, 'site.crt'), tls?.cert ?? '');
    const verify = {
      gateway: { names: ['gateway.local'], authorities: ['gateway.local'] },
      trust: { operators: [{ did: cast.operator.did, vouchesForAgents: true }] },
      ...(site && { resolution: resolutionOf(site) }),
      providers: {
        openai: { api: 'openai', upstream: `http://127.0.0.1:${traffic.upstreamPort}`, credential: { file: 'provider.key' } },
      },
      restrictions: { maxStaleSeconds: STALE_SECONDS },
      replicas: REPLICAS.length,
      // Where Redis is not the subject, a machine that stalls is no reason to deny.
      redis: { ...redisSection, ...(kind === 'shared' && { commandTimeoutMillis: 2000 }) },
    };
    const replicas: GatewayReplica[] = [];
    for (const [at, name] of REPLICAS.entries()) {
      const { sentinel: _, ...pinned } = { ...redisSection, url: `rediss://localhost:${pinnedProxy?.port}` } as Record<
        string,
        unknown
      >;
      const own = pinnedProxy && at === 0 ? { ...verify, redis: pinned } : verify;
      const command = kind === 'shared' ? 'serve' : 'up';
      const starting = startGateway({ directory, name, port: await freePort(), command, verify: own });
      replicas.push(await keep(starting, (started) => started.stop()));
    }
    const proxies: ServiceProxy[] = [];
    let ports = replicas.map(({ port }) => port);
    let proxiedPort: number | undefined;
    if (kind === 'shared') {
      for (const { port } of replicas) {
        const proxy = await keep(
          startTcpProxy(() => new GoawayInterposer()),
          (started) => started.stop(),
        );
        proxy.lead(port);
        proxies.push(proxy);
      }
      const upstreamPort = traffic.upstreamPort;
      const providerKeyFile = join(directory, 'provider.key');
      const envoy = (name: string, endpoints: readonly number[]) =>
        keep(startSharedEnvoy({ directory: join(directory, name), endpoints, upstreamPort, providerKeyFile }), (started) =>
          started.stop(),
        );
      const direct = await envoy('direct', ports);
      const proxied = await envoy(
        'proxied',
        proxies.map(({ port }) => port),
      );
      ports = [direct.ports.gateway ?? 0];
      proxiedPort = proxied.ports.gateway;
    }
    const revokedAt = new Map<string, number>();
    const revoke = async (name: string) => {
      const agent = cast.agents.find((one) => one.name === name);
      if (agent === undefined) throw new Error(`no agent ${name}`);
      const began = epochMillis();
      await vault.revoke(agent.holder.did);
      revokedAt.set(name, epochMillis());
      return epochMillis() - began;
    };
    await revoke(REVOKED);
    return {
      ...{ kind, redis, set, primaryProxy, pinnedProxy, replicas, ports, proxiedPort, proxies },
      ...{ vault, cast, site, traffic, revokedAt, revoke, stop },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * A primary that is cut off takes writes for its `min-replicas-max-lag` and a little; another one must not be made before that, or
 * both would take the same nonce.
 */
const SENTINEL = { downAfterMillis: 5000, maxLagSeconds: 2 };

async function openSite(keep: <T>(starting: Promise<T>, end: (started: T) => Promise<unknown>) => Promise<T>) {
  if (NO_NAME !== '') return { tls: undefined, site: undefined };
  const tls = await selfSigned(OWN.name);
  return { tls, site: await keep(startSite(tls), (started) => started.close()) };
}

function resolutionOf({ host }: Site) {
  const allowedAddresses = OWN.addresses.map((address) => `${address}/32`);
  return { web: [host], trustedCa: 'site.crt', allowedAddresses, timeoutMillis: 3000 };
}

/** A run that is killed, too, leaves no server behind that it can end. */
function endWithUs(nodes: readonly TestRedis[]): void {
  process.once('exit', () => {
    for (const node of nodes) node.signal('SIGKILL');
  });
}

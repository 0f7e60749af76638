// The systems in turns within one run: what the machine does meanwhile then happens to all of them.

import type { BenchWorld } from './bench-world.ts';
import { CHAT_PATH, chatBody } from './credentials.ts';
import type { BatchOrder } from './load-protocol.ts';
import { startOpaEnvoy } from './opa-envoy.ts';
import { startProgram, untilListening } from './program.ts';
import { warmGateway } from './warm-gateway.ts';

export interface BenchSystem {
  readonly name: string;
  readonly listener: string;
  /** What its requests carry. The floor gets the same signed requests as we do, so that the messages are of one size. */
  readonly carries: 'signature' | 'chain' | 'bearer';
  /** The authorization service; without one Envoy decides by itself. */
  readonly pid: number | undefined;
  /** Whether V8 compiles it as it runs. */
  readonly compiles: boolean;
}

export interface Measured {
  /** The authorization process's, or what Envoy's filter takes beyond plain proxying. */
  readonly cpuPerDecisionMicros: number;
  /** Of Envoy itself. */
  readonly envoyPerDecisionMicros: number;
  readonly throughput: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export type Round = ReadonlyMap<string, Measured>;

export interface RoundSettings {
  readonly seconds: number;
  readonly connections: number;
}

const WARMUP_MILLIS = 700;

/** Starts the services and leaves them to {@link BenchWorld.stop}; OPA-Envoy only where it is named. */
export async function startSystems(world: BenchWorld, opaEnvoy: string | undefined): Promise<BenchSystem[]> {
  const systems: BenchSystem[] = [{ name: 'plain', listener: 'plain', carries: 'bearer', pid: undefined, compiles: false }];
  const { okOnly: socket, opaEnvoy: opaSocket } = world.sockets;
  const okOnly = startProgram(process.execPath, [new URL('./ok-only.ts', import.meta.url).pathname, socket]);
  world.onStop(okOnly.stop);
  await untilListening(okOnly, socket);
  systems.push({ name: 'ok-only', listener: 'ok-only', carries: 'signature', pid: okOnly.pid, compiles: true });
  if (opaEnvoy) {
    const opa = await startOpaEnvoy(opaEnvoy, world.directory, opaSocket, world.credentials.jwks);
    world.onStop(opa.stop);
    systems.push({ name: 'opa-envoy', listener: 'opa-envoy', carries: 'bearer', pid: opa.pid, compiles: false });
  }
  return [...systems, { name: 'jwt_authn', listener: 'jwt_authn', carries: 'bearer', pid: undefined, compiles: false }];
}

/** Load for the programs that V8 compiles as they run; the peers that are compiled already get one turn. @throws {VoidRun} */
export async function warm(
  world: BenchWorld,
  systems: readonly BenchSystem[],
  settings: RoundSettings,
  seconds: number,
): Promise<void> {
  for (const system of systems) {
    const port = world.envoy.ports[system.listener] ?? 0;
    if (system.compiles) await warmGateway(world.load, port, () => credentialOf(world, system), seconds);
    else await measureSystem(world, system, settings);
  }
}

/** One turn for each system, beginning with another one each round. @throws {VoidRun} */
export async function measureRound(
  world: BenchWorld,
  systems: readonly BenchSystem[],
  settings: RoundSettings,
  round: number,
): Promise<Round> {
  const results = new Map<string, Measured>();
  for (const [at] of systems.entries()) {
    const system = systems[(at + round) % systems.length];
    if (system !== undefined) results.set(system.name, await measureSystem(world, system, settings));
  }
  const jwt = results.get('jwt_authn');
  const plain = results.get('plain');
  if (jwt && plain)
    results.set('jwt_authn', { ...jwt, cpuPerDecisionMicros: jwt.envoyPerDecisionMicros - plain.envoyPerDecisionMicros });
  return results;
}

async function measureSystem(world: BenchWorld, system: BenchSystem, { seconds, connections }: RoundSettings): Promise<Measured> {
  const pids = [world.envoy.pid, ...(system.pid === undefined ? [] : [system.pid])];
  await world.load.prepare(batchFor(world, system, seconds));
  const port = world.envoy.ports[system.listener] ?? 0;
  const run = await world.load.run({ port, connections, warmupMillis: WARMUP_MILLIS, millis: seconds * 1000, pids });
  const [envoy = Number.NaN, service = 0] = run.cpuMicros;
  return {
    cpuPerDecisionMicros: service / run.decisions,
    envoyPerDecisionMicros: envoy / run.decisions,
    throughput: run.decisions / run.seconds,
    p50Ms: run.p50Ms,
    p99Ms: run.p99Ms,
  };
}

/** Signed before the interval begins, since signing costs more than sending. The interval ends early where these are not enough. */
const MOST_PER_SECOND = 6000;

export function batchFor(world: BenchWorld, system: Pick<BenchSystem, 'carries'>, seconds: number): BatchOrder {
  const count = Math.ceil((seconds + WARMUP_MILLIS / 1000) * MOST_PER_SECOND);
  const credential = credentialOf(world, system);
  return { path: CHAT_PATH, body: chatBody(1024), count: 'bearer' in credential ? count * 10 : count, credential };
}

function credentialOf({ credentials }: BenchWorld, { carries }: Pick<BenchSystem, 'carries'>): BatchOrder['credential'] {
  const { agentKey, capability, delegated, bearer } = credentials;
  if (carries === 'bearer') return { bearer };
  return { ...(carries === 'chain' ? delegated : { key: agentKey, capability }), lifetimeSeconds: 60 };
}

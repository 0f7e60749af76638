// Decisions of the running program behind Envoy, at a fixed rate: every request signed anew, by one of a thousand agents or by any of
// all. The two in turns, so that what the machine does meanwhile happens to both.

import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchWorld } from '../bench-world.ts';
import { cpuMicros } from '../cpu-time.ts';
import { CHAT_PATH, chatBody } from '../credentials.ts';
import type { Hermesbridge } from '../hermesbridge.ts';
import { median } from '../median.ts';
import { warmGateway } from '../warm-gateway.ts';
import type { MadeVault } from './make-vault.ts';

export const FEW = 1000;
const CONNECTIONS = 32;
const LIFETIME_SECONDS = 60;

export interface Turn {
  readonly decisions: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuPerDecisionMicros: number;
  /** By how much the load generator was behind its plan. */
  readonly lateP99Ms: number;
}

export interface TurnSettings {
  readonly seconds: number;
  readonly perSecond: number;
  /** Requests before those that are measured; so many agents are in use where there are few. */
  readonly warmups?: number;
}

/** Numbers of the agents of the requests, those of the warm-up first. */
export type Choice = (requests: number, warmups: number) => Uint32Array;

/** In the warm-up each of them once: what a gateway with few agents in use has in memory. */
export function fewOf({ agents }: MadeVault): Choice {
  const step = Math.floor(agents / FEW);
  return (requests, warmups) =>
    Uint32Array.from({ length: requests }, (_, at) => (at < warmups ? at % FEW : randomInt(FEW)) * step);
}

export function anyOf({ agents }: MadeVault): Choice {
  return (requests) => Uint32Array.from({ length: requests }, () => randomInt(agents));
}

/** Before all turns. @throws {VoidRun} */
export function warmUp(world: BenchWorld, { fleet }: MadeVault, choose: Choice, seconds: number): Promise<void> {
  const credentialOf = (requests: number) => ({ fleet, agents: choose(requests, 0), lifetimeSeconds: LIFETIME_SECONDS });
  return warmGateway(world.load, world.envoy.ports.gateway ?? 0, credentialOf, seconds);
}

/** @throws {VoidRun} */
export async function runTurn(
  world: BenchWorld,
  gateway: Hermesbridge,
  { fleet }: MadeVault,
  choose: Choice,
  { seconds, perSecond, warmups = FEW }: TurnSettings,
): Promise<Turn> {
  const warmupMillis = (warmups / perSecond) * 1000;
  const requests = warmups + Math.ceil(seconds * perSecond) + 1;
  const credential = { fleet, agents: choose(requests, warmups), lifetimeSeconds: LIFETIME_SECONDS };
  await world.load.prepare({ path: CHAT_PATH, body: chatBody(1024), count: requests, credential });
  const run = await world.load.run({
    port: world.envoy.ports.gateway ?? 0,
    connections: CONNECTIONS,
    warmupMillis,
    millis: seconds * 1000,
    perSecond,
    pids: [gateway.pid],
  });
  const { decisions, p50Ms, p99Ms, lateP99Ms = Number.NaN, cpuMicros: cpu } = run;
  const cpuPerDecisionMicros = (cpu[0] ?? Number.NaN) / decisions;
  return { decisions, p50Ms, p99Ms, cpuPerDecisionMicros, lateP99Ms };
}

/** Medians over turns. */
export function summary(turns: readonly Turn[]): Turn {
  const of = (what: keyof Turn) => median(turns.map((turn) => turn[what]));
  return {
    decisions: of('decisions'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    cpuPerDecisionMicros: of('cpuPerDecisionMicros'),
    lateP99Ms: of('lateP99Ms'),
  };
}

const IDLE_SHARE = 0.05;
const LONGEST_WORK_MILLIS = 15 * 60_000;

/** A program with a large store looks through it after its start. @returns the seconds until it was at rest @throws when it never is */
export async function untilIdle({ pid }: Hermesbridge): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const [before, from] = [cpuMicros(pid), performance.now()];
    await sleep(2000);
    const share = (cpuMicros(pid) - before) / 1000 / (performance.now() - from);
    if (share < IDLE_SHARE) return (from - startedAt) / 1000;
    if (performance.now() - startedAt > LONGEST_WORK_MILLIS) throw new Error('the program does not come to rest');
  }
}

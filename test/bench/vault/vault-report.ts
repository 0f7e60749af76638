// What was measured of the vault, as text with the goals beside it and as JSON. Goals are reported and never asserted, as in the
// other bench.

import type { Machine } from '../bench-world.ts';
import { median } from '../median.ts';
import type { Percentiles } from '../percentiles.ts';
import type { UsedMemory } from '../used-memory.ts';
import { summary, type Turn } from './decisions.ts';
import type { GatewayResults } from './gateways.ts';
import type { MakingFigures } from './make-vault.ts';
import { CONNECTIONS } from './register-over-api.ts';
import type { ResolveTimes } from './resolve-times.ts';

export interface VaultBenchResult extends GatewayResults {
  readonly machine: Machine;
  readonly agents: number;
  readonly perSecond: number;
  readonly seconds: number;
  /** Of the vault; those of an earlier run where it was made then. */
  readonly making: MakingFigures;
  readonly resolving: ResolveTimes;
  /** Medians of `few` and `all`, and of the ratio of their p99s within each round. */
  readonly medians: { readonly few: Turn; readonly all: Turn; readonly p99Ratio: number };
}

const MOST_RATIO = 1.2;
/** Noise of the collector, and nonces that leave while others come. */
const MOST_GROWTH_MIB = 8;

export function mediansOf({ few, all }: GatewayResults): VaultBenchResult['medians'] {
  const ratios = all.map(({ p99Ms }, round) => p99Ms / (few[round]?.p99Ms ?? Number.NaN));
  return { few: summary(few), all: summary(all), p99Ratio: median(ratios) };
}

export function report(result: VaultBenchResult): string[] {
  const { agents, perSecond, making, resolving, start, medians, memory, bounded, firstSight } = result;
  const { api, store, bulk, bytes } = making;
  const ms = ({ p50, p99 }: Percentiles) => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
  const µs = ({ p50, p99 }: Percentiles) => `p50 ${(p50 * 1000).toFixed(2)} µs, p99 ${(p99 * 1000).toFixed(2)} µs`;
  const rate = (value: number) => `${value.toFixed(0)}/s`;
  const turn = (name: string, { p50Ms, p99Ms, cpuPerDecisionMicros, lateP99Ms }: Turn) =>
    `  ${name}: p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, CPU ${cpuPerDecisionMicros.toFixed(0)} µs/decision (the generator was late by ${lateP99Ms.toFixed(2)} ms, p99)`;
  const used = ({ rss, heap }: UsedMemory) => `rss ${rss.toFixed(0)} MiB, heap ${heap.toFixed(1)} MiB`;
  return [
    `${agents} agents, each with a did:webvh log of its own, of one operator in the same vault`,
    '',
    `registering over the API (${CONNECTIONS} connections kept alive, a signed write each, durable before its answer, the client on the same cores):`,
    `  into the empty vault ${rate(api.empty.perSecond)}, p50 ${api.empty.p50Ms.toFixed(1)} ms, p99 ${api.empty.p99Ms.toFixed(1)} ms`,
    `  into the full vault, while it looks through its file ${rate(api.full.perSecond)}, p50 ${api.full.p50Ms.toFixed(1)} ms, p99 ${api.full.p99Ms.toFixed(1)} ms`,
    `registering in bulk (the entries are genuine, but were not verified again on the way in): the store alone ${rate(store.perSecond)}; with making the entries ${rate(bulk.perSecond)}`,
    `file: ${(bytes.file / 2 ** 20).toFixed(0)} MiB, of which ${(bytes.free / 2 ** 20).toFixed(0)} MiB free pages; ${bytes.perAgent.toFixed(0)} bytes per agent`,
    `start to first answered Check: ${median(start.seconds).toFixed(2)} s (gateway and vault in one process); the file was looked through ${start.untilAtRest.toFixed(0)} s later`,
    '',
    `resolving one of ${agents} (${resolving.agents} of them):`,
    `  never seen, its log verified: ${ms(resolving.firstSight)}`,
    `  seen before, not in memory: ${ms(resolving.cold)}`,
    resolving.coldFromDisk === undefined
      ? '  the same with the files only on disk: not measured here'
      : `  the same with the files only on disk: ${ms(resolving.coldFromDisk)}`,
    `  in memory: ${µs(resolving.warm)}`,
    '',
    `decisions at ${perSecond} per second, behind Envoy, medians of ${result.few.length} turns of ${result.seconds} s:`,
    turn('1,000 agents in use', medians.few),
    turn(`all ${agents} in use`, medians.all),
    `  all at first sight, ${Math.min(50, perSecond)} per second: p50 ${firstSight.p50Ms.toFixed(2)} ms, p99 ${firstSight.p99Ms.toFixed(2)} ms`,
    '',
    'memory of the process that is gateway and vault:',
    `  default bounds (10,000 documents and chains): ${used(memory)}`,
    `  bounds of ${bounded.entries}: with 1,000 in use ${used(bounded.few)}; with all ${used(bounded.all)}`,
    '',
  ];
}

export function vaultGoals({ medians, memory, bounded, agents }: VaultBenchResult): string[] {
  const growth = bounded.all.heap - bounded.few.heap;
  return [
    verdict(`p99 of a decision with ${agents} agents in use against 1,000`, medians.p99Ratio, MOST_RATIO, '×'),
    verdict(
      `heap with ${agents} agents in use above that with 1,000, within bounds of ${bounded.entries}`,
      growth,
      MOST_GROWTH_MIB,
      ' MiB',
    ),
    verdict(
      `heap with bounds of ${bounded.entries} against that with the default ones, all agents in use`,
      bounded.all.heap / memory.heap,
      1,
      '×',
    ),
  ];
}

function verdict(what: string, value: number, most: number, unit: string): string {
  return `${value <= most ? 'reached     ' : 'FALLS SHORT '}  ${what}: ${value.toFixed(2)}${unit} (goal: at most ${most}${unit})`;
}

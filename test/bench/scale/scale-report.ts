// What was measured with many revocations and nonces, as text with the goals beside it. Goals are reported and never asserted.

import type { Machine } from '../bench-world.ts';
import { median } from '../median.ts';
import type { UsedMemory } from '../used-memory.ts';
import type { Ready } from './ready-time.ts';

export interface ScaleTurn {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** By how much the load generator was behind its plan. */
  readonly lateP99Ms: number;
  readonly cpuPerDecisionMicros: number;
}

export interface ScaleMode {
  readonly shared: boolean;
  readonly full: readonly ScaleTurn[];
  readonly none: readonly ScaleTurn[];
  /** After all turns. */
  readonly memory: { readonly full: UsedMemory; readonly none: UsedMemory };
  /** Of the two gateways, with what was in their files. */
  readonly startSeconds: { readonly full: number; readonly none: number };
  /** Of new replicas with an empty store. */
  readonly ready: readonly Ready[];
  readonly redisBytes: number | undefined;
  readonly emptyRedisBytes: number | undefined;
}

export interface ScaleBenchResult {
  readonly machine: Machine;
  readonly restrictions: number;
  readonly nonces: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly modes: readonly ScaleMode[];
}

const MOST_RATIO = 1.2;
const MOST_READY_SECONDS = 10;
const nameOf = ({ shared }: ScaleMode) => (shared ? 'with Redis' : 'embedded');

export function shown({ p50Ms, p99Ms, lateP99Ms, cpuPerDecisionMicros }: ScaleTurn): string {
  const times = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, CPU ${cpuPerDecisionMicros.toFixed(0)} µs/decision`;
  return `${times} (the generator was late by ${lateP99Ms.toFixed(2)} ms, p99)`;
}

/** Medians. */
function summary(turns: readonly ScaleTurn[]): ScaleTurn {
  const of = (what: keyof ScaleTurn) => median(turns.map((turn) => turn[what]));
  return {
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    lateP99Ms: of('lateP99Ms'),
    cpuPerDecisionMicros: of('cpuPerDecisionMicros'),
  };
}

/** Median of the ratio within each round. */
function ratio({ full, none }: ScaleMode): number {
  return median(full.map(({ p99Ms }, round) => p99Ms / (none[round]?.p99Ms ?? Number.NaN)));
}

const readySeconds = ({ ready }: ScaleMode) => median(ready.map(({ serving, firstAllowed }) => Math.max(serving, firstAllowed)));

export function report({ modes, restrictions, nonces, perSecond, seconds }: ScaleBenchResult): string[] {
  return modes.flatMap((mode) => {
    const { full, none, memory, ready, startSeconds, redisBytes, emptyRedisBytes } = mode;
    const used = ({ rss, heap }: UsedMemory) => `rss ${rss.toFixed(0)} MiB, heap ${heap.toFixed(1)} MiB`;
    const mebibytes = (bytes = Number.NaN) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
    return [
      `${nameOf(mode)}, decisions at ${perSecond} per second, medians of ${full.length} turns of ${seconds} s each:`,
      `  with ${restrictions} revocations and ${nonces} live nonces: ${shown(summary(full))}`,
      `  with none: ${shown(summary(none))}`,
      `  memory of the gateway: ${used(memory.full)}; with none ${used(memory.none)}`,
      `  start of the gateway to its first allowed request: ${startSeconds.full.toFixed(2)} s, ${startSeconds.none.toFixed(2)} s with none`,
      ...(redisBytes === undefined
        ? []
        : [`  Redis: used_memory ${mebibytes(redisBytes)}, ${mebibytes(emptyRedisBytes)} with none`]),
      ...(ready.length === 0
        ? []
        : [
            `  new replicas with an empty store (${ready.length}): SERVING after ${median(ready.map(({ serving }) => serving)).toFixed(2)} s, first request allowed after ${median(ready.map(({ firstAllowed }) => firstAllowed)).toFixed(2)} s`,
          ]),
      '',
    ];
  });
}

export function scaleGoals({ modes }: ScaleBenchResult): string[] {
  return modes.flatMap((mode) => [
    verdict(`${nameOf(mode)}: p99 of a decision with both against with none`, ratio(mode), MOST_RATIO, '×'),
    ...(mode.ready.length === 0
      ? []
      : [verdict(`${nameOf(mode)}: a new replica is ready`, readySeconds(mode), MOST_READY_SECONDS, ' s')]),
  ]);
}

function verdict(what: string, value: number, most: number, unit: string): string {
  return `${value <= most ? 'reached     ' : 'FALLS SHORT '}  ${what}: ${value.toFixed(2)}${unit} (goal: at most ${most}${unit})`;
}

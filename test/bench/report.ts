// What was measured, as a table with the goals beside it and as JSON. Goals are reported and never asserted: a bench that fails
// on a busy machine says nothing.

import type { Machine } from './bench-world.ts';
import type { FirstByte } from './first-byte.ts';
import { median } from './median.ts';
import type { MemoryResult } from './memory.ts';
import type { Measured, Round } from './systems.ts';

export interface BenchResult {
  readonly machine: Machine;
  readonly rounds: number;
  readonly systems: Readonly<Record<string, Measured>>;
  /** Medians over the rounds of the ratio within each round. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly firstByte: FirstByte;
  readonly startToFirstCheckMs: number;
  readonly memory: MemoryResult | undefined;
}

const OURS = 'hermesbridge';
/** Our service again, asked with a chain of links. */
export const WITH_CHAIN = 'with a chain';

export function medians(rounds: readonly Round[]): Record<string, Measured> {
  const names = [...(rounds[0]?.keys() ?? [])];
  const of = (name: string, what: keyof Measured) => median(rounds.map((round) => round.get(name)?.[what] ?? Number.NaN));
  return Object.fromEntries(
    names.sort().map((name) => [
      name,
      {
        cpuPerDecisionMicros: of(name, 'cpuPerDecisionMicros'),
        envoyPerDecisionMicros: of(name, 'envoyPerDecisionMicros'),
        throughput: of(name, 'throughput'),
        p50Ms: of(name, 'p50Ms'),
        p99Ms: of(name, 'p99Ms'),
      },
    ]),
  );
}

export function ratios(rounds: readonly Round[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const peer of ['ok-only', 'opa-envoy', 'jwt_authn']) {
    if (rounds[0]?.has(peer) !== true) continue;
    for (const [what, key] of [['cpu', 'cpuPerDecisionMicros'] as const, ['p99', 'p99Ms'] as const]) {
      const each = rounds.map((round) => (round.get(OURS)?.[key] ?? Number.NaN) / (round.get(peer)?.[key] ?? Number.NaN));
      found[`${what} vs ${peer}`] = median(each);
    }
  }
  if (rounds[0]?.has(WITH_CHAIN)) {
    const cpu = (round: Round, name: string) => round.get(name)?.cpuPerDecisionMicros ?? Number.NaN;
    found[CHAIN_RATIO] = median(rounds.map((round) => cpu(round, WITH_CHAIN) / cpu(round, OURS)));
  }
  return found;
}

const CHAIN_RATIO = 'cpu with a chain vs one root';

export function table(systems: Readonly<Record<string, Measured>>): string {
  const rows = Object.entries(systems).map(([name, measured]) => [
    name,
    name === 'plain' ? '-' : measured.cpuPerDecisionMicros.toFixed(0),
    measured.envoyPerDecisionMicros.toFixed(0),
    measured.throughput.toFixed(0),
    measured.p50Ms.toFixed(2),
    measured.p99Ms.toFixed(2),
  ]);
  const head = ['system', 'CPU µs/decision', 'Envoy µs/request', 'requests/s', 'p50 ms', 'p99 ms'];
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ');
  return [line(head), ...rows.map(line)].join('\n');
}

/** A line for each goal. */
export function goals({ ratios, firstByte, startToFirstCheckMs, memory }: BenchResult): string[] {
  const against = (what: string, key: string, most: number) => {
    const ratio = ratios[key];
    return ratio === undefined ? `not measured  ${what}: set OPA_ENVOY_BIN` : verdict(what, ratio, most, '×');
  };
  return [
    against('CPU per decision against ok-only', 'cpu vs ok-only', 2.0),
    against('CPU per decision against OPA-Envoy', 'cpu vs opa-envoy', 0.4),
    against('p99 against OPA-Envoy', 'p99 vs opa-envoy', 1.0),
    ...(ratios[CHAIN_RATIO] === undefined
      ? []
      : [verdict('CPU per decision, a chain of links against one root', ratios[CHAIN_RATIO], 1.15, '×')]),
    verdict('first streamed byte, added', firstByte.differenceMs, 3, ' ms'),
    verdict('start to first answered Check', startToFirstCheckMs / 1000, 1.5, ' s'),
    memory === undefined ? 'not measured  memory: add --memory' : memoryVerdict(memory),
  ];
}

/** A leak of one small object for each decision is some 100 bytes; the rest is noise of the collector and of the rate. */
const FLAT_BYTES = 20;

function memoryVerdict({ decisions, slopeBytesPerDecision: { heap, rss }, rangeMiB, windowSeconds }: MemoryResult): string {
  const line = verdict(`heap over ${decisions} decisions, slope`, heap, FLAT_BYTES, ' bytes/decision');
  const nonces = `nonces are kept for ${windowSeconds} s here and were at their steady number; by default it is 120 s`;
  return `${line}\n              (heap max-min ${rangeMiB.heap.toFixed(1)} MiB; rss slope ${rss.toFixed(1)}, max-min ${rangeMiB.rss.toFixed(1)} MiB; ${nonces})`;
}

function verdict(what: string, value: number, most: number, unit: string): string {
  return `${value <= most ? 'reached     ' : 'FALLS SHORT '}  ${what}: ${value.toFixed(2)}${unit} (goal: at most ${most}${unit})`;
}

// What was measured of revocations, as text with the goals beside it. Goals are reported and never asserted, as in the other benches.

import type { Machine } from '../bench-world.ts';
import { percentiles } from '../percentiles.ts';
import type { BackgroundResult } from './background.ts';
import type { CutRound } from './cut-streams.ts';
import type { ProbedRevocation } from './probed-revocation.ts';
import { KINDS } from './targets.ts';

export interface ModeResult {
  /** That share a Redis; 0 for one gateway in the vault's own process. */
  readonly replicas: number;
  readonly revocations: readonly ProbedRevocation[];
  readonly background: BackgroundResult;
  readonly streams: number;
  readonly cuts: readonly CutRound[];
}

export interface RevokeBenchResult {
  readonly machine: Machine;
  readonly perSecond: number;
  readonly modes: readonly ModeResult[];
}

const MOST_EMBEDDED_MILLIS = 5;
const MOST_SHARED_MILLIS = 50;
const MOST_STREAM_MILLIS = 100;

export function nameOf({ replicas }: Pick<ModeResult, 'replicas'>): string {
  return replicas === 0 ? 'embedded' : `${replicas} replicas over Redis`;
}

export function report({ modes, perSecond }: RevokeBenchResult): string[] {
  return modes.flatMap((mode) => {
    const { revocations, background, cuts, streams } = mode;
    const { good, attacks, wronglyAllowed, neverAllowed, lateP99Ms } = background;
    const after = revocations.reduce((sum, { probesAfter }) => sum + probesAfter, 0);
    const all = revocations.reduce((sum, { probes }) => sum + probes, 0);
    return [
      `${nameOf(mode)}: ${revocations.length} revocations, ${all} requests of targets and descendants beside ${perSecond} others a second`,
      row('', ['p50', 'p99', 'most']),
      line('from sending to the last allow at the provider', revocations, 'lastAllow'),
      line('from sending to the last request allowed', revocations, 'lastSent'),
      line('from sending to the last answer of the provider', revocations, 'lastAnswer'),
      line('from sending to the acknowledgement', revocations, 'acknowledged'),
      line('from the acknowledgement to a straggler', revocations, 'straggler'),
      `  allowed of ${after} requests sent after an acknowledgement: 0`,
      ...KINDS.map((kind) => {
        const some = revocations.filter((revocation) => revocation.kind === kind);
        return line(`  of those by ${kind}, to the last allow`, some, 'lastAllow');
      }),
      `  background: ${background.perSecond.toFixed(0)} a second (late by ${lateP99Ms.toFixed(2)} ms, p99), good ones p50 ${good.p50Ms.toFixed(2)} ms, p99 ${good.p99Ms.toFixed(2)} ms, ${good.refused} of ${good.sent} refused`,
      `  ${attacks} attacks among them: ${wronglyAllowed} allowed that must not be; ${neverAllowed} copied requests never allowed`,
      ...(cuts.length === 0
        ? []
        : [
            `  ${cuts.length} rounds of ${streams} streams, and ${streams} of another agent, of which the fewest that went on: ${Math.min(...cuts.map(({ untouched }) => untouched))}`,
            line('from the acknowledgement to the last byte', cuts, 'lastByteMillis'),
            line('from the acknowledgement to the last break', cuts, 'lastBrokenMillis'),
          ]),
      '',
    ];
  });
}

export function revokeGoals({ modes }: RevokeBenchResult): string[] {
  return modes.flatMap((mode) => {
    const most = mode.replicas === 0 ? MOST_EMBEDDED_MILLIS : MOST_SHARED_MILLIS;
    const p99 = (values: readonly number[]) => percentiles(values).p99;
    const name = nameOf(mode);
    const allowed = mode.revocations.map(({ lastAllow }) => lastAllow);
    const cut = mode.cuts.map(({ lastBrokenMillis }) => lastBrokenMillis);
    return [
      verdict(`${name}: sending to the last allow, p99`, p99(allowed), most),
      ...(cut.length === 0
        ? []
        : [verdict(`${name}: acknowledgement to the last break of a stream, p99`, p99(cut), MOST_STREAM_MILLIS)]),
    ];
  });
}

function verdict(what: string, value: number, most: number): string {
  return `${value <= most ? 'reached     ' : 'FALLS SHORT '}  ${what}: ${value.toFixed(1)} ms (goal: at most ${most} ms)`;
}

function line<Key extends string>(what: string, rows: readonly Readonly<Record<Key, number>>[], key: Key): string {
  const values = rows.map((one) => one[key]);
  const { p50, p99 } = percentiles(values);
  return row(
    what,
    [p50, p99, Math.max(...values)].map((value) => `${value.toFixed(2)} ms`),
  );
}

function row(what: string, cells: readonly string[]): string {
  return `  ${what.padEnd(48)}${cells.map((cell) => cell.padStart(12)).join('')}`;
}

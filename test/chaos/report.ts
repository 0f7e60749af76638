// What a run found, as text: verdicts before, during and after the fault, what was expected, and what broke.

import type { Stage } from './scenario.ts';
import type { Sent } from './traffic-protocol.ts';

export interface Finding {
  readonly id: string;
  readonly title: string;
  readonly result: 'PASS' | 'FAIL' | 'VOID';
  readonly requests: number;
  readonly arrivals: number;
  readonly recoveryMillis: number | undefined;
  readonly verdicts: Readonly<Record<Phase, Verdicts>>;
  readonly expectations: Stage['expectations'];
  readonly invariants: Stage['invariants'];
  /** Why it is void, or what went wrong. */
  readonly problem?: string;
}

const PHASES = ['before', 'during', 'after'] as const;
type Phase = (typeof PHASES)[number];
const OUTCOMES = ['allowed', 'denied', 'unavailable', 'unanswered'] as const;
/** By kind of request. */
type Verdicts = Readonly<Record<string, Readonly<Record<(typeof OUTCOMES)[number], number>>>>;

export function findingOf({ id, title }: { id: string; title: string }, stage: Stage, problem?: string, isVoid = false): Finding {
  const { sent, expectations, invariants, recoveryMillis, faultAt, mendedAt } = stage;
  const phaseOf = ({ sentAt }: Sent): Phase => (sentAt < faultAt ? 'before' : sentAt < mendedAt ? 'during' : 'after');
  const byPhase = Map.groupBy(sent, phaseOf);
  const verdicts = Object.fromEntries(PHASES.map((phase) => [phase, verdictsOf(byPhase.get(phase) ?? [], stage)]));
  const broken =
    problem !== undefined ||
    invariants === undefined ||
    Object.values(invariants).some(({ length }) => length > 0) ||
    expectations.some(({ kind, met }) => kind === 'must' && !met);
  return {
    ...{ id, title, result: isVoid ? 'VOID' : broken ? 'FAIL' : 'PASS', requests: sent.length },
    arrivals: stage.world.traffic.arrivals.filter(({ at }) => at >= stage.startedAt).length,
    verdicts: verdicts as Finding['verdicts'],
    ...{ recoveryMillis, expectations, invariants },
    ...(problem !== undefined && { problem }),
  };
}

function verdictsOf(sent: readonly Sent[], { world }: Stage): Verdicts {
  const kindOf = ({ kind, agent, sentAt }: Sent) =>
    kind === 'fresh' && sentAt >= (world.revokedAt.get(agent) ?? Number.POSITIVE_INFINITY) ? 'revoked' : kind;
  const outcomeOf = ({ status }: Sent) =>
    status === 200 ? 'allowed' : status === 0 ? 'unanswered' : status >= 500 ? 'unavailable' : 'denied';
  const byKind = [...Map.groupBy(sent, kindOf)].sort();
  return Object.fromEntries(
    byKind.map(([kind, all]) => {
      const byOutcome = Map.groupBy(all, outcomeOf);
      return [kind, Object.fromEntries(OUTCOMES.map((outcome) => [outcome, byOutcome.get(outcome)?.length ?? 0]))];
    }),
  ) as Verdicts;
}

/** @param strict whether a target that was missed counts as broken */
export function isBroken({ result, expectations }: Finding, strict: boolean): boolean {
  return result !== 'PASS' || (strict && expectations.some(({ met }) => !met));
}

export function linesOf(finding: Finding): string[] {
  const { result, requests, arrivals, verdicts, expectations, invariants, problem } = finding;
  const lines = [`  ${requests} requests, ${arrivals} reached the upstream`];
  for (const phase of PHASES) {
    const kinds = Object.entries(verdicts[phase]).map(([kind, counts]) => {
      const shown = OUTCOMES.flatMap((outcome) => (counts[outcome] > 0 ? [`${counts[outcome]} ${outcome}`] : []));
      return `${kind} ${shown.join(', ')}`;
    });
    if (kinds.length > 0) lines.push(`  ${phase.padEnd(6)}  ${kinds.join('; ')}`);
  }
  for (const { kind, what, met, found } of expectations)
    lines.push(`  ${met ? 'met   ' : kind === 'must' ? 'BROKEN' : 'MISSED'}  ${what}: ${found}`);
  for (const [name, broken] of Object.entries(invariants ?? {})) {
    lines.push(`  ${name} ${broken.length === 0 ? 'holds' : `BROKEN ${broken.length} times`}`);
    lines.push(...broken.slice(0, 5).map((line: string) => `    ${line}`));
  }
  if (problem !== undefined) lines.push(`  ${problem}`);
  lines.push(`  ${result}`);
  return lines;
}

export function tableOf(findings: readonly Finding[]): string {
  const rows = findings.map(({ id, title, result, requests, recoveryMillis, expectations }) => {
    const targets = expectations.filter(({ kind }) => kind === 'target');
    const recovery = recoveryMillis === undefined ? '-' : `${(recoveryMillis / 1000).toFixed(2)} s`;
    return [id, result, String(requests), recovery, `${targets.filter(({ met }) => met).length} of ${targets.length}`, title];
  });
  const all = [['fault', 'result', 'requests', 'recovery', 'targets', 'what'], ...rows];
  const widths = all[0]?.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0))) ?? [];
  return all
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

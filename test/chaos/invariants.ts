// What must hold of every run, whatever broke: the verdicts, what reached the upstream, and the records are held against each other.

import { openForReading } from '../../src/stores/sqlite/database.ts';
import type { Arrival, Sent } from './traffic-protocol.ts';

export interface Evidence {
  readonly sent: readonly Sent[];
  readonly arrivals: readonly Arrival[];
  /** When a revocation was in force everywhere, by the agent's name. */
  readonly revokedAt: ReadonlyMap<string, number>;
  /** By replica. */
  readonly storeFiles: readonly string[];
  /** Whether a target is a replica's own Envoy, whose allows are then in that replica's store. */
  readonly ownEnvoys: boolean;
}

/** What was found broken, a line each; none where it holds. */
export interface Invariants {
  /** No wrong allow. */
  readonly I1: readonly string[];
  /** Each nonce reaches the upstream at most once. */
  readonly I2: readonly string[];
  /** Every allow has a durable record. */
  readonly I3: readonly string[];
}

export function checkInvariants({ sent, arrivals, revokedAt, storeFiles, ownEnvoys }: Evidence): Invariants {
  const broken = { I1: [] as string[], I2: [] as string[], I3: [] as string[] };
  const copies = Map.groupBy(sent, ({ id }) => id);
  const arrived = Map.groupBy(arrivals, ({ id }) => id);
  const records = storeFiles.map(allowedBy);

  for (const one of sent) {
    if (one.status === 200 && !mayBeAllowed(one, revokedAt)) broken.I1.push(`${one.id}: ${one.kind} of ${one.agent} was allowed`);
  }
  for (const [id, all] of arrived) {
    const sentAs = copies.get(id) ?? [];
    if (!sentAs.some((one) => mayBeAllowed(one, revokedAt)))
      broken.I1.push(`${id || 'a request without an id'}: ${sentAs.map(({ kind }) => kind).join()} reached the upstream`);
    if (all.length > 1) broken.I2.push(`${id}: reached the upstream ${all.length} times`);
    for (const { decisionId } of all)
      if (!records.some((allowed) => allowed.get(decisionId) === id))
        broken.I3.push(`${id}: reached the upstream without a record`);
  }
  for (const [id, all] of copies) {
    const allowed = all.filter(({ status }) => status === 200);
    if (allowed.length > 1) broken.I2.push(`${id}: allowed ${allowed.length} times`);
    for (const { target } of allowed) {
      const [arrival] = arrived.get(id) ?? [];
      const theirs = ownEnvoys ? [records[target]] : records;
      if (arrival === undefined) broken.I3.push(`${id}: answered 200, and nothing reached the upstream`);
      else if (!theirs.some((its) => its?.get(arrival.decisionId) === id))
        broken.I3.push(`${id}: allowed by replica ${target + 1}, which has no record of it`);
    }
  }
  return broken;
}

/** A replay may be the copy that is allowed, if no other is: that is I2. */
function mayBeAllowed({ kind, agent, sentAt }: Sent, revokedAt: Evidence['revokedAt']): boolean {
  return (kind === 'fresh' || kind === 'replay') && sentAt < (revokedAt.get(agent) ?? Number.POSITIVE_INFINITY);
}

/** Nonces of the allows that are on disk, by decision. */
function allowedBy(storeFile: string): Map<string, string> {
  const database = openForReading(storeFile);
  try {
    const rows = database.prepare("SELECT record FROM decisions WHERE record ->> 'effect' = 'allow'").iterate();
    const allowed = new Map<string, string>();
    for (const { record } of rows as Iterable<{ record: string }>) {
      const { decision_id: decision, signature_input: input } = JSON.parse(record) as Record<string, string>;
      allowed.set(decision ?? '', /;nonce="([^"]*)"/.exec(input ?? '')?.[1] ?? '');
    }
    return allowed;
  } finally {
    database.close();
  }
}

// Whether what is in force is what the texts say: the narrow tables held against the restrictions that they were made from.

import type { DatabaseSync } from 'node:sqlite';
import { entryOf } from '../../../restrictions/restrictable-chain.ts';
import { RestrictionError } from '../../../restrictions/restriction.ts';
import { ALWAYS } from '../../../restrictions/revocation-table.ts';
import { reopenRestriction } from '../../../restrictions/verify-restriction.ts';

/** A line for each that is in force otherwise than it says, or not at all. */
export function findUnequal(database: DatabaseSync): string[] {
  const rows = database.prepare(
    `SELECT sequence, jws, entry, before, terms.sequence AS term FROM restrictions
     LEFT JOIN revocations USING (sequence) LEFT JOIN terms USING (sequence) ORDER BY sequence`,
  );
  const unequal: string[] = [];
  for (const { sequence, jws, entry, before, term } of rows.iterate()) {
    try {
      const { effect, by, target, before: said = ALWAYS } = reopenRestriction(String(jws));
      const revokes = effect === 'revoke';
      const name = entryOf(by, target.kind, target.value);
      const equal = revokes
        ? entry instanceof Uint8Array && name.equals(entry) && before === said && term === null
        : entry === null && term === sequence;
      if (!equal) unequal.push(`number ${sequence} is not in force as it says`);
    } catch (error) {
      if (!(error instanceof RestrictionError)) throw error;
      unequal.push(`number ${sequence} cannot be read: ${error.message}`);
    }
  }
  return unequal;
}

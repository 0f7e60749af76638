// Puts everything that is kept in force: revocations from their narrow table by the thousand, since a row object for each would
// take several times as long; the few others from their texts.

import type { DatabaseSync } from 'node:sqlite';
import { REVOCATION_BYTES, type RestrictionSet } from '../../../restrictions/restriction-set.ts';
import { reopenRestriction } from '../../../restrictions/verify-restriction.ts';
import { StoreError } from '../database.ts';

const ROWS_AT_ONCE = 4096;

/** @param after the sequence from beyond which, up to `last` @throws {StoreError} for what cannot be read */
export function loadRestrictions(database: DatabaseSync, after: number, last: number, set: RestrictionSet): void {
  const chunks = database.prepare(
    `SELECT group_concat(hex(entry) || printf('%08X%08X', sequence, before), '') AS rows
     FROM revocations WHERE sequence > ? AND sequence <= ? GROUP BY sequence / ${ROWS_AT_ONCE}`,
  );
  for (const { rows } of chunks.iterate(after, last)) {
    const text = String(rows);
    const bytes = Buffer.from(text, 'hex');
    if (bytes.length * 2 !== text.length || bytes.length % REVOCATION_BYTES !== 0)
      throw new StoreError('a revocation is not whole');
    set.addRevocations(bytes);
  }
  const others = database.prepare(
    'SELECT sequence, jws FROM terms JOIN restrictions USING (sequence) WHERE sequence > ? AND sequence <= ?',
  );
  for (const { sequence, jws } of others.iterate(after, last)) set.add(reopenRestriction(String(jws)), Number(sequence));
}

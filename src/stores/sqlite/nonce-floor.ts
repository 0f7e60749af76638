// Which nonces on disk may still be needed: those of the rows behind a floor. The floor rises by whole windows of the
// monotonic clock, and what it passes is remembered as one time, so that a clock set back brings no forgotten nonce to life.

import type { DatabaseSync } from 'node:sqlite';
import type { LoadedNonces } from './writer-protocol.ts';

export function loadNonces(database: DatabaseSync): LoadedNonces {
  const rows = database
    .prepare('SELECT nonce, jkt, retain_until FROM decisions WHERE seq > ? AND nonce IS NOT NULL ORDER BY seq')
    .all(fact(database, 'nonces_after'));
  return {
    forgottenThrough: fact(database, 'forgotten_through'),
    bornAt: fact(database, 'born_at'),
    nonces: rows.map((row) => ({
      entry: String(row.nonce),
      jkt: String(row.jkt),
      retainUntil: Number(row.retain_until),
    })),
  };
}

/** @returns to be called once in each window: what was there at the call before is older than a window now. */
export function advanceFloor(database: DatabaseSync): () => void {
  let lastSeq = newestSeq(database);
  return () => {
    try {
      database.exec('BEGIN IMMEDIATE');
      const latest = database
        .prepare('SELECT max(retain_until) AS latest FROM decisions WHERE seq > ? AND seq <= ?')
        .get(fact(database, 'nonces_after'), lastSeq)?.latest;
      const set = database.prepare('UPDATE facts SET value = max(value, ?) WHERE name = ?');
      set.run(Number(latest ?? 0), 'forgotten_through');
      set.run(lastSeq, 'nonces_after');
      database.exec('COMMIT');
      lastSeq = newestSeq(database);
    } catch {
      // A full disk must not end the thread: the floor stays, and the next round tries again.
      if (database.isTransaction) database.exec('ROLLBACK');
    }
  };
}

function newestSeq(database: DatabaseSync): number {
  return Number(database.prepare('SELECT max(seq) AS newest FROM decisions').get()?.newest ?? 0);
}

function fact(database: DatabaseSync, name: string): number {
  return Number(database.prepare('SELECT value FROM facts WHERE name = ?').get(name)?.value ?? 0);
}

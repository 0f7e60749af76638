// Which nonces on disk may still be needed: those of the rows behind a floor. The floor rises by whole windows of the
// monotonic clock, and what it passes is remembered as one time, so that a clock set back brings no forgotten nonce to life.

import type { DatabaseSync } from 'node:sqlite';
import { LINE_END, type StoreFacts, toLine } from './writer-protocol.ts';

/** So many at a time, so that neither thread holds a million of them in objects. */
const AT_A_TIME = 10_000;

export function readFacts(database: DatabaseSync): StoreFacts {
  return { forgottenThrough: fact(database, 'forgotten_through'), bornAt: fact(database, 'born_at') };
}

/** As lines of the writer's protocol. */
export function* nonceLines(database: DatabaseSync): Iterable<string> {
  const select = 'SELECT nonce, jkt, retain_until FROM decisions WHERE seq > ? AND nonce IS NOT NULL ORDER BY seq';
  let lines: string[] = [];
  for (const row of database.prepare(select).iterate(fact(database, 'nonces_after'))) {
    lines.push(toLine('', { entry: String(row.nonce), jkt: String(row.jkt), retainUntil: Number(row.retain_until) }));
    if (lines.length < AT_A_TIME) continue;
    yield lines.join(LINE_END);
    lines = [];
  }
  if (lines.length > 0) yield lines.join(LINE_END);
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

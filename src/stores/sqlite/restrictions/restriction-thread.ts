// The thread that writes restrictions: durable before acknowledged, several batches under one sync, and never a row changed.

import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { nextHead } from '../../../restrictions/feed-head.ts';
import type { SegmentRow } from '../../../restrictions/feed-segment.ts';
import { isSameStatement } from '../../../restrictions/restriction.ts';
import type { Appended } from '../../../restrictions/restriction-store.ts';
import { readSegment, SegmentLie } from './read-segment.ts';
import { findDamage, openRestrictions } from './restriction-database.ts';
import type { FromRestrictionWriter, RestrictionBatch, SegmentToImport, ToRestrictionWriter } from './restriction-protocol.ts';

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const say = (message: FromRestrictionWriter) => port.postMessage(message);

try {
  const database = openRestrictions(String(workerData));
  const write = makeWriter(database);
  let damage: string | undefined;
  port.on('message', (message: ToRestrictionWriter) => {
    if ('close' in message) {
      database.close();
      port.close();
      return;
    }
    try {
      if (damage !== undefined) throw new Error(damage);
      const importing = message.batches.some(({ rows }) => 'segment' in rows);
      database.exec(importing ? FOR_IMPORT : AS_USUAL);
      database.exec('BEGIN IMMEDIATE');
      const written = message.batches.map(write);
      database.exec('COMMIT');
      say({ written });
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      say({ refused: messageOf(error), lie: error instanceof SegmentLie });
    }
  });
  say({ ready: true });
  // What decides requests was looked at already; the rest takes long, and nobody waits for it.
  setImmediate(() => {
    try {
      damage = findDamage(database);
    } catch (error) {
      if (!database.isOpen) return;
      damage = messageOf(error);
    }
    if (damage !== undefined) say({ damaged: damage });
  });
} catch (error) {
  say({ failed: messageOf(error) });
  port.close();
}

/**
 * What is imported can be had again: it is synced now and then, and is whole at any time with the position that goes with it. Ids come
 * in no order, so that their index is best held in memory meanwhile.
 */
const FOR_IMPORT = 'PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384;';
const AS_USUAL = 'PRAGMA synchronous = FULL; PRAGMA cache_size = -2000; PRAGMA wal_autocheckpoint = 1000;';

function makeWriter(database: DatabaseSync): (batch: RestrictionBatch) => Appended[] {
  const insert = database.prepare('INSERT INTO restrictions (id, jws, head) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING');
  const find = database.prepare('SELECT sequence, jws FROM restrictions WHERE id = ?');
  const last = database.prepare('SELECT head FROM restrictions ORDER BY sequence DESC LIMIT 1');
  const revoke = database.prepare('INSERT INTO revocations VALUES (?, ?, ?)');
  const keepTerms = database.prepare('INSERT INTO terms VALUES (?)');
  const keepPosition = database.prepare(
    "INSERT INTO facts VALUES ('position', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
  );
  const keepBound = database.prepare(
    `INSERT INTO facts VALUES ('longest_bound', ?)
      ON CONFLICT (name) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))`,
  );
  return ({ rows, position, bound }) => {
    // Read anew: a command may have written to the file since.
    let head = String(last.get()?.head ?? '');
    const append = ({ id, compact, revokes }: SegmentRow, known?: string): Appended => {
      const next = known ?? nextHead(head, compact);
      const { changes, lastInsertRowid } = insert.run(id, compact, next);
      if (changes === 0) {
        const there = find.get(id);
        const same = isSameStatement(String(there?.jws), compact);
        return { outcome: same ? 'repeated' : 'taken', sequence: Number(there?.sequence) };
      }
      head = next;
      const sequence = Number(lastInsertRowid);
      if (revokes === undefined) keepTerms.run(sequence);
      else revoke.run(sequence, revokes.entry, revokes.before);
      return { outcome: 'added', sequence };
    };
    const importSegment = ({ segment, from, sameNumbers }: SegmentToImport): Appended[] => {
      let before = from.head;
      for (const { row, place } of readSegment(segment, from)) {
        // Where this copy is the feed itself, its heads are the feed's.
        const { outcome, sequence } = append(row, head === before ? place.head : undefined);
        if (outcome === 'taken') throw new SegmentLie(`number ${place.sequence} has the id of another restriction`);
        if (sameNumbers && (outcome !== 'added' || sequence !== place.sequence))
          throw new Error(`number ${place.sequence} of the feed is number ${sequence} here`);
        before = place.head;
      }
      return [];
    };
    const appended = 'segment' in rows ? importSegment(rows) : rows.map((row) => append(row));
    if (position !== undefined) keepPosition.run(JSON.stringify(position));
    if (bound !== undefined) keepBound.run(String(bound));
    return appended;
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

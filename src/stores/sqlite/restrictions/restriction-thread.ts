// The thread that writes restrictions: durable before acknowledged, several batches under one sync, and never a row changed.

import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { nextHead } from '../../../restrictions/feed-head.ts';
import { isSameStatement } from '../../../restrictions/restriction.ts';
import type { Appended } from '../../../restrictions/restriction-store.ts';
import { findDamage, openRestrictions } from './restriction-database.ts';
import type { FromRestrictionWriter, RestrictionBatch, ToRestrictionWriter } from './restriction-protocol.ts';

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
      database.exec('BEGIN IMMEDIATE');
      const written = message.batches.map(write);
      database.exec('COMMIT');
      say({ written });
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      say({ refused: messageOf(error) });
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

function makeWriter(database: DatabaseSync): (batch: RestrictionBatch) => Appended[] {
  const insert = database.prepare('INSERT INTO restrictions (id, jws, head) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING');
  const find = database.prepare('SELECT sequence, jws FROM restrictions WHERE id = ?');
  const last = database.prepare('SELECT head FROM restrictions ORDER BY sequence DESC LIMIT 1');
  const revoke = database.prepare('INSERT INTO revocations VALUES (?, ?, ?)');
  const keepTerms = database.prepare('INSERT INTO terms VALUES (?)');
  const keepPosition = database.prepare(
    "INSERT INTO facts VALUES ('position', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
  );
  return ({ rows, position }) => {
    // Read anew: a command may have written to the file since.
    let head = String(last.get()?.head ?? '');
    const appended = rows.map(({ id, compact, revokes }): Appended => {
      const next = nextHead(head, compact);
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
    });
    if (position !== undefined) keepPosition.run(JSON.stringify(position));
    return appended;
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

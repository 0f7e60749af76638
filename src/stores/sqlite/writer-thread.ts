// The thread that writes: one transaction for each batch, so that one sync serves all decisions in flight,
// and no sync ever holds up the event loop that answers Envoy.

import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { lockStore, openDatabase } from './database.ts';
import type { Batch, FromWriter, ToWriter } from './writer-protocol.ts';

const PURGE_MILLIS = 30_000;

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const say = (message: FromWriter) => port.postMessage(message);

try {
  const { file } = workerData as { file: string };
  const lock = lockStore(file);
  const database = openDatabase(file);
  purge(database, Date.now());
  say(loadNonces(database));
  const write = makeWriter(database);
  const purging = setInterval(() => purge(database, Date.now()), PURGE_MILLIS);
  port.on('message', (message: ToWriter) => {
    if ('batch' in message) return write(message.batch);
    clearInterval(purging);
    database.close();
    lock.close();
    say({ closed: true });
    port.close();
  });
} catch (error) {
  say({ failed: error instanceof Error ? error.message : String(error) });
  port.close();
}

function makeWriter(database: DatabaseSync): (batch: Batch) => void {
  const begin = database.prepare('BEGIN IMMEDIATE');
  const insertRecord = database.prepare('INSERT INTO decisions (record) VALUES (?)');
  const insertNonce = database.prepare('INSERT INTO nonces (entry, jkt, retain_until) VALUES (?, ?, ?)');
  const commit = database.prepare('COMMIT');
  return (batch) => {
    try {
      begin.run();
      for (const record of batch.records) insertRecord.run(record);
      for (let at = 0; at < batch.entries.length; at++) {
        insertNonce.run(batch.entries[at] ?? '', batch.jkts[at] ?? '', batch.retainUntils[at] ?? 0);
      }
      commit.run();
      say({ committed: batch.id });
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      say({ refused: batch.id, cause: error instanceof Error ? error.message : String(error) });
    }
  };
}

function loadNonces(database: DatabaseSync): FromWriter {
  const message = {
    ready: true,
    forgottenThrough: 0,
    entries: [] as string[],
    jkts: [] as string[],
    retainUntils: [] as number[],
  } as const;
  for (const row of database.prepare('SELECT entry, jkt, retain_until FROM nonces ORDER BY seq').iterate()) {
    message.entries.push(String(row['entry']));
    message.jkts.push(String(row['jkt']));
    message.retainUntils.push(Number(row['retain_until']));
  }
  const floor = database.prepare("SELECT value FROM facts WHERE name = 'forgotten_through'").get();
  return { ...message, forgottenThrough: Number(floor?.['value'] ?? 0) };
}

/** What is deleted is remembered as a floor, so that a clock set back cannot bring a forgotten nonce to life. */
function purge(database: DatabaseSync, now: number): void {
  try {
    database.exec('BEGIN IMMEDIATE');
    const latest = database.prepare('SELECT max(retain_until) AS latest FROM nonces WHERE retain_until < ?').get(now)?.['latest'];
    if (latest !== null && latest !== undefined) {
      database
        .prepare(
          "INSERT INTO facts VALUES ('forgotten_through', ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        )
        .run(Number(latest));
      database.prepare('DELETE FROM nonces WHERE retain_until < ?').run(now);
    }
    database.exec('COMMIT');
  } catch {
    // A full disk must not end the thread: nothing was deleted, and the next round tries again.
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}

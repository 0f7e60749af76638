// The thread that keeps what was seen of did:webvh logs: durable before acknowledged, and a version never goes back.

import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { emptyStore, makeWhole, openPrivately } from '../database.ts';
import type { FromSeenWriter, ToSeenWriter } from './seen-logs.ts';

const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE seen (
    scid TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    version_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    deactivated INTEGER NOT NULL,
    ttl INTEGER
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const say = (message: FromSeenWriter) => port.postMessage(message);

try {
  const database = open(String(workerData));
  const insert = database.prepare(
    `INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (scid) DO UPDATE SET version = excluded.version,
     version_id = excluded.version_id, digest = excluded.digest, deactivated = excluded.deactivated, ttl = excluded.ttl
     WHERE excluded.version >= version`,
  );
  say({ ready: true });
  port.on('message', (message: ToSeenWriter) => {
    if ('close' in message) {
      database.close();
      port.close();
      return;
    }
    try {
      database.exec('BEGIN IMMEDIATE');
      for (const { scid, versionId, digest, deactivated, ttl } of message.rows) {
        insert.run(scid, Number.parseInt(versionId, 10), versionId, digest, deactivated ? 1 : 0, ttl ?? null);
      }
      database.exec('COMMIT');
      say({ written: undefined });
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      say({ written: messageOf(error) });
    }
  });
} catch (error) {
  say({ failed: `store ${String(workerData)}: ${messageOf(error)}` });
  port.close();
}

function open(file: string): DatabaseSync {
  makeWhole(file, (made) => made.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`));
  const database = openPrivately(file, 1000);
  try {
    const [version] = Object.values(database.prepare('PRAGMA user_version').get() ?? {});
    const [tables] = Object.values(database.prepare('SELECT count(*) FROM sqlite_master').get() ?? {});
    if (version === 0 && tables === 0) throw emptyStore(file);
    if (version !== SCHEMA_VERSION) throw new Error(`made by another program or version (schema ${version})`);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    const [check] = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {});
    if (check !== 'ok') throw new Error(`damaged (${check}); restore it from a backup, it is not replaced by an empty one`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// The file of restrictions: its schema, and what is looked at before it is believed. What decides requests stands in a narrow table
// of its own, so that a million are checked and loaded in a second; the texts beside it are checked after the start.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { emptyStore, makeWhole, openPrivately, StoreError } from '../database.ts';

const SCHEMA_VERSION = 1;

// `head` chains each row to all before it (feed-head.ts). A row that is there stays as it is.
const SCHEMA = `
  CREATE TABLE restrictions (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    jws TEXT NOT NULL,
    head TEXT NOT NULL
  ) STRICT;
  CREATE TABLE revocations (sequence INTEGER PRIMARY KEY, entry BLOB NOT NULL, before INTEGER NOT NULL) STRICT;
  CREATE TABLE terms (sequence INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  ${['restrictions', 'revocations', 'terms']
    .flatMap((table) =>
      ['UPDATE', 'DELETE'].map(
        (change) =>
          `CREATE TRIGGER ${table}_${change.toLowerCase()} BEFORE ${change} ON ${table} BEGIN SELECT RAISE(ABORT, 'append-only'); END;`,
      ),
    )
    .join('\n  ')}
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** @throws {StoreError} for a file that is damaged, of another program or of a newer version; it is never replaced. */
export function openRestrictions(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    makeWhole(file, (made) => {
      made.exec(`BEGIN IMMEDIATE; ${SCHEMA}`);
      renewEpoch(made);
      made.exec('COMMIT');
    });
    database = openPrivately(file, 5000);
    const version = pragma(database, 'user_version');
    const tables = one(database, 'SELECT count(*) FROM sqlite_master');
    if (version === 0 && tables === 0) throw emptyStore(file);
    if (version !== SCHEMA_VERSION) throw new StoreError(`store ${file}: made by another program or version (schema ${version})`);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;');
    const damage = findQuickDamage(database);
    if (damage !== undefined)
      throw new StoreError(`store ${file}: damaged (${damage}); restore it from a backup, it is not replaced by an empty one`);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof StoreError) throw error;
    throw new StoreError(`store ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** Opens one that exists, for reading beside the process that writes it. @throws {StoreError} */
export function openRestrictionsForReading(file: string): DatabaseSync {
  if (!existsSync(file)) throw new StoreError(`store ${file} does not exist`);
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  const version = pragma(database, 'user_version');
  if (version === SCHEMA_VERSION) return database;
  database.close();
  throw new StoreError(`store ${file}: not a store of restrictions of this version (schema ${version})`);
}

/** For a store that was put back from a backup: what follows it reads everything again and keeps what it knows beyond. */
export function renewEpoch(database: DatabaseSync): string {
  const epoch = randomBytes(16).toString('base64url');
  database.prepare("INSERT INTO facts VALUES ('epoch', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value").run(epoch);
  return epoch;
}

/** What decides requests, and that every number is there once. */
function findQuickDamage(database: DatabaseSync): string | undefined {
  for (const table of ['revocations', 'terms', 'facts']) {
    const found = one(database, `PRAGMA quick_check('${table}')`);
    if (found !== 'ok') return String(found);
  }
  const last = one(database, 'SELECT coalesce(max(sequence), 0) FROM restrictions');
  const kept = one(database, 'SELECT count(*) FROM restrictions');
  const decided = one(database, 'SELECT (SELECT count(*) FROM revocations) + (SELECT count(*) FROM terms)');
  if (last !== kept || last !== decided)
    return `${kept} restrictions up to number ${last}, of which ${decided} could be in force`;
  if (one(database, 'SELECT count(*) FROM revocations WHERE length(entry) <> 16') !== 0) return 'a name is not whole';
  return undefined;
}

/** Everything; takes seconds for a million. */
export function findDamage(database: DatabaseSync): string | undefined {
  const found = one(database, 'PRAGMA quick_check(1)');
  return found === 'ok' ? undefined : String(found);
}

function pragma(database: DatabaseSync, name: string): unknown {
  return one(database, `PRAGMA ${name}`);
}

function one(database: DatabaseSync, sql: string): unknown {
  return Object.values(database.prepare(sql).get() ?? {})[0];
}

// The embedded store's file: one SQLite database in WAL mode, its schema, and the lock that keeps a second process out.
// Durable before acknowledged: `synchronous=FULL` syncs the log at every commit, and commits are batched.

import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';

/** Raised when the stored format changes; an older program refuses a newer file. */
const SCHEMA_VERSION = 1;

// A nonce stands in the row of the decision that took it: one insert, and one commit, makes both durable.
// `born_at`: a store that is new may have replaced one that was lost, and knows nothing of what was signed before.
// The rows behind `nonces_after` (a seq) are those whose nonce may still be needed.
const SCHEMA = `
  CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    nonce TEXT,
    jkt TEXT,
    retain_until INTEGER
  ) STRICT;
  CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO facts VALUES ('nonces_after', 0), ('forgotten_through', 0), ('born_at', unixepoch());
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

export class StoreError extends Error {
  override readonly name = 'StoreError';
}

/** For writing. What SQLite makes by itself everybody on the machine may read; the files beside it take after it. */
export function openPrivately(file: string, timeout: number): DatabaseSync {
  try {
    // Never one that is there: to close it would take away every lock that this process holds on it.
    closeSync(openSync(file, 'ax', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return new DatabaseSync(file, { timeout });
}

/**
 * Makes a store where there is none, under another name until it is whole, so that an empty file of the store's name is always damage.
 * Another process may be the first; then that one's stays.
 */
export function makeWhole(file: string, make: (database: DatabaseSync) => void): void {
  if (existsSync(file)) return;
  const made = `${file}-new-${process.pid}`;
  for (const part of [made, `${made}-journal`]) rmSync(part, { force: true });
  const database = openPrivately(made, 0);
  try {
    database.exec('PRAGMA synchronous = EXTRA');
    make(database);
  } finally {
    database.close();
  }
  try {
    linkSync(made, file);
  } catch (error) {
    // Not every volume has links; a rename could replace what another process made first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') renameSync(made, file);
  } finally {
    rmSync(made, { force: true });
  }
  syncPath(dirname(file));
}

/** Of a file, or of a folder's list of its files. */
export function syncPath(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export function emptyStore(file: string): StoreError {
  return new StoreError(
    `store ${file} is empty, as a copy is that was broken off; it is not replaced: restore a backup, or move it away to begin anew`,
  );
}

/** @throws {StoreError} for a file that is damaged, of a newer version, or in use by another process. */
export function openDatabase(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    makeWhole(file, (made) => made.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`));
    database = openPrivately(file, 1000);
    // Looked at before anything is changed: the file may be someone else's, or a newer program's.
    const version = pragma(database, 'user_version');
    const [tables] = Object.values(database.prepare('SELECT count(*) FROM sqlite_master').get() ?? {});
    if (version === 0 && tables !== 0) throw new StoreError(`store ${file}: is the database of another program`);
    if (version === 0) throw emptyStore(file);
    if (version !== SCHEMA_VERSION)
      throw new StoreError(`store ${file}: made by another version of the program (schema ${version})`);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;');
    const check = pragma(database, 'quick_check(1)');
    if (check !== 'ok')
      throw new StoreError(`store ${file}: damaged (${check}); restore it from a backup, it is not replaced by an empty one`);
    return database;
  } catch (error) {
    database?.close();
    throw toStoreError(error, file);
  }
}

/** SQLite's own words name neither the file nor the store. */
export function toStoreError(error: unknown, file: string): StoreError {
  if (error instanceof StoreError) return error;
  return new StoreError(`store ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

/** The value of a pragma that has one, e.g. `user_version` or `integrity_check(1)`. */
export function pragma(database: DatabaseSync, name: string): SQLOutputValue | undefined {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
}

/**
 * Holds the store for this process until it ends, however it ends: the operating system drops the lock.
 * Two processes on one embedded store would each keep nonces of their own.
 * @throws {StoreError} when another process holds it, or it cannot be made.
 */
export function lockStore(file: string): DatabaseSync {
  let lock: DatabaseSync;
  try {
    lock = openPrivately(`${file}-lock`, 0);
  } catch (error) {
    throw toStoreError(error, file);
  }
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;');
    return lock;
  } catch (error) {
    lock.close();
    throw new StoreError(`store ${file} is in use by another hermesbridge: stop it, or give this one a store of its own`, {
      cause: error,
    });
  }
}

/** Opens an existing store for reading beside the process that writes it. @throws {StoreError} */
export function openForReading(file: string): DatabaseSync {
  if (!existsSync(file)) throw new StoreError(`store ${file} does not exist`);
  return openReadOnly(file);
}

/** @param location a file, or a `file:` URL with parameters of SQLite */
export function openReadOnly(location: string | URL): DatabaseSync {
  return new DatabaseSync(location, { readOnly: true, timeout: 1000 });
}

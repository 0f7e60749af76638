// The file of the vault's store: made whole or not at all, looked at before it is changed, brought forward by migrations.

import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openPrivately, openReadOnly, pragma, StoreError, syncPath, toStoreError } from '../database.ts';
import { checkFile, walBytes } from './check-file.ts';
import { setFact, setNewEpoch } from './facts.ts';
import { checkInPart, checkWhole } from './integrity.ts';
import { APPLICATION_ID, MIGRATIONS, PAGE_BYTES } from './schema.ts';

/**
 * Opens the store for the one who writes it, and makes it if there is none; the caller holds the lock.
 * @param checkedAtStartBytes a larger file is looked at only in part, and is for {@link checkRows} to go through meanwhile
 * @throws {StoreError} for a file that is damaged, not whole, of another program or of a newer version; it stays as it is
 */
export function openVault(file: string, checkedAtStartBytes: number, migrations = MIGRATIONS): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    if (!existsSync(file) && walBytes(file) === 0) {
      // A vault that took restrictions has a store: one that is made anew in its place would have lost everybody.
      if (existsSync(`${file}-restrictions`))
        throw new StoreError(
          `store ${file} is gone, and ${file}-restrictions is still there: restore a backup, or move that away too`,
        );
      create(file, migrations);
    }
    checkFile(file);
    checkBeforeUse(file, checkedAtStartBytes, migrations.length);
    database = new DatabaseSync(file, { timeout: 1000 });
    // A longer log before it is carried over: pages that many commits touch are written to the file once.
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;
      PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -32768;`);
    migrate(database, migrations);
    setFact(database, 'in_use', 1);
    // Into the file itself, where a copy of it alone has it.
    database.exec('PRAGMA wal_checkpoint(FULL)');
    return database;
  } catch (error) {
    database?.close();
    throw toStoreError(error, file);
  }
}

/** From now on the file is whole without its -wal. */
export function closeVault(database: DatabaseSync): void {
  setFact(database, 'in_use', 0);
  database.close();
}

/** Beside the service that writes it, or without one. @throws {StoreError} as {@link openVault} */
export function openVaultForReading(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    checkFile(file);
    database = openReadOnly(file);
    database.exec('PRAGMA cache_size = -16384');
    const version = pragma(database, 'user_version');
    if (version !== MIGRATIONS.length)
      throw new StoreError(`store ${file}: made by another version of the program (schema ${version}, not ${MIGRATIONS.length})`);
    return database;
  } catch (error) {
    database?.close();
    throw toStoreError(error, file);
  }
}

/** A connection that could write would carry the -wal over when it is closed, and so change a file that is refused. */
function checkBeforeUse(file: string, checkedAtStartBytes: number, newest: number): void {
  const database = openReadOnly(file);
  try {
    const version = Number(pragma(database, 'user_version'));
    if (version > newest)
      throw new StoreError(`store ${file}: made by a newer version of the program (schema ${version}, not ${newest})`);
    if (statSync(file).size > checkedAtStartBytes) checkInPart(database);
    else checkWhole(database);
  } finally {
    database.close();
  }
}

/** All of them or none. */
export function migrate(database: DatabaseSync, migrations: readonly string[]): void {
  const applied = Number(pragma(database, 'user_version'));
  if (applied > migrations.length)
    throw new StoreError(`made by a newer version of the program (schema ${applied}, not ${migrations.length})`);
  if (applied === migrations.length) return;
  database.exec(`BEGIN IMMEDIATE; ${migrations.slice(applied).join(';')}; PRAGMA user_version = ${migrations.length}; COMMIT;`);
}

/** Under another name until it is whole, so that an empty or half-made file of the store's name is always damage. */
function create(file: string, migrations: readonly string[]): void {
  const made = `${file}-new`;
  rmSync(made, { force: true });
  rmSync(`${made}-journal`, { force: true });
  const database = openPrivately(made, 0);
  try {
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA synchronous = EXTRA; PRAGMA application_id = ${APPLICATION_ID};`);
    migrate(database, migrations);
    setNewEpoch(database);
  } finally {
    database.close();
  }
  renameDurably(made, file);
}

/** Both in one folder. After it has returned, no power cut brings the old state back. */
export function renameDurably(from: string, to: string): void {
  syncPath(from);
  renameSync(from, to);
  syncPath(dirname(to));
}

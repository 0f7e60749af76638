// Copies the store into one file while its service runs: as it was at one moment, checked before it gets its name.

import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, openSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { backup } from 'node:sqlite';
import { StoreError, toStoreError } from '../database.ts';
import type { Progress } from './integrity.ts';
import { type CopySummary, finishCopy, removeCopy } from './vault-copy.ts';
import { openVaultForReading, renameDurably } from './vault-database.ts';

export interface Backup {
  readonly store: string;
  readonly out: string;
  /** Replaces what is there. */
  readonly force: boolean;
  readonly progress: Progress;
}

const PAGES_AT_A_TIME = 2000;

/** @throws {StoreError} and leaves nothing behind. */
export async function backUpVault({ store, out, force, progress }: Backup): Promise<CopySummary> {
  assertApart(store, out);
  assertFree(out, force);
  const made = `${out}-part-${randomUUID()}`;
  try {
    await copyPages(store, made, progress);
    const summary = finishCopy(made, progress);
    assertFree(out, force);
    renameDurably(made, out);
    return summary;
  } catch (error) {
    throw toStoreError(error, store);
  } finally {
    removeCopy(made);
  }
}

async function copyPages(store: string, made: string, progress: Progress): Promise<void> {
  const database = openVaultForReading(store);
  try {
    // Held to the end, so that every page is of this moment however much is written meanwhile.
    database.exec('BEGIN');
    database.prepare('SELECT value FROM facts').all();
    closeSync(openSync(made, 'ax', 0o600));
    await backup(database, made, {
      rate: PAGES_AT_A_TIME,
      progress: ({ totalPages, remainingPages }) => progress('copying', totalPages - remainingPages, totalPages),
    });
  } finally {
    database.close();
  }
}

/** @throws {StoreError} when one file is the other's, or one of the files beside it */
export function assertApart(store: string, other: string): void {
  for (const suffix of ['', '-wal', '-shm', '-lock'])
    if (real(other) === `${real(store)}${suffix}`)
      throw new StoreError(`${other} belongs to the store ${store}: name another file`);
}

function assertFree(out: string, force: boolean): void {
  if (existsSync(out) && !force) throw new StoreError(`${out} exists: name another file, or say --force to replace it`);
}

function real(file: string): string {
  return existsSync(file)
    ? realpathSync(file)
    : join(existsSync(dirname(file)) ? realpathSync(dirname(file)) : dirname(file), basename(file));
}

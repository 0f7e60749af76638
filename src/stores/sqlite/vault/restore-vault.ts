// Puts a backup in the place of the store, which no service may hold. What was there is kept beside it.

import { chmodSync, constants, copyFileSync, existsSync, linkSync, renameSync, rmSync } from 'node:fs';
import { lockStore, StoreError, toStoreError } from '../database.ts';
import { assertApart } from './back-up-vault.ts';
import { checkFile, walBytes } from './check-file.ts';
import type { Progress } from './integrity.ts';
import { type CopySummary, finishCopy, removeCopy } from './vault-copy.ts';
import { renameDurably } from './vault-database.ts';

export interface Restore {
  readonly from: string;
  readonly store: string;
  /** Puts a store that is there aside. */
  readonly force: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly progress: Progress;
}

export interface RestoreSummary extends CopySummary {
  /** Where the store that was there is now. */
  readonly replaced: string | undefined;
}

/** @throws {StoreError} and leaves the store as it was */
export function restoreVault({ from, store, force, now, progress }: Restore): RestoreSummary {
  const made = `${store}-restored`;
  let lock: ReturnType<typeof lockStore> | undefined;
  try {
    assertApart(store, from);
    checkFile(from);
    if (walBytes(from) > 0)
      throw new StoreError(`${from} is a store and no backup: make one of it with hermesbridge vault backup`);
    lock = lockStore(store);
    const there = existsSync(store) || walBytes(store) > 0;
    if (there && !force) throw new StoreError(`store ${store} exists: say --force to put it aside`);
    progress('copying', 0, 1);
    removeCopy(made);
    copyFileSync(from, made, constants.COPYFILE_FICLONE);
    chmodSync(made, 0o600);
    const summary = finishCopy(made, progress);
    const replaced = there ? putAside(store, now) : undefined;
    renameDurably(made, store);
    return { ...summary, replaced };
  } catch (error) {
    throw toStoreError(error, store);
  } finally {
    removeCopy(made);
    lock?.close();
  }
}

/**
 * With its -wal, which must not meet another file. The store keeps its name until the restored one takes it: whenever this ends
 * in between, the next start finds a file without its -wal, which it refuses, and never nothing, in whose place it would make one.
 */
function putAside(store: string, now: number): string {
  const aside = `${store}-replaced-${new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')}`;
  if (existsSync(aside) || existsSync(`${aside}-wal`)) throw new StoreError(`${aside} exists: try again in a second`);
  if (existsSync(store)) nameTwice(store, aside);
  if (existsSync(`${store}-wal`)) renameSync(`${store}-wal`, `${aside}-wal`);
  rmSync(`${store}-shm`, { force: true });
  return aside;
}

/** Not every file system can. */
function nameTwice(file: string, other: string): void {
  try {
    linkSync(file, other);
  } catch {
    copyFileSync(file, other, constants.COPYFILE_EXCL);
  }
}

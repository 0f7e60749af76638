// A copy of the store on its way to being a backup, or a store again: one file, whole by itself, checked row by row.

import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { openReadOnly, toStoreError } from '../database.ts';
import { setFact, setNewEpoch } from './facts.ts';
import { checkWhole, type Progress } from './integrity.ts';
import { MIGRATIONS } from './schema.ts';
import { migrate } from './vault-database.ts';

export interface CopySummary {
  readonly dids: number;
  /** Versions of all of them. */
  readonly entries: number;
}

/**
 * Gives the copy a history of its own: what is added to it is not what is added to the store that it was made of, under the same
 * sequence numbers, and whoever follows the changes must not take one for the other.
 * @throws {StoreError} when it is not whole
 */
export function finishCopy(file: string, progress: Progress): CopySummary {
  try {
    const copy = new DatabaseSync(file);
    try {
      copy.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA;');
      migrate(copy, MIGRATIONS);
      setNewEpoch(copy);
      setFact(copy, 'in_use', 0);
    } finally {
      copy.close();
    }
    return checkCopy(file, progress);
  } catch (error) {
    throw toStoreError(error, file);
  }
}

function checkCopy(file: string, progress: Progress): CopySummary {
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  const copy = openReadOnly(url);
  try {
    copy.exec('PRAGMA cache_size = -65536');
    checkWhole(copy, progress);
    const { dids, entries } = copy
      .prepare('SELECT (SELECT count(*) FROM dids) AS dids, (SELECT count(*) FROM entries) AS entries')
      .get() as Record<'dids' | 'entries', number>;
    return { dids, entries };
  } finally {
    copy.close();
  }
}

export function removeCopy(file: string): void {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(file + suffix, { force: true });
}

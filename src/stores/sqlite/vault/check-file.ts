// Whether the file can be a whole store, from the file itself: before SQLite opens it as one, and writes beside it.

import { existsSync, statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { openReadOnly, pragma, StoreError } from '../database.ts';
import { numberOf } from './facts.ts';
import { APPLICATION_ID } from './schema.ts';
import { damaged } from './seal.ts';

/**
 * Reads the file itself, without its -wal and without writing beside it, and refuses what cannot be a whole store.
 * @throws {StoreError}
 */
export function checkFile(file: string): void {
  if (!existsSync(file)) {
    if (walBytes(file) > 0) throw new StoreError(`store ${file} is gone, and its -wal is still there: restore a backup`);
    throw new StoreError(`store ${file} does not exist`);
  }
  if (statSync(file).size === 0)
    throw new StoreError(`store ${file} is empty, as a copy is that was broken off; it is not replaced`);
  const alone = walBytes(file) === 0;
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  const database = openReadOnly(url);
  try {
    if (pragma(database, 'application_id') !== APPLICATION_ID) throw new StoreError(`store ${file} is not the store of a vault`);
    if (!alone || walBytes(file) > 0) return;
    if (numberOf(database, 'in_use') === 1) {
      throw new StoreError(
        `store ${file} was copied while it was in use, or has lost its -wal: what was last written to it is missing; ` +
          'restore a backup made with hermesbridge vault backup',
      );
    }
    if (Number(pragma(database, 'page_count')) * Number(pragma(database, 'page_size')) !== statSync(file).size)
      damaged(`${file} is not as long as it was`);
  } finally {
    database.close();
  }
}

/** Bytes of what was committed and not yet carried over into the file. */
export function walBytes(file: string): number {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

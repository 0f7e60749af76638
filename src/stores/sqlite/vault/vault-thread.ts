// The thread that writes the vault's store: one transaction, and so one sync, for all writes in flight. A write that something is
// against is undone alone; when the disk does not take the whole, nothing of it stays.

import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { RegistryConflict } from '../../../vault/registry.ts';
import { lockStore, toStoreError } from '../database.ts';
import { setFact, textOf } from './facts.ts';
import { closeVault, openVault } from './vault-database.ts';
import type { EntryToWrite, FromVaultWriter, Outcome, ToVaultWriter, VaultBatch, VaultThreadData } from './vault-protocol.ts';
import { prepareWriteEntry } from './write-entry.ts';
import { prepareOnce } from './write-once.ts';

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const say = (message: FromVaultWriter) => port.postMessage(message);

try {
  const { file, checkedAtStartBytes } = workerData as VaultThreadData;
  const lock = lockStore(file);
  const database = openVault(file, checkedAtStartBytes);
  const { write, forget } = makeWriter(database);
  port.on('message', (message: ToVaultWriter) => {
    if ('batch' in message) return say(write(message.batch));
    if ('forget' in message) return forget(message.forget);
    closeVault(database);
    lock.close();
    port.close();
  });
  say({ ready: { epoch: textOf(database, 'epoch') } });
} catch (error) {
  say({ failed: toStoreError(error, (workerData as VaultThreadData).file).message });
  port.close();
}

function makeWriter(database: DatabaseSync) {
  const once = prepareOnce(database);
  const writeEntry = prepareWriteEntry(database, once);
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const keep = database.prepare('SAVEPOINT entry');
  const kept = database.prepare('RELEASE entry');

  function writeOne(entry: EntryToWrite, now: number): Outcome {
    keep.run();
    try {
      const written = writeEntry(entry, now);
      kept.run();
      return written;
    } catch (error) {
      // The disk's errors end the transaction, or are not about this write.
      if (!database.isTransaction || isOfDisk(error)) throw error;
      database.exec('ROLLBACK TO entry; RELEASE entry;');
      if (error instanceof RegistryConflict) return { conflict: error.conflict, message: error.message };
      return { failed: messageOf(error) };
    }
  }

  function write({ id, entries, now }: VaultBatch): FromVaultWriter {
    try {
      begin.run();
      const outcomes = entries.map((entry) => writeOne(entry, now));
      const last = outcomes.findLast((outcome) => 'change' in outcome && !outcome.repeated);
      if (last !== undefined && 'change' in last) setFact(database, 'last_sequence', last.change.sequence);
      commit.run();
      return { committed: id, outcomes };
    } catch (error) {
      undo(database);
      return { refused: id, cause: messageOf(error) };
    }
  }

  function forget(now: number): void {
    try {
      begin.run();
      once.forget(now);
      commit.run();
    } catch {
      // A full disk must not end the thread: what could be forgotten stays until the next round.
      undo(database);
    }
  }
  return { write, forget };
}

function undo(database: DatabaseSync): void {
  if (database.isTransaction) database.exec('ROLLBACK');
}

/** SQLite's BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN: they would be the answer to any other write as well. */
const OF_DISK = [5, 6, 7, 8, 10, 11, 13, 14];

function isOfDisk(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && OF_DISK.includes(Number(error.errcode) & 0xff);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

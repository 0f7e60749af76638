// One command at a time in an operator's home. The lock is the operating system's, on a file of SQLite, so that it ends with the
// program that holds it, however that ends; the process id beside it is for the message alone.

import { appendFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { readIfThere, writeDurably } from './durable-file.ts';
import { OperatorError } from './operator-error.ts';

/** Waits a moment for a command that is about to end. */
const WAIT_MILLIS = 2000;

/** @returns to be called when done. @throws {OperatorError} while another command works there */
export async function lockHome(directory: string): Promise<() => void> {
  const holder = `${directory}/lock.pid`;
  const file = `${directory}/lock`;
  await appendFile(file, '', { mode: 0o600 });
  const lock = new DatabaseSync(file, { timeout: WAIT_MILLIS });
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;');
  } catch {
    lock.close();
    const pid = (await readIfThere(holder))?.trim();
    throw new OperatorError(
      `another hermesbridge${pid ? ` (process ${pid})` : ''} works in ${directory}: wait until it is done, then run this again`,
    );
  }
  await writeDurably(holder, `${process.pid}\n`);
  return () => lock.close();
}

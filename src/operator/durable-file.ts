// Files that are whole or not there, whenever the machine stops: written beside, synced, then renamed over the old one.

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

const OWNER_ONLY = { file: 0o600, directory: 0o700 };

/** Durable when it resolves; only its owner can read it unless another mode is given. */
export async function writeDurably(file: string, text: string, mode = OWNER_ONLY.file): Promise<void> {
  const beside = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    const handle = await open(beside, 'wx', mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncDirectory(dirname(file));
}

/** Removes a file durably; one that is not there is no error. */
export async function removeDurably(file: string): Promise<void> {
  await rm(file, { force: true });
  await syncDirectory(dirname(file));
}

export async function moveDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncDirectory(dirname(to));
  await syncDirectory(dirname(from));
}

/** @returns `undefined` when there is no such file */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes a folder, and those above it, that only its owner can enter. One that is there is left as it is, unless `close` is set. */
export async function makeDirectory(directory: string, close = false): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: OWNER_ONLY.directory });
  if (close) await chmod(directory, OWNER_ONLY.directory);
  // The name of a new folder stands in the one above it.
  if (first !== undefined) await syncDirectory(dirname(first));
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

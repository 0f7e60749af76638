// What every command does the same: JSON or text on stdout, one clear line on stderr, and the exit code.

import { readFile } from 'node:fs/promises';
import { styleText } from 'node:util';
import { ConfigurationError } from '../config.ts';

/** 0: done. 1: the answer is no (not valid, not started). 2: the command line is wrong. */
export const EXIT = { ok: 0, no: 1, usage: 2 } as const;

/** An error that the user can act on; the message says what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The command line asks for something that no file or token can make right. */
export class UsageError extends CommandError {}

export interface OutputOptions {
  readonly json?: boolean;
}

export function print({ json }: OutputOptions, value: unknown, text: string): void {
  process.stdout.write(`${json ? JSON.stringify(value, undefined, 2) : text}\n`);
}

export function fail(error: unknown, { json }: OutputOptions = {}): void {
  process.exitCode = error instanceof UsageError ? EXIT.usage : EXIT.no;
  const problems =
    error instanceof ConfigurationError ? error.problems : [error instanceof Error ? error.message : String(error)];
  if (json) process.stdout.write(`${JSON.stringify({ error: { problems } }, undefined, 2)}\n`);
  for (const problem of problems)
    process.stderr.write(`${styleText('red', 'hermesbridge:', { stream: process.stderr })} ${problem}\n`);
}

/** Reads a file that the command line names. @throws {CommandError} that says what is wrong with it, and nothing of what is in it. */
export async function readNamedFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new CommandError(`${file} ${WHY_UNREADABLE[code] ?? `cannot be read (${code})`}`);
  }
}

const WHY_UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EISDIR: 'is a directory: name a file in it',
  EACCES: 'cannot be read by this user: see its permissions',
};

export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

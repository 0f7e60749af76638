/** One command of the program, run as a user runs it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** A hundred starts in a row: the sources are stripped of their types once. */
const CACHE = join(tmpdir(), 'hermesbridge-test-compile-cache');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Run {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** @param options `input` is its standard input; `environment` is added to ours, which names no configuration */
export async function hb(words: readonly string[], { input = '', environment = {} }: Run = {}): Promise<Ran> {
  const { HERMESBRIDGE_CONFIG: _, ...own } = process.env;
  const child = spawn(process.execPath, [MAIN, ...words], {
    env: { ...own, NO_COLOR: '1', NODE_COMPILE_CACHE: CACHE, ...environment },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => {}).end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** The same with `--json`, which must leave one JSON document on standard output. */
export async function hbJson<T = Record<string, unknown>>(words: readonly string[], run?: Run) {
  const ran = await hb([...words, '--json'], run);
  return { ...ran, value: JSON.parse(ran.stdout) as T };
}

/** Two commands at a time, as many as the machine has for this. */
export async function eachOf<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await run(item);
  };
  await Promise.all([worker(), worker()]);
}

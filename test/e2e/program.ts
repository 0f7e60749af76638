/** The program as its own process, for tests that look at how it starts, is signalled and ends; and the process list, for what it leaves. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Program {
  readonly pid: number;
  /** What it printed when ready, as JSON. */
  readonly said: { readonly urls?: Record<string, string>; readonly addresses?: { role: string; address: string }[] };
  readonly readyMillis: number;
  log(): string;
  /** Resolves when it has ended, by itself or not. */
  readonly ended: Promise<Ended>;
  signal(name: NodeJS.Signals): void;
  stop(name?: NodeJS.Signals): Promise<Ended>;
}

/** Runs `hermesbridge up` or `serve` until it says that it is ready. Throws with its standard error when it ends before. */
export async function startProgram(command: 'up' | 'serve', file: string): Promise<Program> {
  const startedAt = performance.now();
  // The channel ends it should this test be killed.
  const child = spawn(process.execPath, [MAIN, command, '--config', file, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = once(child, 'exit').then(([code, signal]): Ended => ({ code, signal }));
  const said = await firstDocument(child, () => log);
  return {
    pid: child.pid ?? 0,
    said,
    readyMillis: performance.now() - startedAt,
    log: () => log,
    ended,
    signal: (name) => void child.kill(name),
    stop: (name = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(name);
      return ended;
    },
  };
}

function firstDocument(child: ChildProcess, log: () => string): Promise<Program['said']> {
  let text = '';
  return new Promise((resolve, reject) => {
    let ready = false;
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      if (ready) return; // what ends it later is read from its standard error
      text += chunk;
      ready = text.endsWith('\n}\n') && text.includes('"ready": true');
      if (ready) resolve(JSON.parse(text) as Program['said']);
    });
    child.once('close', (code) => reject(new Error(`ended with ${code} before it was ready:\n${log()}`)));
  });
}

/** Pids of the running processes whose command line holds the text, this one excluded; a zombie does not run. */
export function pidsOf(text: string): number[] {
  return execFileSync('ps', ['-A', '-ww', '-o', 'pid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => {
      const [, pid, state, command] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
      const counts = command?.includes(text) && !state?.startsWith('Z') && Number(pid) !== process.pid;
      return counts ? [Number(pid)] : [];
    });
}

/** The Envoys whose bootstrap lies under a directory: those of a test's own pairs, orphans included. */
export function envoysUnder(directory: string): number[] {
  return pidsOf(`--config-path ${directory}/`);
}

/** Ends what a killed `up` left behind, and waits until it is gone. */
export async function endEnvoysUnder(directory: string): Promise<number> {
  const pids = envoysUnder(directory);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  while (envoysUnder(directory).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  return pids.length;
}

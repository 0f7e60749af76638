// Child programs of the bench: none outlives it, and what one wrote is at hand when it ends too early.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The end of what it wrote, both streams. */
  log(): string;
  /** SIGTERM, and SIGKILL after 10 s. */
  stop(): Promise<void>;
}

export function startProgram(command: string, words: readonly string[]): Program {
  // Our own programs (those that Node runs) end with the channel; others would not know what to do with it.
  const ours = command === process.execPath;
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe', ours ? 'ipc' : 'ignore'], serialization: 'advanced' });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-10_000);
    });
  }
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('error', (error) => {
    log += `${command}: ${error.message}\n`;
  });
  return {
    child,
    pid: child.pid ?? -1,
    log: () => log,
    stop: async () => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        const timer = setTimeout(kill, 10_000);
        await once(child, 'exit');
        clearTimeout(timer);
      }
      process.off('exit', kill);
    },
  };
}

/** Resolves when something listens on the Unix socket. @throws with the program's log when it ends before, or after that time. */
export async function untilListening(
  program: Pick<Program, 'child' | 'log'>,
  socket: string,
  timeoutMillis = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMillis;
  while (!existsSync(socket) || !(await answers(socket))) {
    const { exitCode, signalCode, pid } = program.child;
    if (pid === undefined || exitCode !== null || signalCode !== null || performance.now() > deadline)
      throw new Error(`${program.child.spawnargs.join(' ')} does not listen on ${socket}:\n${program.log()}`);
    await sleep(5);
  }
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket, () => resolve(true)).on('error', () => resolve(false));
    probe.on('connect', () => probe.destroy());
  });
}

// One replica of the gateway: the program with a store of its own, and its own Envoy, or behind one that all share.

import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type Program, startProgram } from '../bench/program.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const CLOCK_SHIFT = new URL('./clock-shift.ts', import.meta.url).href;
const READY_MILLIS = 60_000;

export interface RunningCommand {
  readonly program: Program;
  /** Lines of its log that are no news of a single request. */
  readonly notable: readonly string[];
}

/** Resolves when it says that it is ready. @throws with its log when it does not */
export async function runCommand(command: 'serve' | 'up', configurationFile: string): Promise<RunningCommand> {
  const words = ['--import', CLOCK_SHIFT, MAIN, command, '--config', configurationFile, '--json'];
  const program = startProgram(process.execPath, words);
  const notable: string[] = [];
  let [said, log] = ['', ''];
  program.child.stderr?.on('data', (text: string) => {
    const lines = (log + text).split('\n');
    log = lines.pop() ?? '';
    notable.push(...lines.filter((line) => !/"(?:no conclusion: |check without a conclusion: )?denied"/.test(line)));
  });
  await new Promise<void>((resolve, reject) => {
    const fail = () => reject(new Error(`hermesbridge ${command} is not ready:\n${program.log()}`));
    const timer = setTimeout(fail, READY_MILLIS);
    program.child.once('exit', fail);
    program.child.stdout?.on('data', (text: string) => {
      said += text;
      if (!said.includes('\n}\n')) return;
      clearTimeout(timer);
      program.child.off('exit', fail);
      resolve();
    });
  }).catch(async (error: unknown) => {
    await program.stop();
    throw error;
  });
  return { program, notable };
}

export interface GatewayReplica {
  readonly name: string;
  /** Where its clients come to: its Envoy, or the service itself. */
  readonly port: number;
  readonly storeFile: string;
  notable(): readonly string[];
  /** By so much its clock is ahead of the true time from now on, or behind. */
  shiftClock(shiftMillis: number): void;
  start(): Promise<void>;
  /** Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves when it has ended. */
  stop(): Promise<void>;
}

export interface GatewaySettings {
  readonly directory: string;
  readonly name: string;
  readonly port: number;
  /** `up`: with its own Envoy, which listens on the port. `serve`: the service does. */
  readonly command: 'serve' | 'up';
  /** What all replicas say. */
  readonly verify: Readonly<Record<string, unknown>>;
}

export async function startGateway({ directory, name, port, command, verify }: GatewaySettings): Promise<GatewayReplica> {
  const file = join(directory, `${name}.yaml`);
  const storeFile = join(dirname(file), `run/${name}.db`);
  const own =
    command === 'up'
      ? {
          service: { listen: `unix:run/${name}.sock`, deadlineMillis: 5000 },
          envoy: { listen: `127.0.0.1:${port}`, concurrency: 1, directory: `run/${name}-envoy`, drainSeconds: 1 },
        }
      : { service: { listen: `127.0.0.1:${port}`, deadlineMillis: 5000, drainSeconds: DRAIN_SECONDS } };
  // A machine that stalls for a second is no reason to deny.
  const section = { ...verify, ...own, store: { file: `run/${name}.db`, recordTimeoutMillis: 4000 } };
  await writeFile(file, stringify({ verify: section, log: { level: 'warn' } }));
  let running = await runCommand(command, file);
  const earlier: string[] = [];
  return {
    name,
    port,
    storeFile,
    notable: () => [...earlier, ...running.notable],
    shiftClock: (shiftMillis) => void running.program.child.send({ shiftMillis }),
    start: async () => {
      earlier.push(...running.notable);
      running = await runCommand(command, file);
    },
    kill: async () => {
      running.program.child.kill('SIGKILL');
      await running.program.stop();
    },
    stop: () => running.program.stop(),
  };
}

/** Longer than two looks of Envoy at its health. */
const DRAIN_SECONDS = 3;

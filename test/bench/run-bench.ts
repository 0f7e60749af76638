// How every bench runs: what it found is printed and written, what it started is stopped, and a run that shows nothing says why.

import { writeFile } from 'node:fs/promises';
import { VoidRun } from './load.ts';

/** Exit code after SIGINT or SIGTERM; what fails from then on fails because everything is being stopped. */
export const INTERRUPTED = 130;

export interface BenchRun<Result> {
  measure(): Promise<Result>;
  /** What is said of the result at the end. */
  lines(result: Result): readonly string[];
  /** File for the result. */
  readonly json: string | undefined;
  /** Of what was started. */
  stop(): Promise<unknown>;
  /** What is worth reading after a failure. */
  log?(error: unknown): string;
}

/** Sets the exit code: 1 where the run failed or is void. */
export async function runBench<Result>({ measure, lines, json, stop, log }: BenchRun<Result>): Promise<void> {
  try {
    const result = await measure();
    process.stdout.write(`${['', ...lines(result)].join('\n')}\n`);
    if (json !== undefined) await writeFile(json, `${JSON.stringify(result, undefined, 2)}\n`);
  } catch (error) {
    if (process.exitCode === INTERRUPTED) return;
    process.exitCode = 1;
    const what = error instanceof VoidRun ? 'the run is void' : 'bench failed';
    process.stderr.write(`${what}: ${error instanceof Error ? error.message : String(error)}\n${log?.(error) ?? ''}`);
  } finally {
    await stop();
  }
}

/** A signal stops what was started, and ends the program. */
export function stopOnSignal(stop: () => Promise<unknown>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      process.exitCode = INTERRUPTED;
      void stop().finally(() => process.exit());
    });
}

// One thread that verifies logs, as its owner sees it: started, busy with at most one log, ended.

import { Worker } from 'node:worker_threads';
import type { FromVerifier, ToVerifier } from './log-verifier-protocol.ts';

export interface ThreadEvents {
  readonly onReady: (thread: VerifierThread) => void;
  /** The thread has ended without having been told to. */
  readonly onEnd: (thread: VerifierThread, cause: string) => void;
}

/** Enough for the largest log that is read, and an end to one that makes the library use more. */
const MOST_MEMORY_MIB = 256;
const START_TIMEOUT_MILLIS = 15_000;

export class VerifierThread {
  /** Logs that it verified, and how many characters they had. */
  logs = 0;
  characters = 0;
  ready = false;
  readonly #worker: Worker;
  #answer: ((message: FromVerifier) => void) | undefined;
  #ended = false;

  constructor(events: ThreadEvents) {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#worker = new Worker(new URL(`./log-verifier-thread.${extension}`, import.meta.url), {
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: MOST_MEMORY_MIB },
    });
    this.#worker.unref();
    const end = (cause: string) => {
      clearTimeout(starting);
      if (this.#ended) return;
      void this.end();
      events.onEnd(this, cause);
    };
    const starting = setTimeout(() => end('it did not start in time'), START_TIMEOUT_MILLIS).unref();
    this.#worker.on('message', (message: FromVerifier) => {
      if (this.#ended) return;
      if (!('ready' in message)) return this.#answer?.(message);
      clearTimeout(starting);
      this.ready = true;
      events.onReady(this);
    });
    this.#worker.on('error', (error) => end(error.message));
    this.#worker.on('exit', () => end('it has ended'));
  }

  get busy(): boolean {
    return this.#answer !== undefined;
  }

  /** Keeps the program running, or not any more. */
  hold(waitedFor: boolean): void {
    if (waitedFor) this.#worker.ref();
    else this.#worker.unref();
  }

  /** @param answer called once, unless the thread ends before */
  ask(request: ToVerifier, answer: (message: FromVerifier) => void): void {
    this.#answer = (message) => {
      this.#answer = undefined;
      this.logs++;
      this.characters += request.log.length + (request.witness?.length ?? 0);
      answer(message);
    };
    this.#worker.postMessage(request);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#worker.terminate();
  }
}

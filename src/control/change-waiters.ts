// Callers that wait for the next change, as many as there is room for, each for as long as it asked.

import { Problem } from './problem.ts';

export class ChangeWaiters {
  readonly #most: number;
  readonly #waiting = new Set<() => void>();
  #closed = false;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves at the next change, after the time, when the caller has gone, or at the end of the service. @throws {Problem} */
  wait(millis: number, gone: AbortSignal): Promise<void> {
    if (this.#closed || gone.aborted) return Promise.resolve();
    if (this.#waiting.size >= this.#most)
      throw new Problem('unavailable', 'Too many wait for changes: ask again without `wait`.');
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        gone.removeEventListener('abort', end);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, millis);
      gone.addEventListener('abort', end);
      this.#waiting.add(end);
    });
  }

  wake(): void {
    for (const end of [...this.#waiting]) end();
  }

  /** Nobody waits any more. */
  close(): void {
    this.#closed = true;
    this.wake();
  }
}

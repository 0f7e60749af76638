// Cuts what a store of restrictions holds into segments, in a thread of its own.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { StoreError } from '../database.ts';
import type { FromSegmentThread, MadeSegment } from './segment-thread.ts';

export class SegmentMaker {
  readonly #file: string;
  #worker: Worker | undefined;

  /** @param file of a store of restrictions that is open */
  constructor(file: string) {
    this.#file = file;
  }

  /**
   * One at a time.
   * @returns the segment that begins after a sequence, always the same; `undefined` while there are not enough restrictions for it
   * @throws {StoreError}
   */
  async make(after: number): Promise<MadeSegment | undefined> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#worker ??= new Worker(new URL(`./segment-thread.${extension}`, import.meta.url), { workerData: this.#file });
    const worker = this.#worker;
    const ended = new AbortController();
    try {
      const exited = once(worker, 'exit', { signal: ended.signal }).then((): [FromSegmentThread] => [{ failed: 'it ended' }]);
      const answered = once(worker, 'message', { signal: ended.signal }) as Promise<[FromSegmentThread]>;
      exited.catch(() => {});
      worker.postMessage(after);
      const [message] = await Promise.race([answered, exited]);
      if ('made' in message) return message.made;
      throw new StoreError(`no segment could be made: ${message.failed}`);
    } catch (error) {
      if (this.#worker === worker) this.#worker = undefined;
      void worker.terminate();
      throw error;
    } finally {
      ended.abort();
    }
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }
}

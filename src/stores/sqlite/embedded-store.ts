// The embedded store as the gateway uses it: nonces in memory, records and nonces on disk in batches.
// While one batch is being written the next one gathers, so under load one sync serves many decisions.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { NonceToKeep } from '../../checks/nonce/check-nonce.ts';
import { NonceMemory } from '../../checks/nonce/nonce-memory.ts';
import { StoreError } from './database.ts';
import { type FromWriter, fromLine, LINE_END, type ToWriter, toLine } from './writer-protocol.ts';
import type { WriterData } from './writer-thread.ts';

export interface EmbeddedStoreSettings {
  readonly file: string;
  /** A record that takes longer than this many milliseconds to become durable is an error. */
  readonly recordTimeoutMillis: number;
  readonly perKeyLimit: number;
  readonly windowMillis: number;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
}

interface Waiting {
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Gathering {
  lines: string[];
  waiting: Waiting[];
}

/** Most decisions that may wait for the disk; beyond that the disk is not keeping up and waiting helps nobody. */
const MOST_WAITING = 10_000;

/**
 * After a batch of n decisions the next one is written n - 1 milliseconds later, at most this many: a sync and a message each
 * way between the threads cost as much CPU as verifying several signatures, whatever the size of the batch. So a request that
 * comes alone never waits, and the busier the gateway the more of them share the cost.
 */
const MOST_APART_MILLIS = 6;

export class EmbeddedStore {
  readonly nonces: NonceMemory;
  readonly #worker: Worker;
  readonly #settings: EmbeddedStoreSettings;
  readonly #sweep: NodeJS.Timeout;
  #gathering: Gathering = empty();
  #written: { id: number; waiting: Waiting[] } | undefined;
  #nextId = 1;
  #lastAt = 0;
  #lastSize = 0;
  #failure: Error | undefined;

  private constructor(worker: Worker, nonces: NonceMemory, settings: EmbeddedStoreSettings) {
    this.#worker = worker;
    this.nonces = nonces;
    this.#settings = settings;
    worker.on('message', (message: FromWriter) => this.#hear(message));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new StoreError('the store has been closed')));
    this.#sweep = setInterval(() => this.#rejectOverdue(), Math.max(10, settings.recordTimeoutMillis / 8)).unref();
  }

  /** @throws {StoreError} when the file is damaged, in use, of a newer version or not writable. */
  static async open(settings: EmbeddedStoreSettings): Promise<EmbeddedStore> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const workerData: WriterData = { file: settings.file, windowMillis: settings.windowMillis };
    const worker = new Worker(new URL(`./writer-thread.${extension}`, import.meta.url), { workerData });
    try {
      return new EmbeddedStore(worker, await loadNonces(worker, settings), settings);
    } catch (error) {
      // Its lock and files go with the thread, so that whoever tries again is not refused by this attempt.
      await worker.terminate();
      throw error;
    }
  }

  /**
   * Resolves once the record, and the nonce with it, is on disk.
   * @throws {StoreError} when it could not be written, or not in time; it may still be written later.
   */
  append(record: string, nonce: NonceToKeep | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const { lines, waiting } = this.#gathering;
      if (this.#failure !== undefined) return reject(this.#failure);
      if (waiting.length >= MOST_WAITING) return reject(new StoreError('the store is not keeping up'));
      lines.push(toLine(record, nonce));
      waiting.push({ since: this.#settings.monotonic(), resolve, reject });
      if (waiting.length === 1 && this.#written === undefined) this.#writeSoon();
    });
  }

  /** Writes what is waiting and closes the file. */
  async close(): Promise<void> {
    while (this.#failure === undefined && (this.#written !== undefined || this.#gathering.waiting.length > 0)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    clearInterval(this.#sweep);
    if (this.#failure !== undefined) return;
    this.#post({ close: true });
    await once(this.#worker, 'exit');
  }

  /** Everything that this turn of the event loop decides shares a batch; under load, everything of the next milliseconds. */
  #writeSoon(): void {
    const apart = Math.min(this.#lastSize - 1, MOST_APART_MILLIS);
    const wait = this.#lastAt + apart - this.#settings.monotonic();
    if (wait >= 1) setTimeout(() => this.#write(), wait);
    else setImmediate(() => this.#write());
  }

  #write(): void {
    if (this.#written !== undefined || this.#gathering.waiting.length === 0 || this.#failure !== undefined) return;
    const { waiting, lines } = this.#gathering;
    const batch = { id: this.#nextId++, lines: lines.join(LINE_END) };
    this.#written = { id: batch.id, waiting };
    this.#lastAt = this.#settings.monotonic();
    this.#lastSize = waiting.length;
    this.#gathering = empty();
    this.#post({ batch });
  }

  #hear(message: FromWriter): void {
    const written = this.#written;
    if (written === undefined) return;
    if ('committed' in message && message.committed === written.id) {
      for (const { resolve } of written.waiting) resolve();
    } else if ('refused' in message && message.refused === written.id) {
      for (const { reject } of written.waiting) reject(new StoreError(`the record was not written: ${message.cause}`));
    } else return;
    this.#written = undefined;
    if (this.#gathering.waiting.length > 0) this.#writeSoon();
  }

  #rejectOverdue(): void {
    const before = this.#settings.monotonic() - this.#settings.recordTimeoutMillis;
    for (const waiting of [this.#written?.waiting ?? [], this.#gathering.waiting]) {
      // Rejecting twice is harmless, so the rows stay where they are and are still written if the disk comes back.
      for (const { since, reject } of waiting) if (since < before) reject(new StoreError('the record was not written in time'));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    clearInterval(this.#sweep);
    for (const { reject } of [...(this.#written?.waiting ?? []), ...this.#gathering.waiting]) reject(this.#failure);
    this.#written = undefined;
    this.#gathering = empty();
  }

  #post(message: ToWriter): void {
    this.#worker.postMessage(message);
  }
}

/** @throws {StoreError} */
function loadNonces(worker: Worker, settings: EmbeddedStoreSettings): Promise<NonceMemory> {
  const { promise, resolve, reject } = Promise.withResolvers<NonceMemory>();
  let memory: NonceMemory | undefined;
  const fail = (cause: Error) => reject(new StoreError('the store did not open', { cause }));
  const gone = () => reject(new StoreError('the store did not open'));
  const hear = (message: FromWriter) => {
    try {
      if ('failed' in message) throw new StoreError(message.failed);
      if ('facts' in message) memory = new NonceMemory({ ...settings, ...message.facts });
      else if (memory === undefined) throw new StoreError('the store began with something else than its facts');
      else if ('nonces' in message) for (const line of message.nonces.split(LINE_END)) loadNonce(memory, line);
      else if ('ready' in message) resolve(memory);
    } catch (error) {
      reject(error);
    }
  };
  worker.on('message', hear).once('error', fail).once('exit', gone);
  return promise.finally(() => worker.off('message', hear).off('error', fail).off('exit', gone));
}

/** One that were passed over could be used again. @throws {StoreError} */
function loadNonce(memory: NonceMemory, line: string): void {
  const { nonce } = fromLine(line);
  if (!nonce?.jkt || !(nonce.retainUntil > 0)) throw new StoreError('the store holds a nonce that cannot be read');
  memory.load(nonce.entry, nonce.jkt, nonce.retainUntil);
}

function empty(): Gathering {
  return { lines: [], waiting: [] };
}

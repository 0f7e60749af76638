// The way to the thread that writes. While one batch is being written the next one gathers, so that one sync serves many writes.

import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { type Change, RegistryConflict } from '../../../vault/registry.ts';
import { StoreError } from '../database.ts';
import { startThread } from './start-thread.ts';
import type { EntryToWrite, FromVaultWriter, Outcome, ToVaultWriter, VaultThreadData } from './vault-protocol.ts';

export interface WriteQueueSettings extends VaultThreadData {
  /** A write that takes longer than this many milliseconds to become durable is an error. */
  readonly writeTimeoutMillis: number;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Called for each new entry once it is on disk, in the order of their sequences. */
  readonly onChange: (change: Change) => void;
}

interface Waiting {
  readonly since: number;
  readonly entry: EntryToWrite;
  readonly resolve: (change: Change) => void;
  readonly reject: (error: Error) => void;
}

/** Most writes that may wait for the disk; beyond that it is not keeping up, and waiting helps nobody. */
const MOST_WAITING = 10_000;
/** So that a batch never holds the file for long. */
const MOST_IN_BATCH = 500;
const FORGET_EVERY_MILLIS = 30_000;

export class WriteQueue {
  readonly epoch: string;
  readonly #writer: Worker;
  readonly #settings: WriteQueueSettings;
  readonly #timers: readonly NodeJS.Timeout[];
  #gathering: Waiting[] = [];
  #written: { readonly id: number; readonly waiting: readonly Waiting[] } | undefined;
  #nextId = 1;
  #failure: Error | undefined;
  #ended = false;

  private constructor(writer: Worker, epoch: string, settings: WriteQueueSettings) {
    const { writeTimeoutMillis, clock } = settings;
    this.#writer = writer;
    this.#settings = settings;
    this.epoch = epoch;
    writer.on('message', (message: FromVaultWriter) => this.#hear(message));
    writer.on('error', (error) => this.fail(error));
    writer.on('exit', () => {
      this.#ended = true;
      this.fail(new StoreError('the store has been closed'));
    });
    this.#timers = [
      setInterval(() => this.#rejectOverdue(), Math.max(10, writeTimeoutMillis / 8)).unref(),
      setInterval(() => this.#post({ forget: clock() }), FORGET_EVERY_MILLIS).unref(),
    ];
    this.#post({ forget: clock() });
  }

  /** @throws {StoreError} when the store cannot be opened for writing */
  static async open(settings: WriteQueueSettings): Promise<WriteQueue> {
    const { file, checkedAtStartBytes } = settings;
    const writer = startThread('vault-thread', { file, checkedAtStartBytes } satisfies VaultThreadData);
    const [message] = (await once(writer, 'message')) as [FromVaultWriter];
    if ('ready' in message) return new WriteQueue(writer, message.ready.epoch, settings);
    // Its lock and files go with the thread, so that whoever tries again is not refused by this attempt.
    await writer.terminate();
    throw new StoreError('failed' in message ? message.failed : 'the store did not open');
  }

  /** Why the store takes nothing any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Resolves once the entry is on disk. Rejects with {@link RegistryConflict}, or with {@link StoreError}: see `register` of the store. */
  write(entry: EntryToWrite): Promise<Change> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      if (this.#gathering.length >= MOST_WAITING) return reject(new StoreError('the store is not keeping up'));
      this.#gathering.push({ since: performance.now(), entry, resolve, reject });
      // Everything of this turn of the event loop shares a batch.
      if (this.#gathering.length === 1 && this.#written === undefined) setImmediate(() => this.#write());
    });
  }

  /** From now on everything is refused. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of [...(this.#written?.waiting ?? []), ...this.#gathering]) reject(this.#failure);
    this.#written = undefined;
    this.#gathering = [];
  }

  /** Resolves when what waited is settled. */
  async settle(): Promise<void> {
    while (this.#written !== undefined || this.#gathering.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#ended) return;
    const ended = once(this.#writer, 'exit');
    this.#post({ close: true });
    await ended;
  }

  #write(): void {
    if (this.#written !== undefined || this.#gathering.length === 0) return;
    const waiting = this.#gathering.splice(0, MOST_IN_BATCH);
    this.#written = { id: this.#nextId++, waiting };
    this.#post({ batch: { id: this.#written.id, entries: waiting.map(({ entry }) => entry), now: this.#settings.clock() } });
  }

  #hear(message: FromVaultWriter): void {
    const written = this.#written;
    if (written === undefined) return;
    if ('committed' in message && message.committed === written.id) {
      for (const [at, outcome] of message.outcomes.entries()) settle(written.waiting[at], outcome);
      for (const outcome of message.outcomes)
        if ('change' in outcome && !outcome.repeated) this.#settings.onChange(outcome.change);
    } else if ('refused' in message && message.refused === written.id) {
      for (const { reject } of written.waiting) reject(new StoreError(`the entry was not written: ${message.cause}`));
    } else return;
    this.#written = undefined;
    if (this.#gathering.length > 0) setImmediate(() => this.#write());
  }

  #rejectOverdue(): void {
    const before = performance.now() - this.#settings.writeTimeoutMillis;
    for (const waiting of [this.#written?.waiting ?? [], this.#gathering]) {
      // Rejecting twice is harmless, so the entries stay where they are and are still written if the disk comes back.
      for (const { since, reject } of waiting) if (since < before) reject(new StoreError('the entry was not written in time'));
    }
  }

  #post(message: ToVaultWriter): void {
    this.#writer.postMessage(message);
  }
}

function settle(waiting: Waiting | undefined, outcome: Outcome): void {
  if ('change' in outcome) waiting?.resolve(outcome.change);
  else if ('conflict' in outcome) waiting?.reject(new RegistryConflict(outcome.conflict, outcome.message));
  else waiting?.reject(new StoreError(`the entry was not written: ${outcome.failed}`));
}

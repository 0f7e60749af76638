// The vault's store as the control API uses it: one SQLite file, read on the thread of the caller and written by another.

import { statSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import {
  type Addition,
  type Answer,
  type Change,
  type Kind,
  type NewRegistration,
  type Page,
  type Registered,
  RegistryConflict,
  type VaultStore,
  type WriteOnce,
} from '../../../vault/registry.ts';
import { StoreError, toStoreError } from '../database.ts';
import { toEntryToWrite } from './entry-to-write.ts';
import { startThread } from './start-thread.ts';
import type { Damage, EntryToWrite } from './vault-protocol.ts';
import { NoCursor, type ServedLog, VaultReader } from './vault-reader.ts';
import { WriteQueue } from './write-queue.ts';

export interface VaultStoreSettings {
  /** A SQLite database; its -wal, -shm and -lock stand beside it. Made when there is none. */
  readonly file: string;
  /** A write that takes longer than this many milliseconds to become durable is an error: 5000. */
  readonly writeTimeoutMillis?: number;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
  /** A larger file is opened after a check in part, and the rest is checked while it serves: 128 MiB, two seconds or so. */
  readonly checkedAtStartBytes?: number;
}

const DEFAULTS = { writeTimeoutMillis: 5000, clock: Date.now, checkedAtStartBytes: 128 * 1024 * 1024 };

type Listener = (change: Change) => void;

export class SqliteVaultStore implements VaultStore {
  readonly epoch: string;
  readonly #settings: Required<VaultStoreSettings>;
  readonly #queue: WriteQueue;
  readonly #reader: VaultReader;
  readonly #listeners: Set<Listener>;
  readonly #inspector: Worker | undefined;

  private constructor(settings: Required<VaultStoreSettings>, queue: WriteQueue, listeners: Set<Listener>) {
    const { file, checkedAtStartBytes } = settings;
    this.#reader = new VaultReader(file);
    this.epoch = queue.epoch;
    this.#settings = settings;
    this.#queue = queue;
    this.#listeners = listeners;
    if (statSync(file).size <= checkedAtStartBytes) return;
    this.#inspector = startThread('inspection-thread', file);
    this.#inspector.unref();
    this.#inspector.on('message', ({ damage }: Damage) => queue.fail(new StoreError(damage)));
    this.#inspector.on('error', (error) => queue.fail(toStoreError(error, file)));
  }

  /** @throws {StoreError} when the file is damaged, not whole, in use, of a newer version or not writable; it stays as it is. */
  static async open(given: VaultStoreSettings): Promise<SqliteVaultStore> {
    const settings = { ...DEFAULTS, ...given };
    const listeners = new Set<Listener>();
    const onChange = (change: Change) => {
      for (const listener of listeners) tell(listener, change);
    };
    const queue = await WriteQueue.open({ ...settings, onChange });
    try {
      return new SqliteVaultStore(settings, queue, listeners);
    } catch (error) {
      await queue.close();
      throw error;
    }
  }

  /**
   * Resolves once the entry is on disk, and everything that came with it. The same request twice, at the same time, resolves
   * twice with one change. Rejects with {@link RegistryConflict}, the first of: nonce, idempotency key, the rest; and with
   * {@link StoreError} when it could not be written, or not in time: then it may still be written later.
   */
  register(registration: NewRegistration, write: WriteOnce, answer: Answer): Promise<Change> {
    const { kind, operator, path, log } = registration;
    return this.#write({ ...registration, did: log.did }, { kind, operator, path }, write, answer);
  }

  /** As {@link register}. */
  append(addition: Addition, write: WriteOnce, answer: Answer): Promise<Change> {
    return this.#write(addition, undefined, write, answer);
  }

  answered(write: WriteOnce): Answer | undefined {
    return this.#read((reader) => reader.answered(write, this.#settings.clock()));
  }

  find(did: string): Registered | undefined {
    return this.#read((reader) => reader.find(did));
  }

  readLog(did: string): ServedLog | undefined {
    return this.#read((reader) => reader.readLog(did));
  }

  readLogAt(path: string): ServedLog | undefined {
    return this.#read((reader) => reader.readLogAt(path));
  }

  /** @throws {NoCursor} for a cursor that is none */
  list(kind: Kind, operator: string | undefined, cursor: string | undefined, limit: number): Page<Registered> {
    return this.#read((reader) => reader.list(kind, operator, cursor, limit));
  }

  changesAfter(sequence: number, limit: number): readonly Change[] | undefined {
    return this.#read((reader) => reader.changesAfter(sequence, limit));
  }

  lastSequence(): number {
    return this.#read((reader) => reader.lastSequence());
  }

  /** In the order of their sequences, for entries that are on disk; one that came twice is told once. */
  subscribe(listener: (change: Change) => void): () => void {
    const own = (change: Change) => listener(change);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Writes what is waiting and closes the file. */
  async close(): Promise<void> {
    await this.#queue.settle();
    await this.#inspector?.terminate();
    this.#reader.close();
    await this.#queue.close();
  }

  async #write(
    addition: Addition,
    registration: EntryToWrite['registration'],
    write: WriteOnce,
    answer: Answer,
  ): Promise<Change> {
    return this.#queue.write(toEntryToWrite(addition, registration, write, answer));
  }

  /** A store of which a part is known to be damaged answers nothing: what is missing would look as if it had never been there. */
  #read<T>(act: (reader: VaultReader) => T): T {
    const { failure } = this.#queue;
    if (failure !== undefined) throw failure;
    try {
      return act(this.#reader);
    } catch (error) {
      if (error instanceof RegistryConflict || error instanceof NoCursor) throw error;
      throw toStoreError(error, this.#settings.file);
    }
  }
}

/** One listener's mistake is not the next one's, nor the store's: it is reported as what nobody caught. */
function tell(listener: Listener, change: Change): void {
  try {
    listener(change);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

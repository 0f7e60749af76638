// Restrictions in a file of their own: written by a worker thread, since a sync may take milliseconds; read at once by number. What
// another process adds to the file (`revoke --store`) is seen a tenth of a second later.

import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import { nextHead } from '../../../restrictions/feed-head.ts';
import type { FeedPlace, FeedSegment, SegmentRow } from '../../../restrictions/feed-segment.ts';
import { RefusedFeed } from '../../../restrictions/read-feed.ts';
import { entryOf } from '../../../restrictions/restrictable-chain.ts';
import type { RestrictionSet } from '../../../restrictions/restriction-set.ts';
import type { Appended, FeedPosition, RestrictionStore } from '../../../restrictions/restriction-store.ts';
import { ALWAYS } from '../../../restrictions/revocation-table.ts';
import { type Restriction, reopenRestriction } from '../../../restrictions/verify-restriction.ts';
import { StoreError } from '../database.ts';
import { type Listener, Listeners } from './listeners.ts';
import { loadRestrictions } from './load-restrictions.ts';
import { putInForce } from './put-in-force.ts';
import type { FromRestrictionWriter, RestrictionBatch, ToRestrictionWriter } from './restriction-protocol.ts';
import { RestrictionReader } from './restriction-reader.ts';

interface Waiting {
  readonly batch: RestrictionBatch;
  /** It is in force already, under the numbers that it must get now. */
  readonly ahead: readonly Appended[] | undefined;
  /** Called when it is kept, or was refused: it is expected until then. */
  readonly forget: () => void;
  readonly resolve: (appended: readonly Appended[]) => void;
  readonly reject: (error: Error) => void;
}

const LOOK_MILLIS = 100;
const MOST_AT_ONCE = 500;
/** Of one batch: whoever catches up with a feed is not fresh, and denies meanwhile. */
const MOST_EXPECTED = 64;
/** Segments under one sync. */
const MOST_SEGMENTS = 16;
const NOTHING = () => {};

export class SqliteRestrictionStore extends RestrictionReader implements RestrictionStore {
  readonly #worker: Worker;
  readonly #listeners = new Listeners();
  readonly #sets = new Set<RestrictionSet>();
  readonly #look: NodeJS.Timeout;
  #gathering: Waiting[] = [];
  #written: Waiting[] = [];
  #told: number;
  /** The end of what is in force, while some of it is not kept yet. */
  #ahead: FeedPlace | undefined;
  #slicing = false;
  #version: unknown;
  #failure: Error | undefined;

  private constructor(worker: Worker, file: string) {
    super(file);
    this.#worker = worker;
    this.#told = this.lastSequence();
    worker.on('message', (message: FromRestrictionWriter) => this.#hear(message));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new StoreError('the store of restrictions has been closed')));
    this.#look = setInterval(() => this.#lookForOthers(), LOOK_MILLIS).unref();
  }

  /** @throws {StoreError} when the file is damaged, of a newer version or not writable; it is never replaced. */
  static async open(file: string): Promise<SqliteRestrictionStore> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./restriction-thread.${extension}`, import.meta.url), { workerData: file });
    const [message] = (await once(worker, 'message')) as [FromRestrictionWriter];
    if ('ready' in message) return new SqliteRestrictionStore(worker, file);
    await worker.terminate();
    throw new StoreError('failed' in message ? message.failed : `store ${file} did not open`);
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  append(restrictions: readonly Restriction[], position?: FeedPosition): Promise<readonly Appended[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      const batch = { rows: restrictions.map(rowOf), position };
      // What was imported before is still being written, and news must not wait for it: what comes from a feed can be had again.
      if (this.#ahead !== undefined) resolve(this.#appendAhead(restrictions, batch));
      else this.#enqueue({ batch, ahead: undefined, forget: this.#expect(restrictions), resolve, reject });
    });
  }

  async import(segment: FeedSegment, from: FeedPlace, position: FeedPosition): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const { sequence, head } = this.#ahead ?? this.end;
    const goesOn = from.sequence === segment.start.sequence && from.head === segment.start.head;
    const sameNumbers = goesOn && sequence === from.sequence && head === from.head && !this.#listeners.needEach;
    const batch = { rows: { segment, from, sameNumbers }, position };
    if (!sameNumbers) {
      if (this.#ahead !== undefined) throw new StoreError('the copy is still being written');
      await new Promise<unknown>((resolve, reject) =>
        this.#enqueue({ batch, ahead: undefined, forget: NOTHING, resolve, reject }),
      );
      return;
    }
    try {
      await putInForce(segment, this.#sets);
    } catch (cause) {
      throw new RefusedFeed('a segment of it cannot be read', { cause });
    }
    this.#told = segment.end.sequence;
    this.#ahead = segment.end;
    this.#listeners.tellOfMany();
    this.#enqueue({ batch, ahead: [], forget: NOTHING, resolve: NOTHING, reject: NOTHING });
  }

  async keepBound(seconds: number): Promise<void> {
    if (seconds <= this.longestBound) return;
    if (this.#failure !== undefined) throw this.#failure;
    const batch = { rows: [], position: undefined, bound: seconds };
    const ahead = undefined;
    await new Promise<unknown>((resolve, reject) => this.#enqueue({ batch, ahead, forget: NOTHING, resolve, reject }));
  }

  keepInForce(set: RestrictionSet): () => void {
    this.#tell();
    loadRestrictions(this.database, 0, this.#told, set);
    this.#sets.add(set);
    return () => void this.#sets.delete(set);
  }

  subscribe(listener: Listener, onMany?: () => void): () => void {
    return this.#listeners.add(listener, onMany);
  }

  async close(): Promise<void> {
    // A copy that is not complete goes on from where it is.
    this.#gathering = this.#gathering.filter(({ ahead }) => ahead === undefined);
    while (this.#failure === undefined && this.#gathering.length + this.#written.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    clearInterval(this.#look);
    const running = this.#failure === undefined;
    this.#fail(new StoreError('the store of restrictions has been closed'));
    this.database.close();
    this.#worker.postMessage({ close: true } satisfies ToRestrictionWriter);
    if (running) await once(this.#worker, 'exit');
    else await this.#worker.terminate();
  }

  #write(): void {
    if (this.#written.length > 0 || this.#gathering.length === 0 || this.#failure !== undefined) return;
    const importing = this.#gathering.some(({ batch }) => 'segment' in batch.rows);
    this.#written = this.#gathering.splice(0, importing ? MOST_SEGMENTS : MOST_AT_ONCE);
    this.#worker.postMessage({ batches: this.#written.map(({ batch }) => batch) } satisfies ToRestrictionWriter);
  }

  #hear(message: FromRestrictionWriter): void {
    if ('damaged' in message) {
      this.#fail(new StoreError(`the store of restrictions is damaged: ${message.damaged}`));
      return;
    }
    const settled = this.#written;
    this.#written = [];
    if ('written' in message) {
      void this.#settle(settled, message.written);
    } else if ('refused' in message) {
      const error = message.lie
        ? new RefusedFeed(message.refused)
        : new StoreError(`the restriction was not written: ${message.refused}`);
      for (const { forget, reject } of settled) {
        forget();
        reject(error);
      }
      if (settled.some(({ ahead }) => ahead !== undefined)) this.#fail(error);
    }
    this.#write();
  }

  /** In force before whoever asked for it is told that it is. */
  async #settle(settled: readonly Waiting[], written: readonly (readonly Appended[])[]): Promise<void> {
    if (settled.some(({ batch, ahead }) => 'segment' in batch.rows && ahead === undefined)) await this.#tellInSlices();
    else this.#tell();
    for (const [index, { ahead, forget, resolve }] of settled.entries()) {
      const appended = written[index] ?? [];
      forget();
      if (ahead !== undefined && !isDeepStrictEqual(ahead, appended))
        this.#fail(new StoreError('what is in force was kept under other numbers'));
      resolve(appended);
    }
    if (this.#gathering.length + this.#written.length === 0) this.#ahead = undefined;
  }

  /** In force at once, but for one that will be refused, since its id is another's. */
  #expect(restrictions: readonly Restriction[]): () => void {
    if (this.#sets.size === 0 || restrictions.length > MOST_EXPECTED) return NOTHING;
    const news = restrictions.filter(({ id }) => this.findById(id) === undefined);
    const forgets = news.flatMap((restriction) => [...this.#sets].map((set) => set.expect(restriction)));
    return () => {
      for (const forget of forgets) forget();
    };
  }

  #enqueue(waiting: Waiting): void {
    this.#gathering.push(waiting);
    if (this.#gathering.length === 1 && this.#written.length === 0) setImmediate(() => this.#write());
  }

  #appendAhead(restrictions: readonly Restriction[], batch: RestrictionBatch): readonly Appended[] {
    const ahead = restrictions.map((restriction): Appended => {
      const { sequence: before, head } = this.#ahead ?? this.end;
      const sequence = before + 1;
      this.#ahead = { sequence, head: nextHead(head, restriction.compact) };
      for (const set of this.#sets) set.add(restriction, sequence);
      this.#listeners.tell(restriction, sequence);
      this.#told = sequence;
      return { outcome: 'added', sequence };
    });
    this.#enqueue({ batch, ahead, forget: NOTHING, resolve: NOTHING, reject: NOTHING });
    return ahead;
  }

  #lookForOthers(): void {
    if (this.#failure !== undefined || this.#slicing) return;
    const { version } = this;
    if (version === this.#version) return;
    this.#version = version;
    this.#tell();
  }

  #tell(): void {
    try {
      for (;;) {
        const rows = this.after(this.#told, MOST_AT_ONCE);
        for (const { sequence, compact } of rows) {
          if (sequence !== this.#told + 1) throw new StoreError(`number ${this.#told + 1} is missing`);
          const restriction = reopenRestriction(compact);
          for (const set of this.#sets) set.add(restriction, sequence);
          this.#listeners.tell(restriction, sequence);
          this.#told = sequence;
        }
        if (rows.length < MOST_AT_ONCE) return;
      }
    } catch (error) {
      this.#fail(new StoreError('what was restricted could not be read', { cause: error }));
    }
  }

  /** For many at once: from the narrow table, and with requests answered in between. */
  async #tellInSlices(): Promise<void> {
    if (this.#listeners.needEach) return this.#tell();
    this.#slicing = true;
    try {
      for (const last = this.lastSequence(); this.#told < last && this.#failure === undefined; await nextTurn()) {
        const to = Math.min(this.#told + MOST_AT_ONCE, last);
        for (const set of this.#sets) loadRestrictions(this.database, this.#told, to, set);
        this.#told = to;
      }
      this.#listeners.tellOfMany();
    } catch (error) {
      this.#fail(new StoreError('what was restricted could not be read', { cause: error }));
    } finally {
      this.#slicing = false;
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of [...this.#written, ...this.#gathering]) reject(this.#failure);
    this.#written = [];
    this.#gathering = [];
  }
}

function rowOf({ id, compact, effect, by, target, before }: Restriction): SegmentRow {
  const revokes = effect === 'revoke' ? { entry: entryOf(by, target.kind, target.value), before: before ?? ALWAYS } : undefined;
  return { id, compact, revokes };
}

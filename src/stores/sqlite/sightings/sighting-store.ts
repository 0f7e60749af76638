// Sightings in a file of their own, gathered here and written by a worker thread. Nobody waits for them: what does not fit, or was
// not written when the program was killed, is lost, and costs nothing but the view of it.

import { once } from 'node:events';
import type { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import type { SightingsConfiguration } from '../../../sightings/configuration.ts';
import type { SeenLink, SightingSink } from '../../../sightings/sighting.ts';
import type { SightingReader } from '../../../sightings/sighting-reader.ts';
import { StoreError } from '../database.ts';
import { openSightingsForReading, type SightingFacts } from './sighting-database.ts';
import type { FromSightingWriter, SightingRow, SightingThreadData, ToSightingWriter } from './sighting-protocol.ts';
import { makeSightingReader } from './sighting-reader.ts';

export interface SightingStoreSettings {
  readonly file: string;
  readonly limits: SightingsConfiguration;
  readonly facts: SightingFacts;
  /** Name of the gateway that sees. */
  readonly gateway: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Links that were not kept since it was told last, at most once a minute. */
  readonly onLost: (count: number, why: string) => void;
}

/** Links that come together change fewer pages than one after the other. */
const WRITE_MILLIS = 1000;
const BATCH = 1000;
const MOST_GATHERED = 20_000;
const MINUTE = 60_000;

export class SqliteSightingStore implements SightingSink {
  readonly reader: SightingReader;
  readonly #settings: SightingStoreSettings;
  readonly #worker: Worker;
  readonly #database: DatabaseSync;
  readonly #timers: readonly NodeJS.Timeout[];
  /** By token hash; a link comes after the one above it. */
  readonly #gathering = new Map<string, SightingRow>();
  #writing = false;
  #ended = false;
  #lost = 0;
  #why = '';
  #told = Number.NEGATIVE_INFINITY;

  private constructor(worker: Worker, settings: SightingStoreSettings) {
    this.#worker = worker;
    this.#settings = settings;
    this.#database = openSightingsForReading(settings.file);
    this.reader = makeSightingReader(this.#database);
    worker.on('message', (message: FromSightingWriter) => this.#hear(message));
    worker.on('error', (error) => this.#end(error.message));
    worker.on('exit', () => this.#end('the store of sightings has been closed'));
    this.#timers = [
      setInterval(() => this.#write(), WRITE_MILLIS).unref(),
      setInterval(() => this.#say({ prune: true, now: this.#now() }), MINUTE).unref(),
    ];
    this.#say({ prune: true, now: this.#now() });
  }

  /** @throws {StoreError} when the file is damaged, of another version or not writable; it is never replaced. */
  static async open(settings: SightingStoreSettings): Promise<SqliteSightingStore> {
    const { file, limits, facts } = settings;
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const workerData: SightingThreadData = { file, limits, facts };
    const worker = new Worker(new URL(`./sighting-thread.${extension}`, import.meta.url), { workerData });
    const [message] = (await once(worker, 'message')) as [FromSightingWriter];
    if ('ready' in message) return new SqliteSightingStore(worker, settings);
    await worker.terminate();
    throw new StoreError('failed' in message ? message.failed : `store ${file} did not open`);
  }

  note(links: readonly SeenLink[], at: number): void {
    const { gateway } = this.#settings;
    for (const link of links) {
      if (this.#ended || (this.#gathering.size >= MOST_GATHERED && !this.#gathering.has(link.tokenHash)))
        this.#lose(1, this.#ended ? this.#why : 'more are seen than can be written');
      else
        this.#gathering.set(link.tokenHash, { ...link, at: Math.max(at, this.#gathering.get(link.tokenHash)?.at ?? 0), gateway });
    }
  }

  /** Resolves when what was noted until now is written, or lost. */
  async flush(): Promise<void> {
    while (!this.#ended && (this.#writing || this.#gathering.size > 0)) {
      this.#write();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async close(): Promise<void> {
    await this.flush();
    for (const timer of this.#timers) clearInterval(timer);
    this.#database.close();
    if (this.#ended) return void (await this.#worker.terminate());
    this.#ended = true;
    this.#worker.postMessage({ close: true } satisfies ToSightingWriter);
    await once(this.#worker, 'exit');
  }

  #write(): void {
    if (this.#writing || this.#ended || this.#gathering.size === 0) return;
    const rows: SightingRow[] = [];
    for (const row of this.#gathering.values()) {
      if (rows.push(row) === BATCH) break;
    }
    for (const { tokenHash } of rows) this.#gathering.delete(tokenHash);
    this.#writing = true;
    this.#say({ rows, now: this.#now() });
  }

  #hear(message: FromSightingWriter): void {
    if ('written' in message || ('lost' in message && message.lost > 0)) {
      this.#writing = false;
      if (this.#gathering.size >= BATCH) this.#write();
    }
    if ('written' in message && message.written > 0) this.#lose(message.written, 'there is no room for more (verify.sightings)');
    if ('lost' in message) this.#lose(message.lost, message.why);
  }

  #say(message: ToSightingWriter): void {
    if (!this.#ended) this.#worker.postMessage(message);
  }

  #end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#gathering.clear();
    this.#lose(1, why);
  }

  #lose(count: number, why: string): void {
    this.#lost += count;
    this.#why = why;
    const now = performance.now();
    if (now - this.#told < MINUTE) return;
    this.#told = now;
    this.#settings.onLost(this.#lost, why);
    this.#lost = 0;
  }

  #now(): number {
    return Math.floor(this.#settings.clock() / 1000);
  }
}

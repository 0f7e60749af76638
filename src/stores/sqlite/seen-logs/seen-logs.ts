// What a gateway remembers of did:webvh logs, in a file of its own: written by a worker thread, since a sync may take
// milliseconds; read at once by primary key.

import { once } from 'node:events';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import type { SeenLog, SeenLogs } from '../../../vault/seen-logs.ts';
import { StoreError } from '../database.ts';

export interface SeenRow extends SeenLog {
  readonly scid: string;
}

export type ToSeenWriter = { readonly rows: readonly SeenRow[] } | { readonly close: true };
export type FromSeenWriter = { readonly ready: true } | { readonly failed: string } | { readonly written: string | undefined };

interface Waiting {
  readonly row: SeenRow;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class SqliteSeenLogs implements SeenLogs {
  readonly #worker: Worker;
  readonly #database: DatabaseSync;
  readonly #select: StatementSync;
  #gathering: Waiting[] = [];
  #written: Waiting[] = [];
  #failure: Error | undefined;

  private constructor(worker: Worker, file: string) {
    this.#worker = worker;
    this.#database = new DatabaseSync(file, { readOnly: true, timeout: 1000 });
    this.#select = this.#database.prepare('SELECT version_id, digest, deactivated, ttl FROM seen WHERE scid = ?');
    worker.on('message', (message: FromSeenWriter) => 'written' in message && this.#settle(message.written));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new StoreError('the store of seen logs has been closed')));
  }

  /** @throws {StoreError} when the file is damaged, of a newer version or not writable; it is never replaced. */
  static async open(file: string): Promise<SqliteSeenLogs> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./seen-logs-thread.${extension}`, import.meta.url), { workerData: file });
    const [message] = (await once(worker, 'message')) as [FromSeenWriter];
    if ('ready' in message) return new SqliteSeenLogs(worker, file);
    await worker.terminate();
    throw new StoreError('failed' in message ? message.failed : `store ${file} did not open`);
  }

  find(scid: string): SeenLog | undefined {
    const row = this.#select.get(scid);
    return (
      row && {
        versionId: String(row.version_id),
        digest: String(row.digest),
        deactivated: row.deactivated === 1,
        ttl: row.ttl === null ? undefined : Number(row.ttl),
      }
    );
  }

  remember(scid: string, seen: SeenLog): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#gathering.push({ row: { scid, ...seen }, resolve, reject });
      if (this.#gathering.length === 1 && this.#written.length === 0) setImmediate(() => this.#write());
    });
  }

  async close(): Promise<void> {
    while (this.#failure === undefined && this.#gathering.length + this.#written.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.#database.close();
    if (this.#failure !== undefined) return;
    this.#worker.postMessage({ close: true } satisfies ToSeenWriter);
    await once(this.#worker, 'exit');
  }

  #write(): void {
    if (this.#written.length > 0 || this.#gathering.length === 0) return;
    this.#written = this.#gathering;
    this.#gathering = [];
    this.#worker.postMessage({ rows: this.#written.map(({ row }) => row) } satisfies ToSeenWriter);
  }

  #settle(cause: string | undefined): void {
    const settled = this.#written;
    this.#written = [];
    for (const { resolve, reject } of settled) {
      if (cause === undefined) resolve();
      else reject(new StoreError(`what was seen of a log was not written: ${cause}`));
    }
    this.#write();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of [...this.#written, ...this.#gathering]) reject(this.#failure);
    this.#written = [];
    this.#gathering = [];
  }
}

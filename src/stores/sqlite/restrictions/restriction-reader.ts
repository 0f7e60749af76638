// What is kept of restrictions, read beside the thread that writes: by number, by id, in order, and what it says of itself.

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { FeedPlace } from '../../../restrictions/feed-segment.ts';
import type { FeedPosition, KeptRestriction } from '../../../restrictions/restriction-store.ts';
import { type Restriction, reopenRestriction } from '../../../restrictions/verify-restriction.ts';
import { openRestrictionsForReading } from './restriction-database.ts';

export class RestrictionReader {
  readonly epoch: string;
  protected readonly database: DatabaseSync;
  readonly #select: Readonly<Record<'read' | 'byId' | 'after' | 'last' | 'head' | 'fact' | 'version', StatementSync>>;

  /** @throws {StoreError} */
  constructor(file: string) {
    const database = openRestrictionsForReading(file);
    this.database = database;
    this.#select = {
      read: database.prepare('SELECT jws FROM restrictions WHERE sequence = ?'),
      byId: database.prepare('SELECT sequence, jws FROM restrictions WHERE id = ?'),
      after: database.prepare('SELECT sequence, jws FROM restrictions WHERE sequence > ? ORDER BY sequence LIMIT ?'),
      last: database.prepare('SELECT coalesce(max(sequence), 0) AS last FROM restrictions'),
      head: database.prepare('SELECT head FROM restrictions WHERE sequence = ?'),
      fact: database.prepare('SELECT value FROM facts WHERE name = ?'),
      version: database.prepare('PRAGMA data_version'),
    };
    this.epoch = String(this.#fact('epoch'));
  }

  get longestBound(): number {
    return Number(this.#fact('longest_bound') ?? 0);
  }

  /** Another one whenever somebody else has written to the file. */
  protected get version(): unknown {
    return Object.values(this.#select.version.get() ?? {})[0];
  }

  /** Everything up to here. */
  protected get end(): FeedPlace {
    const sequence = this.lastSequence();
    return { sequence, head: this.headAt(sequence) ?? '' };
  }

  lastSequence(): number {
    return Number(this.#select.last.get()?.last ?? 0);
  }

  read(sequence: number): Restriction | undefined {
    const row = this.#select.read.get(sequence);
    return row && reopenRestriction(String(row.jws));
  }

  findById(id: string): KeptRestriction | undefined {
    const row = this.#select.byId.get(id);
    return row && { sequence: Number(row.sequence), compact: String(row.jws) };
  }

  after(sequence: number, limit: number): readonly KeptRestriction[] {
    return this.#select.after.all(sequence, limit).map((row) => ({ sequence: Number(row.sequence), compact: String(row.jws) }));
  }

  headAt(sequence: number): string | undefined {
    if (sequence === 0) return '';
    const row = this.#select.head.get(sequence);
    return row && String(row.head);
  }

  position(): FeedPosition | undefined {
    const position = this.#fact('position');
    return position === undefined ? undefined : (JSON.parse(String(position)) as FeedPosition);
  }

  #fact(name: string): unknown {
    return this.#select.fact.get(name)?.value;
  }
}

// The vault's reads: point reads by DID, path and sequence on a connection of their own, each of the newest commit.

import type { DatabaseSync } from 'node:sqlite';
import type { Answer, Change, Kind, Page, Registered, WriteOnce } from '../../../vault/registry.ts';
import { numberOf } from './facts.ts';
import { readDidRow, readEntryRow, type Stored, toRegistered, versionIdOf } from './read-rows.ts';
import { DID_ROWS, KINDS } from './rows.ts';
import { damaged } from './seal.ts';
import { openVaultForReading } from './vault-database.ts';
import { checkedAnswer } from './write-once.ts';

export interface ServedLog {
  readonly log: string;
  readonly witness: string | undefined;
}

/** Not one that a page of a list ended with. */
export class NoCursor extends RangeError {
  override readonly name = 'NoCursor';
}

export class VaultReader {
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(file: string) {
    this.#database = openVaultForReading(file);
    this.#statements = prepare(this.#database);
  }

  close(): void {
    this.#database.close();
  }

  answered(write: WriteOnce, now: number): Answer | undefined {
    if (write.idempotencyKey === undefined) return undefined;
    const stored = this.#statements.answer.get(write.author, write.idempotencyKey);
    const row = stored && checkedAnswer(stored, write, now);
    return row && { status: row.status, body: row.body };
  }

  find(did: string): Registered | undefined {
    const stored = this.#statements.byDid.get(did);
    return stored && this.#registered(stored);
  }

  readLog(did: string): ServedLog | undefined {
    return this.#log(this.#statements.byDid.get(did));
  }

  readLogAt(path: string): ServedLog | undefined {
    return this.#log(this.#statements.byPath.get(path));
  }

  /** @throws {NoCursor} for a cursor that is none */
  list(kind: Kind, operator: string | undefined, cursor: string | undefined, limit: number): Page<Registered> {
    const after = cursor === undefined ? 0 : Number(cursor);
    if (!Number.isSafeInteger(after) || after < 0 || (cursor !== undefined && String(after) !== cursor))
      throw new NoCursor('this is no cursor of the list');
    const number = KINDS.indexOf(kind);
    const { listed, listedOfOperator } = this.#statements;
    // One more than asked for says whether there is a next page.
    const rows =
      operator === undefined ? listed.all(number, after, limit + 1) : listedOfOperator.all(operator, number, after, limit + 1);
    const next = rows.length > limit ? String(rows[limit - 1]?.id ?? after) : undefined;
    return { items: rows.slice(0, limit).map((row) => this.#registered(row)), next };
  }

  changesAfter(sequence: number, limit: number): readonly Change[] | undefined {
    if (!Number.isSafeInteger(sequence) || sequence < 0 || sequence > this.lastSequence()) return undefined;
    return this.#statements.changes.all(sequence, limit).map((row) => {
      const { seq, line } = readEntryRow(row);
      return { sequence: seq, did: String(row.name), versionId: versionIdOf(line) };
    });
  }

  lastSequence(): number {
    return numberOf(this.#database, 'last_sequence');
  }

  #registered(stored: Stored): Registered {
    const row = readDidRow(stored);
    const head = this.#statements.entry.get(row.head);
    return head === undefined ? damaged(`entry ${row.head} is missing`) : toRegistered(row, readEntryRow(head));
  }

  /** Entries are only ever added, so those up to the version of the row belong to it whatever is written meanwhile. */
  #log(stored: Stored | undefined): ServedLog | undefined {
    if (stored === undefined) return undefined;
    const { id, version, witness } = readDidRow(stored);
    const entries = this.#statements.entries.all(id, version).map(readEntryRow);
    if (entries.length !== version) damaged(`the versions of DID number ${id}`);
    return { log: entries.map(({ line }) => `${line}\n`).join(''), witness: witness ?? undefined };
  }
}

function prepare(database: DatabaseSync) {
  return {
    answer: database.prepare('SELECT * FROM answers WHERE author = (SELECT id FROM parties WHERE did = ?) AND key = ?'),
    byDid: database.prepare(`SELECT ${DID_ROWS} WHERE dids.did = ?`),
    byPath: database.prepare(`SELECT ${DID_ROWS} WHERE path = ?`),
    entry: database.prepare('SELECT * FROM entries WHERE seq = ?'),
    entries: database.prepare('SELECT * FROM entries WHERE did = ? AND version <= ? ORDER BY version'),
    listed: database.prepare(`SELECT ${DID_ROWS} WHERE kind = ? AND dids.id > ? ORDER BY dids.id LIMIT ?`),
    listedOfOperator: database.prepare(
      `SELECT ${DID_ROWS} WHERE operator = (SELECT id FROM parties WHERE did = ?) AND kind = ? AND dids.id > ? ORDER BY dids.id LIMIT ?`,
    ),
    changes: database.prepare(
      'SELECT entries.*, dids.did AS name FROM entries JOIN dids ON dids.id = entries.did WHERE seq > ? ORDER BY seq LIMIT ?',
    ),
  };
}

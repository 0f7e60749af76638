// How far receivers of events have been told, and under which DIDs the events of others became restrictions: a small file beside the
// restrictions. It is written by the event loop, since a row that moves on needs no sync: one that is lost is told again.

import type { DatabaseSync } from 'node:sqlite';
import type { DeliveryPosition, DeliveryPositions } from '../../events/delivery-positions.ts';
import { openPrivately, StoreError, toStoreError } from './database.ts';

const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE positions (receiver TEXT PRIMARY KEY, sequence INTEGER NOT NULL, id TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE authors (did TEXT PRIMARY KEY) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

export class SqliteEventStore implements DeliveryPositions {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @throws {StoreError} when the file is damaged, of another version or not writable; it is never replaced. */
  static open(file: string): SqliteEventStore {
    let database: DatabaseSync | undefined;
    try {
      database = openPrivately(file, 1000);
      const one = (sql: string) => Object.values(database?.prepare(sql).get() ?? {})[0];
      const version = one('PRAGMA user_version');
      const fresh = version === 0 && one('SELECT count(*) FROM sqlite_master') === 0;
      const tables = one("SELECT count(*) FROM sqlite_master WHERE name IN ('positions', 'authors')");
      if (!fresh && (version !== SCHEMA_VERSION || tables !== 2))
        throw new StoreError(`store ${file}: made by another program or version (schema ${version})`);
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
      if (fresh) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
      const check = one('PRAGMA quick_check(1)');
      if (check !== 'ok') throw new StoreError(`store ${file}: damaged (${check}); restore it from a backup`);
      return new SqliteEventStore(database);
    } catch (error) {
      database?.close();
      throw toStoreError(error, file);
    }
  }

  position(receiver: string): DeliveryPosition | undefined {
    const row = this.#database.prepare('SELECT sequence, id FROM positions WHERE receiver = ?').get(receiver);
    return row && { sequence: Number(row.sequence), id: String(row.id) };
  }

  begin(receiver: string, position: DeliveryPosition): void {
    this.#synced(() => this.advance(receiver, position));
  }

  advance(receiver: string, { sequence, id }: DeliveryPosition): void {
    this.#database
      .prepare(
        'INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT (receiver) DO UPDATE SET sequence = excluded.sequence, id = excluded.id',
      )
      .run(receiver, sequence, id);
  }

  /** All that were ever added: what was revoked under one stays revoked. */
  authors(): readonly string[] {
    const rows = this.#database.prepare('SELECT did FROM authors ORDER BY rowid').all();
    return rows.map(({ did }) => String(did));
  }

  addAuthor(did: string): void {
    this.#synced(() => this.#database.prepare('INSERT INTO authors VALUES (?) ON CONFLICT DO NOTHING').run(did));
  }

  close(): void {
    this.#database.close();
  }

  #synced(write: () => unknown): void {
    this.#database.exec('PRAGMA synchronous = FULL');
    try {
      write();
    } finally {
      this.#database.exec('PRAGMA synchronous = NORMAL');
    }
  }
}

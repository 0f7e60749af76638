// The first schema that was released, as it was: never changed, so that what it made can always be brought forward.

import { DatabaseSync } from 'node:sqlite';

/** Makes an empty store of version 1, closed as a service closes it. */
export function makeVersion1(file: string): void {
  const database = new DatabaseSync(file);
  database.exec(`
    PRAGMA page_size = 8192;
    PRAGMA application_id = 1212315251;
    BEGIN;
    CREATE TABLE facts (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO facts VALUES ('in_use', 0), ('last_sequence', 0), ('nonces_forgotten_through', 0), ('epoch', 'the-epoch-it-had');
    CREATE TABLE parties (id INTEGER PRIMARY KEY, did TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE dids (
      id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, operator INTEGER NOT NULL, did TEXT NOT NULL UNIQUE,
      path TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, head INTEGER NOT NULL, created INTEGER NOT NULL,
      updated INTEGER NOT NULL, deactivated INTEGER NOT NULL, seal INTEGER NOT NULL, witness TEXT
    ) STRICT;
    CREATE INDEX dids_of_operator ON dids (operator, kind);
    CREATE INDEX dids_of_operators ON dids (kind) WHERE kind = 0;
    CREATE TABLE entries (
      seq INTEGER PRIMARY KEY, did INTEGER NOT NULL, version INTEGER NOT NULL, seal INTEGER NOT NULL, line TEXT NOT NULL,
      UNIQUE (did, version)
    ) STRICT;
    CREATE TABLE keys (thumbprint BLOB PRIMARY KEY, did INTEGER NOT NULL, seal INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE nonces (
      author INTEGER NOT NULL, nonce TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (author, nonce)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE answers (
      seq INTEGER PRIMARY KEY, author INTEGER NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL, status INTEGER NOT NULL,
      body TEXT NOT NULL, until INTEGER NOT NULL, seal INTEGER NOT NULL, UNIQUE (author, key)
    ) STRICT;
    PRAGMA user_version = 1;
    COMMIT;
  `);
  database.close();
}

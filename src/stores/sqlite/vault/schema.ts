// The tables of the vault's store, as the migrations that make them one after the other.

/** `HBvs` in the header of the file: no other program's database, and not the gateway's store either. */
export const APPLICATION_ID = 0x48427673;

/** Fewer, fuller pages for log lines of one to two kilobytes than with SQLite's 4096. */
export const PAGE_BYTES = 8192;

/**
 * `user_version` counts those that were applied. A released one is never changed; the next one goes below.
 * - Nothing is ever deleted from dids, entries, keys and parties, so their ids have no gaps: what is missing shows.
 * - `facts` comes first, so that it stands at the beginning of the file: a copy made while the store is opened or closed has
 *   it from before the rest (integrity.ts).
 * - Long names are stored once, and stand as their row's number elsewhere. Log lines are stored once, as they are served.
 * - A `seal` is a CRC-32 over its row (seal.ts), because SQLite has no checksums.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE facts (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO facts VALUES ('in_use', 0), ('last_sequence', 0), ('nonces_forgotten_through', 0);
  CREATE TABLE parties (id INTEGER PRIMARY KEY, did TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE dids (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    operator INTEGER NOT NULL,
    did TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    head INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    deactivated INTEGER NOT NULL,
    seal INTEGER NOT NULL,
    witness TEXT
  ) STRICT;
  CREATE INDEX dids_of_operator ON dids (operator, kind);
  CREATE INDEX dids_of_operators ON dids (kind) WHERE kind = 0;
  CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    did INTEGER NOT NULL,
    version INTEGER NOT NULL,
    seal INTEGER NOT NULL,
    line TEXT NOT NULL,
    UNIQUE (did, version)
  ) STRICT;
  CREATE TABLE keys (thumbprint BLOB PRIMARY KEY, did INTEGER NOT NULL, seal INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE nonces (
    author INTEGER NOT NULL,
    nonce TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (author, nonce)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE answers (
    seq INTEGER PRIMARY KEY,
    author INTEGER NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    until INTEGER NOT NULL,
    seal INTEGER NOT NULL,
    UNIQUE (author, key)
  ) STRICT;
  `,
];

// The file of sightings: its schema. Nothing is decided by what stands here, so a commit waits for no sync; what a power cut takes
// is seen again with the next request.

import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { openPrivately, pragma, StoreError, toStoreError } from '../database.ts';

const SCHEMA_VERSION = 2;

/** So many links after each other, as a power of two, have their places in an index beside each other. */
const SEGMENT_BITS = 15;

// A link never outlives the one above it, and is written after it: those that expired first, and of them those written last, can go
// without leaving orphans.
// `details` may be long, and stands last, so that the rest of a row is read without it.
// Each way to look links up has an index that ends in the order of its answers, so that no look reads more rows than it gives in a
// segment. Names are random: with an index over all links each one would change a page of its own in every index. So an index has
// segments, one after the other, of which only the last grows, and in the place of a name 48 bits of its hash.
const SCHEMA = `
  CREATE TABLE operators (id INTEGER PRIMARY KEY, did TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE links (
    number INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL AS (number >> ${SEGMENT_BITS}) VIRTUAL,
    operator INTEGER NOT NULL,
    token_key INTEGER NOT NULL,
    parent_key INTEGER,
    root_agent_key INTEGER NOT NULL,
    agent_key INTEGER NOT NULL,
    jti_key INTEGER NOT NULL,
    jkt_key INTEGER NOT NULL,
    sid_key INTEGER,
    task_key INTEGER,
    token_hash TEXT NOT NULL,
    parent TEXT,
    root_agent TEXT NOT NULL,
    agent TEXT NOT NULL,
    jti TEXT NOT NULL,
    jkt TEXT NOT NULL,
    sid TEXT,
    task TEXT,
    depth INTEGER NOT NULL,
    iat INTEGER NOT NULL,
    exp INTEGER NOT NULL,
    opens_session INTEGER NOT NULL,
    sets_task INTEGER NOT NULL,
    delegates INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    gateway TEXT NOT NULL,
    details TEXT NOT NULL
  ) STRICT;
  CREATE INDEX links_token ON links (token_key);
  CREATE INDEX links_age ON links (exp);
  CREATE INDEX links_age_of ON links (segment, operator, root_agent_key, exp);
  CREATE INDEX links_below ON links (segment, parent_key, exp) WHERE parent_key IS NOT NULL;
  CREATE INDEX links_root ON links (segment, operator, exp) WHERE parent_key IS NULL;
  CREATE INDEX links_agent ON links (segment, operator, agent_key, exp);
  CREATE INDEX links_jti ON links (segment, operator, jti_key, exp);
  CREATE INDEX links_jkt ON links (segment, operator, jkt_key, exp);
  CREATE INDEX links_sid ON links (segment, operator, sid_key, exp) WHERE sid_key IS NOT NULL;
  CREATE INDEX links_task ON links (segment, operator, task_key, exp) WHERE task_key IS NOT NULL;
  CREATE INDEX sessions_of ON links (segment, operator, exp, token_key) WHERE opens_session = 1;
  CREATE INDEX sessions_agent ON links (segment, operator, agent_key, exp, token_key) WHERE opens_session = 1;
  CREATE TABLE counts (
    operator INTEGER NOT NULL,
    root_agent_key INTEGER NOT NULL,
    links INTEGER NOT NULL,
    PRIMARY KEY (operator, root_agent_key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE total (one INTEGER PRIMARY KEY CHECK (one = 1), links INTEGER NOT NULL) STRICT;
  INSERT INTO total VALUES (1, 0);
  CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** @throws {StoreError} for a file that is damaged, of another program or of another version; it is never replaced. */
export function openSightings(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = openPrivately(file, 5000);
    const version = pragma(database, 'user_version');
    const [tables] = Object.values(database.prepare('SELECT count(*) FROM sqlite_master').get() ?? {});
    if (version !== SCHEMA_VERSION && (version !== 0 || tables !== 0))
      throw new StoreError(`store ${file}: made by another program or version (schema ${version})`);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864;');
    // The syncs of a checkpoint hold up those of decisions: one every 32 MiB, when many links have changed the same pages, and not
    // every 4.
    database.exec('PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8000;');
    if (version === 0) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
    return database;
  } catch (error) {
    database?.close();
    throw toStoreError(error, file);
  }
}

/** Opens one that exists, for reading beside the process that writes it. @throws {StoreError} */
export function openSightingsForReading(file: string): DatabaseSync {
  if (!existsSync(file)) throw new StoreError(`store ${file} does not exist`);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
    const version = pragma(database, 'user_version');
    if (version !== SCHEMA_VERSION)
      throw new StoreError(`store ${file}: no store of sightings of this version (schema ${version})`);
    return database;
  } catch (error) {
    database?.close();
    throw toStoreError(error, file);
  }
}

/** What stands for a name in an index: 48 bits of its SHA-256. */
export function keyOf(name: string): number {
  return hash('sha256', name, 'buffer').readUIntBE(0, 6);
}

/** @returns what tells the segments that there are, the newest first */
export function makeSegments(database: DatabaseSync): () => readonly number[] {
  const select = database.prepare(`
    WITH RECURSIVE held (segment) AS (
      SELECT max(segment) FROM links
      UNION ALL SELECT (SELECT max(segment) FROM links WHERE segment < held.segment) FROM held WHERE segment IS NOT NULL
    ) SELECT segment FROM held WHERE segment IS NOT NULL`);
  return () => select.all().map(({ segment }) => Number(segment));
}

/** What somebody needs to judge what stands in the file, without the configuration of the gateway that wrote it. */
export interface SightingFacts {
  /** DIDs whose restrictions count for every chain there. */
  readonly administrators: readonly string[];
}

export function keepFacts(database: DatabaseSync, { administrators }: SightingFacts): void {
  database
    .prepare("INSERT INTO facts VALUES ('administrators', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
    .run(JSON.stringify(administrators));
}

export function readFacts(database: DatabaseSync): SightingFacts {
  const row = database.prepare("SELECT value FROM facts WHERE name = 'administrators'").get();
  return { administrators: JSON.parse(String(row?.value ?? '[]')) as string[] };
}

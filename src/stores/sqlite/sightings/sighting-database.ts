// The file of sightings: its schema. Nothing is decided by what stands here, so a commit waits for no sync; what a power cut takes
// is seen again with the next request.

import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { openPrivately, pragma, StoreError, toStoreError } from '../database.ts';

const SCHEMA_VERSION = 1;

// A link never outlives the one above it: those that expired first, the deepest of them first, can go without leaving orphans.
// `details` may be long, and stands last, so that the rest of a row is read without it.
// Each way to look links up has an index that ends in the order of its answers, so that no look reads more rows than it gives.
const SCHEMA = `
  CREATE TABLE links (
    number INTEGER PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    parent TEXT,
    operator TEXT NOT NULL,
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
  CREATE INDEX links_below ON links (parent, exp) WHERE parent IS NOT NULL;
  CREATE INDEX links_root ON links (operator, exp) WHERE parent IS NULL;
  CREATE INDEX links_agent ON links (agent, exp);
  CREATE INDEX links_agent_of ON links (operator, agent, exp);
  CREATE INDEX links_jti ON links (jti, exp);
  CREATE INDEX links_jkt ON links (jkt, exp);
  CREATE INDEX links_sid ON links (sid, exp) WHERE sid IS NOT NULL;
  CREATE INDEX links_sid_of ON links (operator, sid, exp) WHERE sid IS NOT NULL;
  CREATE INDEX links_task ON links (task, exp) WHERE task IS NOT NULL;
  CREATE INDEX links_task_of ON links (operator, task, exp) WHERE task IS NOT NULL;
  CREATE INDEX links_age ON links (exp, depth);
  CREATE INDEX links_age_of ON links (operator, root_agent, exp, depth);
  CREATE INDEX sessions_age ON links (exp, token_hash) WHERE opens_session = 1;
  CREATE INDEX sessions_of ON links (operator, exp, token_hash) WHERE opens_session = 1;
  CREATE INDEX sessions_agent ON links (agent, exp, token_hash) WHERE opens_session = 1;
  CREATE TABLE counts (operator TEXT NOT NULL, root_agent TEXT NOT NULL, links INTEGER NOT NULL, PRIMARY KEY (operator, root_agent))
    STRICT, WITHOUT ROWID;
  CREATE TABLE total (one INTEGER PRIMARY KEY CHECK (one = 1), links INTEGER NOT NULL) STRICT;
  INSERT INTO total VALUES (1, 0);
  CREATE TRIGGER links_in AFTER INSERT ON links BEGIN
    INSERT INTO counts VALUES (new.operator, new.root_agent, 1)
      ON CONFLICT (operator, root_agent) DO UPDATE SET links = links + 1;
    UPDATE total SET links = links + 1;
  END;
  CREATE TRIGGER links_out AFTER DELETE ON links BEGIN
    UPDATE counts SET links = links - 1 WHERE operator = old.operator AND root_agent = old.root_agent;
    DELETE FROM counts WHERE operator = old.operator AND root_agent = old.root_agent AND links = 0;
    UPDATE total SET links = links - 1;
  END;
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
    // Each link goes to random places of many indexes, and the syncs of a checkpoint hold up those of decisions: one every 32 MiB,
    // when many links have changed the same pages, and not every 4.
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

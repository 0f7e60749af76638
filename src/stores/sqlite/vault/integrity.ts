// Whether a store is whole: its tables agree with one another, and each row is what was written.

import type { DatabaseSync } from 'node:sqlite';
import { pragma } from '../database.ts';
import { numberOf } from './facts.ts';
import { readAnswerRow, readDidRow, readEntryRow } from './read-rows.ts';
import { DID_ROWS } from './rows.ts';
import { damaged, sealKey } from './seal.ts';

/** Called now and then during long work. */
export type Progress = (what: string, done: number, total: number) => void;

/** Holds for any store, and is known from the edges of the tables and from counts in small indexes. @throws {StoreError} */
function checkCounts(database: DatabaseSync): void {
  const { entries, newest, dids, youngest, orphans } = database
    .prepare(
      `SELECT (SELECT count(*) FROM entries) AS entries, (SELECT max(seq) FROM entries) AS newest,
        (SELECT count(*) FROM dids) AS dids, (SELECT max(id) FROM dids) AS youngest,
        (SELECT count(*) FROM entries LEFT JOIN dids ON dids.id = entries.did
          WHERE seq > (SELECT max(seq) FROM entries) - 1000 AND (dids.id IS NULL OR dids.version < entries.version)) AS orphans`,
    )
    .get() as Record<string, number>;
  const last = numberOf(database, 'last_sequence');
  if (entries !== last || (newest ?? 0) !== last) damaged(`${entries} entries up to ${newest ?? 0}, where ${last} were written`);
  if (dids !== (youngest ?? 0)) damaged(`${dids} DIDs, where ${youngest} were registered`);
  if (orphans !== 0) damaged('entries of DIDs that are not registered');
}

/** @throws {StoreError} */
function checkVersions(database: DatabaseSync): void {
  const { entries, versions } = database
    .prepare('SELECT (SELECT count(*) FROM entries) AS entries, (SELECT ifnull(sum(version), 0) FROM dids) AS versions')
    .get() as Record<string, number>;
  if (entries !== versions) damaged(`${entries} entries, of DIDs with ${versions} versions`);
}

/** What takes a fraction of a second, however large the store is. @throws {StoreError} */
export function checkInPart(database: DatabaseSync): void {
  checkCounts(database);
  for (const table of ['facts', 'parties', 'keys', 'nonces']) {
    const found = pragma(database, `quick_check(${table})`);
    if (found !== 'ok') damaged(String(found));
  }
}

/** SQLite's own structure, every index against its table, and the tables against one another; within one transaction of the caller if there are writers. @throws {StoreError} */
export function checkTables(database: DatabaseSync, progress: Progress = () => {}): void {
  progress('checking the structure', 0, 1);
  const found = pragma(database, 'integrity_check(1)');
  if (found !== 'ok') damaged(String(found));
  checkCounts(database);
  checkVersions(database);
}

/** Everything. @throws {StoreError} */
export function checkWhole(database: DatabaseSync, progress: Progress = () => {}): void {
  checkTables(database, progress);
  for (const { done, total } of checkRows(database, false)) progress('checking the rows', done, total);
}

const ROWS_AT_A_TIME = 1000;

/**
 * Every row against its seal and its neighbours, a thousand rows with each step.
 * @param lookUp also finds each row as a reader would: what SQLite's check says of indexes, in small steps
 * @throws {StoreError}
 */
export function* checkRows(database: DatabaseSync, lookUp: boolean): Generator<Step> {
  const total = Number(database.prepare('SELECT max(id) AS n FROM dids').get()?.n ?? 0);
  const dids = database.prepare(`SELECT ${DID_ROWS} WHERE dids.id > ? ORDER BY dids.id LIMIT ${ROWS_AT_A_TIME}`);
  const entries = database.prepare('SELECT * FROM entries WHERE did = ? AND version <= ? ORDER BY version');
  const find = database.prepare(
    'SELECT (SELECT id FROM dids WHERE did = ?) AS by_did, (SELECT id FROM dids WHERE path = ?) AS by_path',
  );
  for (let done = 0; ; yield { done, total }) {
    const rows = dids.all(done).map(readDidRow);
    for (const { id, did, path, version, head } of rows) {
      if (id !== ++done) damaged(`DID number ${done} is missing`);
      const log = entries.all(id, version).map(readEntryRow);
      if (log.length !== version || log.at(-1)?.seq !== head || log.some((entry, at) => entry.version !== at + 1))
        damaged(`the versions of DID number ${id}`);
      if (!lookUp) continue;
      const found = find.get(did, path);
      if (found?.by_did !== id || found.by_path !== id) damaged(`an index of DID number ${id}`);
    }
    if (rows.length < ROWS_AT_A_TIME) break;
  }
  yield* checkOtherRows(database, lookUp);
}

/** Those that are not of a log: keys and answers. @throws {StoreError} */
export function* checkOtherRows(database: DatabaseSync, lookUp: boolean): Generator<Step> {
  yield* checkKeys(database, lookUp);
  for (const row of database.prepare('SELECT * FROM answers').iterate()) readAnswerRow(row);
}

function* checkKeys(database: DatabaseSync, lookUp: boolean): Generator<Step> {
  const total = Number(database.prepare('SELECT count(*) AS n FROM keys').get()?.n ?? 0);
  const keys = database.prepare(`SELECT * FROM keys WHERE thumbprint > ? ORDER BY thumbprint LIMIT ${ROWS_AT_A_TIME}`);
  const find = database.prepare('SELECT did FROM keys WHERE thumbprint = ?');
  for (let after = new Uint8Array(), done = 0; ; yield { done, total }) {
    const rows = keys.all(after);
    for (const { thumbprint, did, seal } of rows) {
      after = thumbprint as Uint8Array<ArrayBuffer>;
      if (seal !== sealKey(after, Number(did)) || (lookUp && find.get(after)?.did !== did)) damaged(`a key of DID number ${did}`);
    }
    done += rows.length;
    if (rows.length < ROWS_AT_A_TIME) return;
  }
}

interface Step {
  readonly done: number;
  readonly total: number;
}

// The embedded store, on real files and in real programs: what it acknowledged survives a kill, and what it cannot write it does not acknowledge.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openForReading, StoreError } from '../../../src/stores/sqlite/database.ts';
import { EmbeddedStore, type EmbeddedStoreSettings } from '../../../src/stores/sqlite/embedded-store.ts';

let directory: string;
let file: string;
const stores: EmbeddedStore[] = [];
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-store-'));
  file = join(directory, 'store.db');
});

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

async function open(changes: Partial<EmbeddedStoreSettings> = {}): Promise<EmbeddedStore> {
  const store = await EmbeddedStore.open({
    file,
    recordTimeoutMillis: 5000,
    perKeyLimit: 100,
    windowMillis: 120_000,
    monotonic: () => performance.now(),
    ...changes,
  });
  stores.push(store);
  return store;
}

async function close(store: EmbeddedStore): Promise<void> {
  stores.splice(stores.indexOf(store), 1);
  await store.close();
}

function records(): string[] {
  const database = openForReading(file);
  const rows = database.prepare('SELECT record FROM decisions ORDER BY seq').all();
  database.close();
  return rows.map((row) => String(row.record));
}

const LATER = Date.now() + 3_600_000;
const nonce = (entry: string, retainUntil = LATER) => ({ entry, jkt: 'key', retainUntil });
const use = (entry: string, retainUntil = LATER) => ({
  entry,
  jkt: 'key',
  created: Math.floor(Date.now() / 1000) + 1,
  retainUntil,
  streamId: 'stream',
  signature: 'sig',
  decisionId: 'd',
});

describe('what was acknowledged', () => {
  test('is on disk, in order', async () => {
    const store = await open();
    await Promise.all(['a', 'b', 'c'].map((record) => store.append(record, undefined)));
    expect(records()).toEqual(['a', 'b', 'c']);
  });

  test('is there after the program was killed, record and nonce, though nothing was closed', async () => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('store-writer.ts', import.meta.url)), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const acknowledged: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line);
      if (acknowledged.length === 200) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
    const store = await open();
    const kept = new Set(records());
    expect(acknowledged.length).toBeGreaterThanOrEqual(200);
    expect(acknowledged.filter((record) => !kept.has(record))).toEqual([]);
    for (const record of acknowledged) expect(store.nonces.consume(use(record))).toBe('replayed');
    expect(store.nonces.consume({ ...use('never written'), jkt: 'another key' })).toBe('first');
  });

  test('is there after closing, which writes what still waits', async () => {
    const store = await open();
    const waiting = Array.from({ length: 50 }, (_, at) => store.append(`record-${at}`, nonce(`entry-${at}`)));
    await close(store);
    await Promise.all(waiting);
    expect(records()).toHaveLength(50);
    expect((await open()).nonces.consume(use('entry-49'))).toBe('replayed');
  });
});

describe('the lock', () => {
  test('keeps a second program out as long as the first lives, however that ends', async () => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('store-writer.ts', import.meta.url)), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout, 'data');
    await expect(open()).rejects.toThrow('is in use by another hermesbridge');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expect(open()).resolves.toBeInstanceOf(EmbeddedStore);
  });

  test('keeps a second store of the same program out', async () => {
    const store = await open();
    await expect(open()).rejects.toThrow(StoreError);
    await close(store);
    await open();
  });
});

describe('a file that is not right is refused, and stays as it is', () => {
  async function refused(message: string | RegExp | typeof StoreError): Promise<void> {
    const before = readFileSync(file);
    await expect(open()).rejects.toThrow(message);
    expect(readFileSync(file).equals(before)).toBe(true);
  }

  test('no database', async () => {
    writeFileSync(file, 'this is no database, and it is long enough to be taken for a header of one'.repeat(50));
    await refused('not a database');
  });

  test('damaged pages', async () => {
    const store = await open();
    await Promise.all(Array.from({ length: 500 }, (_, at) => store.append(`${at}`.padEnd(500, 'x'), nonce(`entry-${at}`))));
    await close(store);
    const bytes = readFileSync(file);
    bytes.fill(0xff, 3 * 4096, 12 * 4096);
    writeFileSync(file, bytes);
    await refused(/damaged|malformed/);
  });

  test('cut short', async () => {
    const store = await open();
    await Promise.all(Array.from({ length: 500 }, (_, at) => store.append(`${at}`.padEnd(500, 'x'), undefined)));
    await close(store);
    truncateSync(file, statSync(file).size >> 1);
    await refused(/damaged|malformed/);
  });

  test.each([
    ['a name of two lines', "'a' || char(10) || 'b'", '1'],
    ['no end', "'a'", 'NULL'],
  ])('a nonce with %s, which passed over could be used again', async (_, name, end) => {
    await close(await open());
    const database = new DatabaseSync(file);
    database.exec(`INSERT INTO decisions (record, nonce, jkt, retain_until) VALUES ('{}', ${name}, 'k', ${end})`);
    database.close();
    await refused('a nonce that cannot be read');
  });

  test('of a newer version', async () => {
    const database = new DatabaseSync(file);
    database.exec('PRAGMA user_version = 99');
    database.close();
    await refused('made by another version');
  });

  test('of another program', async () => {
    const database = new DatabaseSync(file);
    database.exec("CREATE TABLE accounts (name TEXT) STRICT; INSERT INTO accounts VALUES ('mine')");
    database.close();
    await refused(StoreError);
  });

  test('a folder that does not exist', async () => {
    file = join(directory, 'none', 'store.db');
    await expect(open()).rejects.toThrow(StoreError);
    expect(existsSync(join(directory, 'none'))).toBe(false);
  });
});

describe('what cannot be written is not acknowledged', () => {
  /** Another connection that holds the write lock stands for a disk that does not answer. */
  function hold(): DatabaseSync {
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    return other;
  }

  test('a record that is not durable in time is refused, and the store works again afterwards', async () => {
    const store = await open({ recordTimeoutMillis: 50 });
    const other = hold();
    const started = performance.now();
    await expect(store.append('late', nonce('late'))).rejects.toThrow('not written in time');
    expect(performance.now() - started).toBeLessThan(900);
    other.exec('ROLLBACK');
    other.close();
    await expect.poll(() => store.append('after', undefined).then(() => 'written')).toBe('written');
  });

  test('a disk that refuses is an error that says so, and so is each one after it', async () => {
    const store = await open();
    await store.append('before', undefined);
    // What SQLite says of a full disk, at the very statement that would need more of it.
    const other = new DatabaseSync(file);
    other.exec("CREATE TRIGGER full BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END");
    await expect(store.append('lost', nonce('lost'))).rejects.toThrow('the record was not written: database or disk is full');
    await expect(store.append('lost too', undefined)).rejects.toThrow(StoreError);
    other.exec('DROP TRIGGER full');
    other.close();
    await store.append('after', nonce('after'));
    expect(records()).toEqual(['before', 'after']);
    await close(store);
    // The nonce went with its record: neither is kept without the other.
    const again = await open();
    expect(again.nonces.consume(use('lost'))).toBe('first');
    expect(again.nonces.consume(use('after'))).toBe('replayed');
  });

  test('a store that was closed takes nothing', async () => {
    const store = await open();
    await close(store);
    await expect(store.append('late', undefined)).rejects.toThrow('has been closed');
  });
});

test('nonces that have passed leave a floor behind, which a clock that is set back cannot undo', async () => {
  const windowMillis = 1000;
  const store = await open({ windowMillis });
  const end = Date.now() + windowMillis;
  await Promise.all([store.append('old', nonce('old', end)), store.append('older', nonce('older', end - 5000))]);
  await expect.poll(floor, { timeout: 5000 }).toBe(end);
  await store.append('new', nonce('new'));
  await close(store);
  // The wall clock plays no part: by these ends the signatures might be presented again.
  const again = await open();
  expect(again.nonces.size).toBe(1);
  expect(again.nonces.consume(use('old', end))).toBe('forgotten');
  expect(again.nonces.consume(use('never seen', end))).toBe('forgotten');
  expect(again.nonces.consume(use('a moment later', end + 1))).toBe('first');
  expect(again.nonces.consume(use('new'))).toBe('replayed');
  await close(again);
  expect((await open()).nonces.consume(use('old', end))).toBe('forgotten');
  expect(records()).toEqual(['old', 'older', 'new']);
});

function floor(): number {
  const database = openForReading(file);
  const row = database.prepare("SELECT value FROM facts WHERE name = 'forgotten_through'").get();
  database.close();
  return Number(row?.value);
}

test('no nonce is forgotten within its window, though the program is killed and started ever so often', async () => {
  const windowMillis = 60_000;
  for (let round = 0; round < 3; round++) {
    const store = await open({ windowMillis });
    for (let earlier = 0; earlier < round; earlier++) expect(store.nonces.consume(use(`entry-${earlier}`))).toBe('replayed');
    await store.append(`record-${round}`, nonce(`entry-${round}`));
    await close(store);
  }
});

test('a new store takes nothing that was signed before it was made, and remembers when that was', async () => {
  const made = Math.floor(Date.now() / 1000);
  const store = await open();
  expect(store.nonces.consume({ ...use('before'), created: made - 1 })).toBe('forgotten');
  await close(store);
  const again = await open();
  expect(again.nonces.consume({ ...use('before'), created: made - 1 })).toBe('forgotten');
  expect(again.nonces.consume({ ...use('after'), created: made + 1 })).toBe('first');
});

test('a copy of the file and its log, taken while it is written, is whole', async () => {
  const store = await open();
  await Promise.all(Array.from({ length: 100 }, (_, at) => store.append(`record-${at}`, nonce(`entry-${at}`))));
  for (const suffix of ['', '-wal']) copyFileSync(file + suffix, join(directory, `copy.db${suffix}`));
  chmodSync(join(directory, 'copy.db'), 0o600);
  await close(store);
  file = join(directory, 'copy.db');
  await open();
  expect(records()).toHaveLength(100);
});

test('reading a store that is not there does not make one', () => {
  expect(() => openForReading(file)).toThrow('does not exist');
  expect(existsSync(file)).toBe(false);
});

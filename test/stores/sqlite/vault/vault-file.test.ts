// The file of the vault's store: what is whole is opened, what is not is refused and stays as it is.

import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase, StoreError } from '../../../../src/stores/sqlite/database.ts';
import { MIGRATIONS } from '../../../../src/stores/sqlite/vault/schema.ts';
import { closeVault, openVault } from '../../../../src/stores/sqlite/vault/vault-database.ts';
import { VaultReader } from '../../../../src/stores/sqlite/vault/vault-reader.ts';
import { SqliteVaultStore, type VaultStoreSettings } from '../../../../src/stores/sqlite/vault/vault-store.ts';
import { makeVersion1 } from './version-1.ts';
import { AnotherWriter } from './written-by-another.ts';
import { additionOf, fileOf, OPERATOR, once, registrationOf, writeFirst, writeNext } from './written-log.ts';

let directory: string;
let file: string;
const stores: SqliteVaultStore[] = [];
const writers: AnotherWriter[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-vault-'));
  file = join(directory, 'vault.db');
});

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  await Promise.all(writers.splice(0).map((writer) => writer.kill()));
  rmSync(directory, { recursive: true, force: true });
});

async function open(changes: Partial<VaultStoreSettings> = {}): Promise<SqliteVaultStore> {
  const store = await SqliteVaultStore.open({ file, ...changes });
  stores.push(store);
  return store;
}

async function close(store: SqliteVaultStore): Promise<void> {
  stores.splice(stores.indexOf(store), 1);
  await store.close();
}

function start(maxFileBlocks?: number): AnotherWriter {
  const writer = new AnotherWriter(file, maxFileBlocks);
  writers.push(writer);
  return writer;
}

const ANSWER = { status: 201, body: '{}' };
const FIRST = Array.from({ length: 12 }, (_, at) => writeFirst(`acme:agent-${at}`));
const LOGS = FIRST.map((log) => writeNext(log));
const KEYS = [...FIRST, ...LOGS].flatMap(({ thumbprints }) => thumbprints).sort();
const VERSIONS = [0, 1].flatMap((at) => LOGS.map(({ log }) => log.versionIds[at]));

async function fill(store: SqliteVaultStore): Promise<void> {
  await Promise.all(FIRST.map((log) => store.register(registrationOf(log), once({ idempotencyKey: log.path }), ANSWER)));
  await Promise.all(LOGS.map((log) => store.append(additionOf(log), once(), ANSWER)));
}

/** Refused, and every byte of it still there. */
async function refused(message: string | RegExp | typeof StoreError): Promise<void> {
  const before = readFileSync(file);
  await expect(open()).rejects.toThrow(message);
  await expect(open()).rejects.toThrow(StoreError);
  expect(readFileSync(file).equals(before)).toBe(true);
}

describe('a store', () => {
  test('is made where there is none, whole or not at all', async () => {
    writeFileSync(`${file}-new`, 'what an attempt before has left');
    await close(await open());
    expect(readdirSync(directory).sort()).toEqual(['vault.db', 'vault.db-lock']);
  });

  test('is one file when it is closed', async () => {
    const store = await open();
    await fill(store);
    await close(store);
    expect(readdirSync(directory).sort()).toEqual(['vault.db', 'vault.db-lock']);
    file = join(directory, 'moved.db');
    renameSync(join(directory, 'vault.db'), file);
    const again = await open();
    for (const log of LOGS) expect(again.readLog(log.log.did)?.log).toBe(fileOf(log));
  });

  test('is held by one program, and by one store in it', async () => {
    const writer = start();
    await writer.started;
    await expect(open()).rejects.toThrow('is in use by another hermesbridge');
    await writer.kill();
    await open();
    await expect(open()).rejects.toThrow('is in use by another hermesbridge');
  });

  test('that was closed takes nothing and says nothing', async () => {
    const store = await open();
    await close(store);
    await expect(store.register(registrationOf(writeFirst('a:b')), once(), ANSWER)).rejects.toThrow('has been closed');
    expect(() => store.find('did:x')).toThrow(StoreError);
    expect(() => store.lastSequence()).toThrow(StoreError);
  });
});

describe('a file that is not a whole store is refused and stays as it is', () => {
  test('an empty one', async () => {
    writeFileSync(file, '');
    await refused('is empty');
  });

  test('no database', async () => {
    writeFileSync(file, 'this is no database, and it is long enough to be taken for a header of one'.repeat(50));
    await refused('not a database');
  });

  test('the database of another program', async () => {
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE accounts (name TEXT); PRAGMA user_version = 1');
    database.close();
    await refused('is not the store of a vault');
  });

  test("a gateway's store", async () => {
    openDatabase(file).close();
    await refused('is not the store of a vault');
  });

  test('one of a newer version', async () => {
    await close(await open());
    const database = new DatabaseSync(file);
    database.exec('PRAGMA user_version = 99');
    database.close();
    await refused('newer version of the program');
  });

  test('one whose -wal is all that is left', async () => {
    writeFileSync(`${file}-wal`, 'x');
    await expect(open()).rejects.toThrow('is gone');
    expect(existsSync(file)).toBe(false);
  });

  test('one whose -wal was lost after a crash', async () => {
    const writer = start();
    await writer.started;
    await writer.kill();
    rmSync(`${file}-wal`);
    await refused('lost its -wal');
  });

  test('a copy of the file alone, while it is written', async () => {
    const writer = start();
    await writer.started;
    const original = file;
    for (let at = 0; at < 8; at++) {
      file = join(directory, `copy-${at}.db`);
      copyFileSync(original, file);
      await expect(open()).rejects.toThrow('was copied while it was in use');
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    expect(writer.kept.size).toBeGreaterThan(20);
  });

  test('one in a folder that does not exist', async () => {
    file = join(directory, 'none', 'vault.db');
    await expect(open()).rejects.toThrow(StoreError);
    expect(existsSync(join(directory, 'none'))).toBe(false);
  });

  test('one whose tables tell of fewer entries than were written', async () => {
    const store = await open();
    await fill(store);
    await close(store);
    const whole = readFileSync(file);
    for (const damage of [
      'DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)',
      'DELETE FROM entries WHERE seq = 3',
      'DELETE FROM dids WHERE id = 2',
      'UPDATE dids SET version = 1',
      'DELETE FROM parties',
      "UPDATE entries SET line = replace(line, 'acme', 'evil') WHERE seq = 4",
    ]) {
      writeFileSync(file, whole);
      const database = new DatabaseSync(file);
      database.exec(damage);
      database.close();
      await expect(open(), damage).rejects.toThrow('damaged');
    }
  });
});

describe('damage anywhere is refused, or changes nothing that is read', { timeout: 120_000 }, () => {
  let whole: Buffer;

  beforeEach(async () => {
    const store = await open();
    await fill(store);
    await close(store);
    whole = readFileSync(file);
  });

  function refusedOrCorrect(): 'refused' | 'correct' {
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
    const damaged = readFileSync(file);
    try {
      closeVault(openVault(file, Number.POSITIVE_INFINITY));
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError);
      expect(readFileSync(file).equals(damaged)).toBe(true);
      return 'refused';
    }
    const reader = new VaultReader(file);
    for (const log of LOGS) {
      expect(reader.readLog(log.log.did)?.log).toBe(fileOf(log));
      expect(reader.readLogAt(log.path)?.log).toBe(fileOf(log));
      expect(reader.find(log.log.did)).toMatchObject({ version: 2, deactivated: false, operator: log.operator, path: log.path });
      expect(reader.answered(once({ idempotencyKey: log.path }), Date.now())).toEqual(ANSWER);
    }
    expect(reader.list('agent', OPERATOR, undefined, 100).items.map(({ did }) => did)).toEqual(LOGS.map(({ log }) => log.did));
    expect(reader.list('agent', undefined, undefined, 100).items).toHaveLength(LOGS.length);
    expect(reader.changesAfter(0, 100)?.map(({ versionId }) => versionId)).toEqual(VERSIONS);
    reader.close();
    const database = new DatabaseSync(file, { readOnly: true });
    const keys = database.prepare('SELECT thumbprint FROM keys ORDER BY did').all();
    database.close();
    expect(keys.map(({ thumbprint }) => Buffer.from(thumbprint as Uint8Array).toString('base64url')).sort()).toEqual(KEYS);
    return 'correct';
  }

  test('a byte turned over, at many places', async () => {
    const found = { refused: 0, correct: 0 };
    const places = Array.from({ length: 400 }, (_, at) => Math.floor(((at + 0.37) * whole.length) / 400));
    for (const at of [0, 20, 24, 28, 40, 60, 68, 92, 100, ...places]) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 0x41;
      writeFileSync(file, bytes);
      found[refusedOrCorrect()]++;
    }
    // What no row stands in may be anything.
    expect(found.refused).toBeGreaterThan(80);
  });

  test('pages of zeros, and of another page', async () => {
    const pages = whole.length / 8192;
    for (let page = 0; page < pages; page++) {
      for (const other of [Buffer.alloc(8192), whole.subarray(((page + 1) % pages) * 8192).subarray(0, 8192)]) {
        const bytes = Buffer.from(whole);
        other.copy(bytes, page * 8192);
        writeFileSync(file, bytes);
        refusedOrCorrect();
      }
    }
  });

  test('cut short, at any length', async () => {
    for (const length of [1, 99, 100, 511, 512, 4096, 8191, 8192, 16384, 50_000, whole.length - 8192, whole.length - 1]) {
      writeFileSync(file, whole);
      truncateSync(file, length);
      expect([length, refusedOrCorrect()]).toEqual([length, 'refused']);
    }
  });
});

describe('a large store', () => {
  test('is opened at once, and found damaged while it serves: from then on it answers nothing', async () => {
    const store = await open();
    await fill(store);
    await close(store);
    const database = new DatabaseSync(file);
    database.exec("UPDATE entries SET line = replace(line, 'acme', 'evil') WHERE seq = 4");
    database.close();
    const large = await open({ checkedAtStartBytes: 0 });
    const [, , , hit, other] = [...LOGS.keys()].map((at) => LOGS[at]?.log.did ?? '');
    expect(() => large.readLog(hit ?? '')).toThrow('damaged');
    await expect.poll(() => attempt(() => large.readLog(other ?? ''))).toMatch(/damaged/);
    await expect(large.register(registrationOf(writeFirst('a:b')), once(), ANSWER)).rejects.toThrow('damaged');
  });

  test('that is whole serves on', async () => {
    const store = await open();
    await fill(store);
    await close(store);
    const large = await open({ checkedAtStartBytes: 0 });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(large.readLog(LOGS[0]?.log.did ?? '')?.log).toBe(fileOf(LOGS[0] ?? writeFirst('x:y')));
  });

  test('is refused at once when it is cut short, or tells of fewer entries than were written', async () => {
    const store = await open();
    await fill(store);
    await close(store);
    const whole = readFileSync(file);
    truncateSync(file, whole.length - 8192);
    await expect(open({ checkedAtStartBytes: 0 })).rejects.toThrow(StoreError);
    writeFileSync(file, whole);
    const database = new DatabaseSync(file);
    database.exec('DELETE FROM entries WHERE seq = 3');
    database.close();
    await expect(open({ checkedAtStartBytes: 0 })).rejects.toThrow('23 entries');
  });
});

function attempt(act: () => unknown): string {
  try {
    return `it answers: ${JSON.stringify(act())}`;
  } catch (error) {
    return String(error);
  }
}

describe('versions of the schema', () => {
  const LATER = [...MIGRATIONS, "ALTER TABLE dids ADD COLUMN note TEXT; UPDATE dids SET note = 'from before';"];

  test('a store of version 1 is opened, and what is in it served', async () => {
    makeVersion1(file);
    const store = await open();
    expect(store.epoch).toBe('the-epoch-it-had');
    await fill(store);
    for (const log of LOGS) expect(store.readLog(log.log.did)?.log).toBe(fileOf(log));
  });

  test('a store of version 1 is brought forward with all that is in it, and the older program refuses it from then on', async () => {
    makeVersion1(file);
    const store = await open();
    await fill(store);
    await close(store);
    const database = openVault(file, Number.POSITIVE_INFINITY, LATER);
    expect(database.prepare("SELECT count(*) AS n FROM dids WHERE note = 'from before'").get()?.n).toBe(LOGS.length);
    expect(database.prepare('PRAGMA user_version').get()?.user_version).toBe(MIGRATIONS.length + 1);
    closeVault(database);
    await refused('newer version of the program');
    closeVault(openVault(file, Number.POSITIVE_INFINITY, LATER));
  });

  test('a migration that fails leaves the store as it was', async () => {
    makeVersion1(file);
    await fill(await open());
    await Promise.all(stores.splice(0).map((store) => store.close()));
    expect(() => openVault(file, Number.POSITIVE_INFINITY, [...MIGRATIONS, 'DROP TABLE keys; DROP TABLE nothing;'])).toThrow(
      StoreError,
    );
    const store = await open();
    for (const log of LOGS) expect(store.readLog(log.log.did)?.log).toBe(fileOf(log));
  });

  test('the first one is what it was when it was released', () => {
    makeVersion1(file);
    const fixture = new DatabaseSync(file, { readOnly: true });
    const made = new DatabaseSync(':memory:');
    made.exec(MIGRATIONS[0] ?? '');
    const schema = (database: DatabaseSync) =>
      database
        .prepare('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name')
        .all()
        .map(({ sql }) => String(sql).replace(/\s+/g, ' ').replaceAll('( ', '(').replaceAll(' )', ')'));
    expect(schema(made)).toEqual(schema(fixture));
    fixture.close();
    made.close();
  });
});

describe('what cannot be written is not acknowledged', () => {
  test('a disk that does not answer: refused in time, and it works again afterwards', async () => {
    const store = await open({ writeTimeoutMillis: 50 });
    // Another connection that holds the write lock stands for it.
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    const started = performance.now();
    await expect(store.register(registrationOf(writeFirst('a:late')), once(), ANSWER)).rejects.toThrow('not written in time');
    expect(performance.now() - started).toBeLessThan(900);
    other.exec('ROLLBACK');
    other.close();
    await expect
      .poll(() => store.register(registrationOf(writeFirst('a:b')), once(), ANSWER).then(() => 'kept', String))
      .toBe('kept');
  });

  test('a write that the tables do not take: refused alone, whole, and the others of its batch are kept', async () => {
    const store = await open();
    const other = new DatabaseSync(file);
    other.exec(
      "CREATE TRIGGER no BEFORE INSERT ON entries WHEN new.line LIKE '%agent-3%' BEGIN SELECT RAISE(ABORT, 'no room'); END",
    );
    const settled = await Promise.allSettled(
      FIRST.map((log) => store.register(registrationOf(log), once({ idempotencyKey: log.path }), ANSWER)),
    );
    expect(settled.map(({ status }) => status)).toEqual(FIRST.map((_, at) => (at === 3 ? 'rejected' : 'fulfilled')));
    expect(settled[3]).toMatchObject({ reason: { name: 'StoreError', message: 'the entry was not written: no room' } });
    const [lost = writeFirst('x:y')] = FIRST.slice(3);
    expect(store.find(lost.log.did)).toBeUndefined();
    expect(other.prepare('SELECT count(*) AS n FROM keys').get()?.n).toBe(11);
    expect(other.prepare('SELECT count(*) AS n FROM nonces').get()?.n).toBe(11);
    other.exec('DROP TRIGGER no');
    other.close();
    expect((await store.register(registrationOf(lost), once(), ANSWER)).sequence).toBe(12);
  });

  test('a disk that is full: no half of a write, and what was acknowledged is there when there is room again', async () => {
    const writer = start(2000);
    await writer.ended;
    expect(writer.failures.join()).toContain('StoreError');
    expect(writer.kept.size).toBeGreaterThan(20);
    expect(statSync(file).size).toBeLessThanOrEqual(2000 * 512);
    const store = await open();
    const changes = store.changesAfter(0, 100_000) ?? [];
    for (const [name, sequence] of writer.kept) {
      const [did = '', version] = name.split(' ');
      expect(changes[sequence - 1]).toMatchObject({ sequence, did, versionId: expect.stringMatching(`^${version}-`) });
    }
    for (const { did, versionId } of changes) expect(writer.sent.has(`${did} ${versionId.split('-')[0]}`)).toBe(true);
  });
});

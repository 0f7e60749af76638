// Backups of the vault's store while it is written, and a store made of one again.

import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../../../src/stores/sqlite/database.ts';
import { backUpVault } from '../../../../src/stores/sqlite/vault/back-up-vault.ts';
import { restoreVault } from '../../../../src/stores/sqlite/vault/restore-vault.ts';
import { SqliteVaultStore } from '../../../../src/stores/sqlite/vault/vault-store.ts';
import { type BadDid, verifyVault } from '../../../../src/stores/sqlite/vault/verify-vault.ts';
import { makeVersion1 } from './version-1.ts';
import { AnotherWriter } from './written-by-another.ts';
import { additionOf, fileOf, once, registrationOf, type WrittenLog, writeFirst, writeNext } from './written-log.ts';

let directory: string;
let file: string;
let out: string;
let writer: AnotherWriter | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-vault-'));
  file = join(directory, 'vault.db');
  out = join(directory, 'backup.db');
});

afterEach(async () => {
  await writer?.kill();
  writer = undefined;
  rmSync(directory, { recursive: true, force: true });
});

const ANSWER = { status: 201, body: '{}' };
const NOW = Date.now();
const progress = () => {};
const backUp = (force = false, to = out) => backUpVault({ store: file, out: to, force, progress });
const restore = (force = false) => restoreVault({ from: out, store: file, force, now: NOW, progress });

async function verify(store: string): Promise<BadDid[]> {
  const bad: BadDid[] = [];
  await verifyVault({ store, now: NOW, progress, onBad: (each) => bad.push(each) });
  return bad;
}

async function using<T>(act: (store: SqliteVaultStore) => T | Promise<T>): Promise<T> {
  const store = await SqliteVaultStore.open({ file });
  try {
    return await act(store);
  } finally {
    await store.close();
  }
}

async function keep(...logs: readonly WrittenLog[]): Promise<string> {
  return using(async (store) => {
    for (const log of logs) {
      if (log.lines.length === 1) await store.register(registrationOf(log), once(), ANSWER);
      else await store.append(additionOf(log), once(), ANSWER);
    }
    return store.epoch;
  });
}

describe('a backup', () => {
  test('made while the store is written has everything acknowledged before it, and every log in it verifies', async () => {
    writer = new AnotherWriter(file);
    await writer.started;
    const { kept } = writer;
    await expect.poll(() => kept.size, { timeout: 20_000 }).toBeGreaterThan(100);
    const acknowledged = [...kept];
    const { dids, entries } = await backUp();
    await expect.poll(() => kept.size, { timeout: 20_000 }).toBeGreaterThan(entries);
    await writer.kill();
    expect(entries).toBeGreaterThanOrEqual(acknowledged.length);
    expect(await verify(out)).toEqual([]);
    expect(readdirSync(directory).filter((name) => name.startsWith('backup'))).toEqual(['backup.db']);
    file = out;
    await using((store) => {
      const changes = store.changesAfter(0, entries) ?? [];
      expect(changes).toHaveLength(entries);
      expect(new Set(changes.map(({ did }) => did)).size).toBe(dids);
      for (const [name, sequence] of acknowledged)
        expect(`${changes[sequence - 1]?.did} ${version(changes[sequence - 1])}`).toBe(name);
      for (const each of changes) expect(writer?.sent.has(`${each.did} ${version(each)}`)).toBe(true);
    });
  });

  const version = (change: { readonly versionId: string } | undefined) => change?.versionId.split('-')[0];

  test('of a store that nobody has open, or whose program was killed, is the same', async () => {
    const log = writeFirst('acme:a');
    await keep(log);
    await backUp();
    writer = new AnotherWriter(file);
    await writer.started;
    await writer.kill();
    expect((await backUp(true)).entries).toBeGreaterThanOrEqual(writer.kept.size + 1);
    file = out;
    expect(await using((store) => store.readLog(log.log.did)?.log)).toBe(fileOf(log));
  });

  test('never replaces what is there unless that is asked for', async () => {
    await keep(writeFirst('acme:a'));
    writeFileSync(out, 'precious');
    await expect(backUp()).rejects.toThrow('backup.db exists');
    expect(readFileSync(out, 'utf8')).toBe('precious');
    await expect(backUp(true)).resolves.toEqual({ dids: 1, entries: 1 });
    expect(await verify(out)).toEqual([]);
  });

  test('is never written over the store itself, nor the files beside it', async () => {
    await keep(writeFirst('acme:a'));
    symlinkSync(file, join(directory, 'link.db'));
    for (const to of [
      file,
      `${file}-wal`,
      `${file}-lock`,
      `${file}-shm`,
      join(directory, '.', 'vault.db'),
      join(directory, 'link.db'),
    ])
      await expect(backUp(true, to), to).rejects.toThrow('belongs to the store');
    expect(await verify(file)).toEqual([]);
  });

  test('of a damaged store is none, and leaves nothing behind', async () => {
    await keep(writeFirst('acme:a'), writeFirst('acme:b'));
    change("UPDATE entries SET line = replace(line, 'acme', 'evil') WHERE seq = 2");
    await expect(backUp()).rejects.toThrow('damaged');
    expect(readdirSync(directory).filter((name) => name.startsWith('backup'))).toEqual([]);
  });

  test('of nothing is none', async () => {
    await expect(backUp()).rejects.toThrow('does not exist');
    expect(readdirSync(directory)).toEqual([]);
  });
});

function change(sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

describe('a restored store', () => {
  test('has what the backup has, under a new epoch, and goes on from there', async () => {
    const log = writeFirst('acme:a');
    const epoch = await keep(log);
    await backUp();
    await keep(writeFirst('acme:b'));
    const { replaced, dids } = restore(true);
    expect(dids).toBe(1);
    await using(async (store) => {
      expect(store.epoch).not.toBe(epoch);
      expect(store.readLog(log.log.did)?.log).toBe(fileOf(log));
      expect(store.lastSequence()).toBe(1);
      expect((await store.append(additionOf(writeNext(log)), once(), ANSWER)).sequence).toBe(2);
    });
    file = replaced ?? '';
    await using((store) => expect([store.epoch, store.lastSequence()]).toEqual([epoch, 2]));
  });

  test('is made where there is none; twice of one backup makes two histories', async () => {
    await keep(writeFirst('acme:a'));
    await backUp();
    const epochs = new Set<string>();
    for (const name of ['one.db', 'two.db']) {
      file = join(directory, name);
      expect(restore().replaced).toBeUndefined();
      epochs.add(await using(({ epoch }) => epoch));
    }
    // Nor is the history of a backup that is put in the place of the store by hand the one of the store.
    copyFileSync(out, file);
    epochs.add(await using(({ epoch }) => epoch));
    expect(epochs.size).toBe(3);
  });

  test('takes no place of another unless that is asked for, and none that is in use at all', async () => {
    await keep(writeFirst('acme:a'));
    await backUp();
    await keep(writeFirst('acme:b'));
    expect(() => restore()).toThrow('exists');
    await using(() => expect(() => restore(true)).toThrow('in use by another hermesbridge'));
    expect(await using((store) => store.lastSequence())).toBe(2);
    expect(readdirSync(directory).sort()).toEqual(['backup.db', 'vault.db', 'vault.db-lock']);
  });

  test('puts the store aside with what a killed program left in its -wal', async () => {
    await keep(writeFirst('acme:a'));
    await backUp();
    writer = new AnotherWriter(file);
    await writer.started;
    await writer.kill();
    const { replaced } = restore(true);
    expect(await using((store) => store.lastSequence())).toBe(1);
    file = replaced ?? '';
    expect(await using((store) => store.lastSequence())).toBeGreaterThanOrEqual(writer.kept.size + 1);
  });

  test('is made of a backup of an older version too', async () => {
    makeVersion1(out);
    restore();
    expect(await using((store) => store.lastSequence())).toBe(0);
  });

  test('is not made of what is no whole backup: the store stays as it is', async () => {
    await keep(writeFirst('acme:a'));
    await backUp();
    await keep(writeFirst('acme:b'));
    const [store, whole] = [readFileSync(file), readFileSync(out)];
    const damages: [string, () => void][] = [
      ['empty', () => truncateSync(out, 0)],
      ['cut', () => truncateSync(out, whole.length - 8192)],
      ['not there', () => rmSync(out)],
      ['another file', () => writeFileSync(out, 'no database'.repeat(1000))],
      [
        'damaged',
        () => writeFileSync(out, Buffer.from(whole).fill(0x41, whole.indexOf('"versionId"'), whole.indexOf('"versionId"') + 5)),
      ],
      ['every page', () => writeFileSync(out, Buffer.from(whole).fill(0xff, 8192))],
    ];
    for (const [name, damage] of damages) {
      writeFileSync(out, whole);
      damage();
      expect(() => restore(true), name).toThrow(StoreError);
      expect(readFileSync(file).equals(store), name).toBe(true);
      expect(readdirSync(directory).filter((each) => /replaced|restored/.test(each))).toEqual([]);
    }
    out = file;
    expect(() => restore(true)).toThrow('belongs to the store');
    expect(existsSync(file)).toBe(true);
  });
});

describe('verification', () => {
  test('names every DID whose log does not verify, and those alone', async () => {
    const good = writeFirst('acme:good');
    const rotated = writeNext(writeNext(good));
    const forged = writeFirst('acme:forged');
    const forgedLine = (forged.lines[0] ?? '').replace(
      /"proofValue":"z.{8}/,
      (found) => `${found.slice(0, -1)}${found.endsWith('1') ? '2' : '1'}`,
    );
    const damaged = writeFirst('acme:damaged');
    const stolen = writeFirst('acme:stolen');
    await keep(good, writeNext(good));
    await keep({ ...forged, lines: [forgedLine] }, damaged, { ...stolen, thumbprints: writeFirst('x:y').thumbprints });
    await using((store) => store.register({ ...registrationOf(writeFirst('acme:other')), path: '/x' }, once(), ANSWER));
    expect(rotated.lines).toHaveLength(3);
    change("UPDATE entries SET line = replace(line, 'capabilityInvocation', 'assertionMethod') WHERE did = 3");
    const bad = await verify(file);
    expect(bad.map(({ did }) => did).sort()).toEqual([forged, damaged, stolen].map(({ log }) => log.did).sort());
    expect(bad.find(({ did }) => did === damaged.log.did)?.problem).toContain('damaged');
    expect(bad.find(({ did }) => did === stolen.log.did)?.problem).toContain(stolen.thumbprints[0]);
  });

  test('holds a rotated, a deactivated and an operator’s log for good, beside the service', async () => {
    const first = writeFirst('acme:gone');
    const second = writeNext(first);
    const third = writeNext(second);
    await keep(writeFirst('acme', 'operator'), first, second, third, writeNext(third, { deactivate: true }));
    await using(async (store) => {
      expect(await verify(file)).toEqual([]);
      await store.register(registrationOf(writeFirst('acme:late')), once(), ANSWER);
      expect(await verify(file)).toEqual([]);
    });
  });
});

// The store of restrictions: append-only, once each, told of before it is acknowledged, loaded whole, and refused when damaged.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nextHead } from '../../../../src/restrictions/feed-head.ts';
import { RestrictionSet } from '../../../../src/restrictions/restriction-set.ts';
import { StoreError } from '../../../../src/stores/sqlite/database.ts';
import { SqliteRestrictionStore } from '../../../../src/stores/sqlite/restrictions/restriction-store.ts';
import { by, chainWith, idOf, restrictionOf } from './statements.ts';

let directory: string;
let file: string;
const opened: SqliteRestrictionStore[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'restrictions-'));
  file = join(directory, 'restrictions.db');
});

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function openStore(): Promise<SqliteRestrictionStore> {
  const store = await SqliteRestrictionStore.open(file);
  opened.push(store);
  return store;
}

const closeAll = async () => {
  for (const store of opened.splice(0)) await store.close();
};
const setFrom = (store: SqliteRestrictionStore) => {
  const set = new RestrictionSet({ administrators: [], read: (sequence) => store.read(sequence) });
  store.keepInForce(set);
  return set;
};
const isRevoked = (set: RestrictionSet, jti: string, iat?: number) => 'revoked' in set.find(chainWith(jti, iat));

test('numbers what comes without gaps, and gives it back by number, id and place', async () => {
  const store = await openStore();
  const all = [1, 2, 3].map((number) => restrictionOf(number));
  expect(await store.append(all.slice(0, 2))).toEqual([
    { outcome: 'added', sequence: 1 },
    { outcome: 'added', sequence: 2 },
  ]);
  expect(await store.append(all.slice(2))).toEqual([{ outcome: 'added', sequence: 3 }]);
  expect(store.lastSequence()).toBe(3);
  expect(store.read(2)).toEqual(all[1]);
  expect(store.read(4)).toBeUndefined();
  expect(store.findById(idOf(3))).toEqual({ sequence: 3, compact: all[2]?.compact });
  expect(store.after(1, 1)).toEqual([{ sequence: 2, compact: all[1]?.compact }]);
  expect(store.headAt(0)).toBe('');
  expect(store.headAt(3)).toBe(all.reduce((head, { compact }) => nextHead(head, compact), ''));
  expect(store.headAt(4)).toBeUndefined();
});

test('one that comes again has its number, and another one under its id is not taken', async () => {
  const store = await openStore();
  await store.append([restrictionOf(1)]);
  expect(await store.append([restrictionOf(1), restrictionOf(1, { reason: 'other' }), restrictionOf(2)])).toEqual([
    { outcome: 'repeated', sequence: 1 },
    { outcome: 'taken', sequence: 1 },
    { outcome: 'added', sequence: 2 },
  ]);
});

test('listeners are told in order, before whoever added it is', async () => {
  const store = await openStore();
  const told: string[] = [];
  const end = store.subscribe(({ id }, sequence) => told.push(`${sequence} ${id}`));
  await Promise.all(
    [1, 2, 3].map(async (number) => store.append([restrictionOf(number)]).then(() => told.push(`ack ${number}`))),
  );
  for (const number of [1, 2, 3]) expect(told.indexOf(`${number} ${idOf(number)}`)).toBeLessThan(told.indexOf(`ack ${number}`));
  end();
  await store.append([restrictionOf(4)]);
  expect(told).not.toContain(`4 ${idOf(4)}`);
});

test('what is kept is in force after a restart, each effect of it, and what comes then too', async () => {
  await (await openStore()).append([
    ...Array.from({ length: 5000 }, (_, number) => restrictionOf(number)),
    restrictionOf(5000, { before: 50 }),
    restrictionOf(5001, { effect: 'narrow', details: { type: 'llm_access', actions: [] } } as never),
    restrictionOf(5002, { effect: 'narrow', details: { type: 'llm_access', actions: [] } } as never),
    restrictionOf(5003, { effect: 'lift', lifts: idOf(5002), target: { kind: 'token', value: 'jti-5002' } } as never),
  ]);
  await closeAll();
  const store = await openStore();
  const set = setFrom(store);
  expect(set.revocations.count).toBe(5001);
  for (const number of [0, 1, 4095, 4096, 4999])
    expect(set.find(chainWith(`jti-${number}`))).toMatchObject({ revoked: { id: idOf(number) } });
  expect(isRevoked(set, 'jti-5000', 49)).toBe(true);
  expect(isRevoked(set, 'jti-5000', 50)).toBe(false);
  expect(set.find(chainWith('jti-5001'))).toMatchObject({ narrowed: [{ id: idOf(5001) }] });
  expect(set.find(chainWith('jti-5002'))).toEqual({ narrowed: [] });
  const chain = chainWith('jti-6000');
  expect('revoked' in set.find(chain)).toBe(false);
  await store.append([restrictionOf(6000)]);
  expect(set.find(chain)).toMatchObject({ revoked: { kind: 'token', role: 'operator', at: 1_767_225_600 } });
});

test('one is in force while it is being kept, but for one whose id is another’s', async () => {
  const store = await openStore();
  const set = setFrom(store);
  const first = store.append([restrictionOf(1)]);
  expect(set.find(chainWith('jti-1'))).toMatchObject({ revoked: { id: idOf(1) } });
  await first;
  expect(set.find(chainWith('jti-1'))).toMatchObject({ revoked: { id: idOf(1) } });
  const taken = store.append([restrictionOf(1, { target: { kind: 'token', value: 'jti-2' } })]);
  expect(isRevoked(set, 'jti-2')).toBe(false);
  expect(await taken).toMatchObject([{ outcome: 'taken' }]);
});

test('one that could not be kept is in force no more: its author is told so', async () => {
  const store = await openStore();
  const set = setFrom(store);
  const chain = chainWith('jti-1');
  const other = new DatabaseSync(file, { timeout: 5000 });
  other.exec('BEGIN IMMEDIATE');
  const appended = store.append([restrictionOf(1)]);
  expect('revoked' in set.find(chain)).toBe(true);
  await expect(appended).rejects.toThrow(StoreError);
  expect('revoked' in set.find(chain)).toBe(false);
  other.exec('ROLLBACK');
  other.close();
  await store.append([restrictionOf(1)]);
  expect('revoked' in set.find(chain)).toBe(true);
});

test('the place in a feed is kept with what was read up to it', async () => {
  const store = await openStore();
  expect(store.position()).toBeUndefined();
  await store.append([restrictionOf(1)], { epoch: 'e', sequence: 7, head: 'h', authors: 'a' });
  await store.append([], { epoch: 'e', sequence: 8, head: 'i', authors: 'a' });
  const { epoch } = store;
  await closeAll();
  const again = await openStore();
  expect(again.position()).toEqual({ epoch: 'e', sequence: 8, head: 'i', authors: 'a' });
  expect(again.epoch).toBe(epoch);
});

test('what another process adds is in force within a moment', async () => {
  const here = await openStore();
  const there = await openStore();
  const set = setFrom(here);
  await Promise.all([here.append([restrictionOf(1)]), there.append([restrictionOf(2)])]);
  expect(await here.append([restrictionOf(2)])).toMatchObject([{ outcome: 'repeated' }]);
  await expect.poll(() => isRevoked(set, 'jti-2'), { timeout: 2000, interval: 20 }).toBe(true);
  expect(isRevoked(set, 'jti-1')).toBe(true);
  expect([here.lastSequence(), there.lastSequence()]).toEqual([2, 2]);
});

test('a row that is there cannot be changed or removed', async () => {
  await (await openStore()).append([restrictionOf(1)]);
  await closeAll();
  const database = new DatabaseSync(file);
  for (const sql of ["UPDATE restrictions SET jws = 'x'", 'DELETE FROM restrictions', 'DELETE FROM revocations'])
    expect(() => database.exec(sql)).toThrow('append-only');
  database.close();
});

describe('a file that cannot be believed is refused, and stays as it is', () => {
  async function spoil(sql: string): Promise<void> {
    const database = new DatabaseSync(file);
    database.exec('DROP TRIGGER restrictions_delete; DROP TRIGGER revocations_delete; DROP TRIGGER revocations_update;');
    database.exec(sql);
    database.close();
  }

  test.each([
    ['a restriction is missing', 'DELETE FROM restrictions WHERE sequence = 2'],
    ['the newest is in force no more', 'DELETE FROM revocations WHERE sequence = 3'],
    ['a name was cut', "UPDATE revocations SET entry = x'00' WHERE sequence = 1"],
    ['a newer program made it', 'PRAGMA user_version = 99'],
  ])('%s', async (_, sql) => {
    await (await openStore()).append([1, 2, 3].map((number) => restrictionOf(number)));
    await closeAll();
    await spoil(sql);
    await expect(SqliteRestrictionStore.open(file)).rejects.toThrow(StoreError);
    await expect(SqliteRestrictionStore.open(file)).rejects.toThrow(StoreError);
  });

  test('another program’s database', async () => {
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE other (x)');
    database.close();
    await expect(SqliteRestrictionStore.open(file)).rejects.toThrow('another program');
  });

  test('pages that were overwritten', async () => {
    await (await openStore()).append(Array.from({ length: 2000 }, (_, number) => restrictionOf(number)));
    await closeAll();
    const { size } = await stat(file);
    const handle = await open(file, 'r+');
    // Every second page but the first: some of any table.
    for (let at = 4096; at < size; at += 8192) await handle.write(Buffer.alloc(4096, 0xa5), 0, 4096, at);
    await handle.close();
    await expect(SqliteRestrictionStore.open(file)).rejects.toThrow(StoreError);
  });

  test('damage that is found only after the start ends the store: nothing more is acknowledged', async () => {
    await (await openStore()).append(Array.from({ length: 2000 }, (_, number) => restrictionOf(number)));
    await closeAll();
    // A leaf with texts (SQLite's type 13) in the middle, its header overwritten: no table that decides is touched.
    const bytes = await readFile(file);
    const leaves = Array.from({ length: bytes.length / 4096 }, (_, page) => page * 4096).filter(
      (at) => at > 0 && bytes[at] === 13 && bytes.subarray(at, at + 4096).includes('eyJ'),
    );
    const handle = await open(file, 'r+');
    await handle.write(Buffer.alloc(16, 0xff), 0, 16, leaves[leaves.length >> 1] ?? 0);
    await handle.close();
    const store = await openStore();
    await expect.poll(() => store.failure, { timeout: 5000, interval: 20 }).toBeInstanceOf(StoreError);
    await expect(store.append([restrictionOf(9000)])).rejects.toThrow('damaged');
  });
});

test('what was acknowledged is there after kill -9, however often', { timeout: 120_000 }, async () => {
  const writer = fileURLToPath(new URL('restriction-writer.ts', import.meta.url));
  const acknowledged: [sequence: number, number: number][] = [];
  let next = 0;
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, [writer, file, String(next)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.split('\n').length > 20 + round * 7) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const lines = said.split('\n').slice(0, -1);
    acknowledged.push(...lines.map((line) => line.split(' ').map(Number) as [number, number]));
    // Some that were not acknowledged may be there: they get their ids again nowhere.
    next = Math.max(next, ...acknowledged.map(([, number]) => number)) + 100;
  }
  expect(acknowledged.length).toBeGreaterThan(200);
  const store = await openStore();
  const set = setFrom(store);
  for (const [sequence, number] of acknowledged) {
    expect(store.read(sequence)).toMatchObject({ id: idOf(number), target: { value: `jti-${number}` } });
    // Each process signed with a key of its own.
    const restriction = store.read(sequence);
    expect('revoked' in set.find({ ...chainWith(`jti-${number}`), operator: { did: restriction?.by ?? '' } })).toBe(true);
  }
  expect(store.after(0, 1_000_000).map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: store.lastSequence() }, (_, at) => at + 1),
  );
  expect(by).toMatch(/^did:key:/);
});

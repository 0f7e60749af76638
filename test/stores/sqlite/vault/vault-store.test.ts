// The vault's store on a real file: what it takes, what it refuses and in which order, and what is read back.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../../../src/stores/sqlite/database.ts';
import { SqliteVaultStore, type VaultStoreSettings } from '../../../../src/stores/sqlite/vault/vault-store.ts';
import type { Change, WriteOnce } from '../../../../src/vault/registry.ts';
import { additionOf, fileOf, OPERATOR, once, registrationOf, type WrittenLog, writeFirst, writeNext } from './written-log.ts';

let directory: string;
let file: string;
let now = Date.now();
const stores: SqliteVaultStore[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-vault-'));
  file = join(directory, 'vault.db');
  now = Date.now();
});

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  rmSync(directory, { recursive: true, force: true });
});

async function open(changes: Partial<VaultStoreSettings> = {}): Promise<SqliteVaultStore> {
  const store = await SqliteVaultStore.open({ file, clock: () => now, ...changes });
  stores.push(store);
  return store;
}

async function reopen(store: SqliteVaultStore): Promise<SqliteVaultStore> {
  stores.splice(stores.indexOf(store), 1);
  await store.close();
  return open();
}

const ANSWER = { status: 201, body: '{"did":"it"}' };
const register = (store: SqliteVaultStore, log: WrittenLog, write: WriteOnce = once()) =>
  store.register(registrationOf(log), write, ANSWER);
const append = (store: SqliteVaultStore, log: WrittenLog, write: WriteOnce = once()) =>
  store.append(additionOf(log), write, ANSWER);
const conflict = (name: string) => expect.objectContaining({ name: 'RegistryConflict', conflict: name });

/** Everything that can be asked, so that a refused write can be shown to have changed nothing. */
function everything(store: SqliteVaultStore): unknown {
  const items = (['operator', 'agent'] as const).flatMap((kind) => store.list(kind, undefined, undefined, 1000).items);
  return [items, items.map(({ did }) => store.readLog(did)), store.changesAfter(0, 1000), store.lastSequence()];
}

describe('a registration', () => {
  test('is read back as it was written, by DID and by path, before and after a restart', async () => {
    const store = await open();
    const log = writeFirst('acme:reader');
    const change = await register(store, log);
    expect(change).toEqual({ sequence: 1, did: log.log.did, versionId: log.log.versionId });
    const { did, versionId, created, versionTime: updated } = log.log;
    const expected = {
      ...{ did, versionId, created, updated, kind: 'agent', operator: OPERATOR, path: log.path, version: 1, deactivated: false },
    };
    for (const restart of [false, true]) {
      const each = restart ? await reopen(store) : store;
      expect(each.find(did)).toEqual(expected);
      expect(each.readLog(did)).toEqual({ log: fileOf(log), witness: undefined });
      expect(each.readLogAt(log.path)).toEqual({ log: fileOf(log), witness: undefined });
      expect(each.changesAfter(0, 10)).toEqual([change]);
      expect(each.lastSequence()).toBe(1);
    }
  });

  test('of a DID that nobody registered is not there', async () => {
    const store = await open();
    expect([store.find('did:x'), store.readLog('did:x'), store.readLogAt('/x')]).toEqual([undefined, undefined, undefined]);
    expect(store.changesAfter(0, 10)).toEqual([]);
    expect(store.list('agent', undefined, undefined, 10)).toEqual({ items: [], next: undefined });
  });

  test('grows by its next entries, and keeps the witness file until there is another', async () => {
    const store = await open();
    let log = writeFirst('acme:reader');
    await store.register({ ...registrationOf(log), witness: '[1]' }, once(), ANSWER);
    for (const witness of [undefined, '[2]', undefined]) {
      log = writeNext(log);
      await store.append({ ...additionOf(log), witness }, once(), ANSWER);
      expect(store.readLog(log.log.did)).toEqual({ log: fileOf(log), witness: log.lines.length < 3 ? '[1]' : '[2]' });
    }
    expect(store.find(log.log.did)).toMatchObject({ version: 4, versionId: log.log.versionId, updated: log.log.versionTime });
    log = writeNext(log, { deactivate: true });
    await append(store, log);
    expect(store.find(log.log.did)).toMatchObject({ version: 5, deactivated: true });
    expect(store.changesAfter(1, 2)?.map(({ sequence }) => sequence)).toEqual([2, 3]);
  });
});

describe('what is refused changes nothing', () => {
  const a = writeFirst('acme:a');
  const a2 = writeNext(a);
  const gone = writeFirst('acme:gone');
  const signed = once({ nonce: 'n'.repeat(22) });
  const keyed = once({ idempotencyKey: 'key-1' });
  const withKeysOf = (log: WrittenLog, other: WrittenLog) => ({
    ...log,
    thumbprints: [...log.thumbprints, ...other.thumbprints],
  });

  const cases: [name: string, code: string, act: (store: SqliteVaultStore) => Promise<Change>][] = [
    ['the same DID again', 'already-registered', (store) => register(store, a)],
    ['another DID at its path', 'already-registered', (store) => register(store, writeFirst('acme:a'))],
    ['the same DID at another path', 'already-registered', (store) => register(store, { ...a, path: '/elsewhere/did.jsonl' })],
    ['a key of another DID', 'key-already-registered', (store) => register(store, withKeysOf(writeFirst('acme:b'), a2))],
    [
      'a key that another DID had once',
      'key-already-registered',
      (store) => register(store, withKeysOf(writeFirst('acme:b'), a)),
    ],
    ['the same in a later entry', 'key-already-registered', (store) => append(store, withKeysOf(writeNext(a2), gone))],
    ['an entry that is there', 'stale-version', (store) => append(store, a2)],
    ['another entry of the same number', 'stale-version', (store) => append(store, writeNext(a))],
    ['an entry with one missing before it', 'stale-version', (store) => append(store, writeNext(writeNext(a2)))],
    ['an entry that follows another one', 'stale-version', (store) => append(store, writeNext(writeNext(a)))],
    ['a first entry as an addition', 'stale-version', (store) => append(store, a)],
    ['a later entry as a registration', 'stale-version', (store) => register(store, writeNext(writeFirst('acme:d')))],
    ['an entry of a DID that is not there', 'not-registered', (store) => append(store, writeNext(writeFirst('acme:e')))],
    ['an entry after the last', 'deactivated', (store) => append(store, writeNext(writeNext(gone)))],
    ['a signature presented before', 'nonce-used', (store) => register(store, writeFirst('acme:f'), signed)],
    [
      'an idempotency key for another request',
      'idempotency-key-reused',
      (store) => register(store, writeFirst('acme:g'), once({ idempotencyKey: 'key-1', requestHash: 'another' })),
    ],
    // Which of several is named: the nonce, then the idempotency key, then the rest.
    ['all at once', 'nonce-used', (store) => register(store, a, { ...keyed, nonce: signed.nonce, requestHash: 'another' })],
    [
      'all but the nonce',
      'idempotency-key-reused',
      (store) => register(store, a, once({ idempotencyKey: 'key-1', requestHash: 'another' })),
    ],
  ];

  test.each(cases)('%s: %s', async (_, code, act) => {
    const store = await open();
    await register(store, a, signed);
    await append(store, a2, keyed);
    await register(store, gone);
    await append(store, writeNext(gone, { deactivate: true }));
    const before = everything(store);
    await expect(act(store)).rejects.toEqual(conflict(code));
    expect(everything(store)).toEqual(before);
    // Nor is anything left that would be in the way of another write.
    expect((await register(store, writeFirst('acme:next'))).sequence).toBe(5);
  });

  test('a nonce and a key of a refused write are free again', async () => {
    const store = await open();
    await register(store, a);
    const write = once({ idempotencyKey: 'key-2' });
    const clash = { ...writeFirst('acme:a'), thumbprints: writeFirst('x:y').thumbprints };
    await expect(register(store, clash, write)).rejects.toEqual(conflict('already-registered'));
    await expect(register(store, { ...writeFirst('acme:b'), thumbprints: clash.thumbprints }, write)).resolves.toBeDefined();
  });

  test('a nonce is one for each author', async () => {
    const store = await open();
    await register(store, a, signed);
    await expect(register(store, gone, { ...signed, author: 'did:key:other' })).resolves.toBeDefined();
  });

  test('a line that is not the last entry of its log, and a thumbprint that is none, are mistakes of the program', async () => {
    const store = await open();
    await expect(register(store, { ...a, lines: a2.lines })).rejects.toThrow(StoreError);
    await expect(register(store, { ...a, thumbprints: ['short'] })).rejects.toThrow(StoreError);
    expect(store.lastSequence()).toBe(0);
  });
});

describe('writes at the same time', () => {
  test('of one DID, a hundred: one of them is kept', async () => {
    const store = await open();
    const log = writeFirst('acme:reader');
    const settled = await Promise.allSettled(Array.from({ length: 100 }, () => register(store, log)));
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const each of settled) if (each.status === 'rejected') expect(each.reason).toEqual(conflict('already-registered'));
    expect(everything(store)).toEqual([[store.find(log.log.did)], [store.readLog(log.log.did)], store.changesAfter(0, 9), 1]);
  });

  test('of one next version, fifty different ones: one of them is kept', async () => {
    const store = await open();
    const log = writeFirst('acme:reader');
    await register(store, log);
    const rivals = Array.from({ length: 50 }, () => writeNext(log));
    const settled = await Promise.allSettled(rivals.map((rival) => append(store, rival)));
    const won = settled.findIndex(({ status }) => status === 'fulfilled');
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(store.readLog(log.log.did)?.log).toBe(fileOf(rivals[won] ?? log));
  });

  test('with one key, one nonce or one idempotency key: one of them is kept', async () => {
    const store = await open();
    const [first, second] = [writeFirst('acme:a'), writeFirst('acme:b')];
    const both = (one: Promise<Change>, two: Promise<Change>) => Promise.allSettled([one, two]);
    const [, sameKey] = await both(register(store, first), register(store, { ...second, thumbprints: first.thumbprints }));
    expect(sameKey).toMatchObject({ reason: conflict('key-already-registered') });
    const write = once();
    const [, sameNonce] = await both(register(store, writeFirst('acme:c'), write), register(store, writeFirst('acme:d'), write));
    expect(sameNonce).toMatchObject({ reason: conflict('nonce-used') });
    const [key1, key2] = [once({ idempotencyKey: 'k' }), once({ idempotencyKey: 'k', requestHash: 'another' })];
    const [, sameIdempotency] = await both(
      register(store, writeFirst('acme:e'), key1),
      register(store, writeFirst('acme:f'), key2),
    );
    expect(sameIdempotency).toMatchObject({ reason: conflict('idempotency-key-reused') });
    expect(store.lastSequence()).toBe(3);
  });

  test('a conflict of one undoes that one alone', async () => {
    const store = await open();
    const logs = Array.from({ length: 60 }, (_, at) => writeFirst(`acme:agent-${at % 40}`));
    const settled = await Promise.allSettled(logs.map((log) => register(store, log)));
    expect(settled.map(({ status }) => status)).toEqual(logs.map((_, at) => (at < 40 ? 'fulfilled' : 'rejected')));
    expect(store.changesAfter(0, 100)?.map(({ did }) => did)).toEqual(logs.slice(0, 40).map(({ log }) => log.did));
  });
});

describe('an idempotency key', () => {
  test('gives the answer again for a day, in the same run and in the next', async () => {
    const store = await open();
    const write = once({ idempotencyKey: 'key-1' });
    expect(store.answered(write)).toBeUndefined();
    await register(store, writeFirst('acme:a'), write);
    const repeated = { ...write, nonce: 'another nonce' };
    for (const restart of [false, true]) {
      const each = restart ? await reopen(store) : store;
      expect(each.answered(repeated)).toEqual(ANSWER);
      expect(() => each.answered({ ...repeated, requestHash: 'another' })).toThrow('another request has this idempotency key');
      expect(each.answered({ ...repeated, author: 'did:key:other' })).toBeUndefined();
      expect(each.answered(once())).toBeUndefined();
    }
    now += 24 * 3_600_000;
    const [later] = stores;
    expect(later?.answered(repeated)).toBeUndefined();
    expect(later?.answered({ ...repeated, requestHash: 'another' })).toBeUndefined();
  });

  test('with the same request twice at the same time makes one change, which both get', async () => {
    const store = await open();
    const told: number[] = [];
    store.subscribe(({ sequence }) => told.push(sequence));
    const log = writeFirst('acme:a');
    const writes = Array.from({ length: 5 }, () => once({ idempotencyKey: 'key-1' }));
    const changes = await Promise.all(writes.map((write) => register(store, log, write)));
    expect(new Set(changes.map((change) => JSON.stringify(change))).size).toBe(1);
    expect([told, store.lastSequence()]).toEqual([[1], 1]);
    // Each nonce is taken all the same.
    for (const write of writes)
      await expect(register(store, writeFirst('acme:b'), write)).rejects.toEqual(conflict('nonce-used'));
  });

  test('that is over can be taken for another request', async () => {
    const store = await open();
    await register(store, writeFirst('acme:a'), once({ idempotencyKey: 'key-1' }));
    now += 25 * 3_600_000;
    const write = once({ idempotencyKey: 'key-1', requestHash: 'another', nonceUntil: now + 60_000 });
    await register(store, writeFirst('acme:b'), write);
    expect(store.answered(write)).toEqual(ANSWER);
  });
});

describe('what is over', () => {
  const count = (table: string) => {
    const database = new DatabaseSync(file, { readOnly: true });
    const row = database.prepare(`SELECT count(*) AS n FROM ${table}`).get();
    database.close();
    return Number(row?.n);
  };

  test('is forgotten, and no clock that is set back brings its signatures to life', async () => {
    const store = await open();
    const old = once({ idempotencyKey: 'key-1', nonceUntil: now + 60_000 });
    await register(store, writeFirst('acme:a'), old);
    now += 25 * 3_600_000;
    const young = once({ idempotencyKey: 'key-2', nonceUntil: now + 60_000 });
    await register(store, writeFirst('acme:b'), young);
    expect([count('nonces'), count('answers')]).toEqual([2, 2]);
    const again = await reopen(store);
    await expect.poll(() => [count('nonces'), count('answers')]).toEqual([1, 1]);
    now -= 25 * 3_600_000;
    await expect(register(again, writeFirst('acme:c'), old)).rejects.toEqual(conflict('nonce-used'));
    await expect(register(again, writeFirst('acme:c'), once({ nonceUntil: now + 50_000 }))).rejects.toEqual(
      conflict('nonce-used'),
    );
    await expect(register(again, writeFirst('acme:c'), once({ nonceUntil: now + 60_001 }))).resolves.toBeDefined();
  });
});

describe('a list', () => {
  test('has pages in the order of registration, of all or of one operator', async () => {
    const store = await open();
    const other = 'did:key:other';
    const operators = [writeFirst('acme', 'operator'), writeFirst('other', 'operator')];
    const agents = Array.from({ length: 25 }, (_, at) => writeFirst(`x:agent-${at}`, 'agent', at % 5 === 0 ? other : OPERATOR));
    for (const log of [...operators.slice(0, 1), ...agents, ...operators.slice(1)]) await register(store, log);
    const dids = (logs: readonly WrittenLog[]) => logs.map(({ log }) => log.did);
    const pages = (kind: 'agent' | 'operator', operator: string | undefined, limit: number) => {
      const found: string[][] = [];
      for (let cursor: string | undefined, at = 0; at < 30; at++) {
        const page = store.list(kind, operator, cursor, limit);
        found.push(page.items.map(({ did }) => did));
        cursor = page.next;
        if (cursor === undefined) return found;
      }
      throw new Error('the list does not end');
    };
    expect(pages('agent', undefined, 10)).toEqual([0, 10, 20].map((at) => dids(agents.slice(at, at + 10))));
    expect(pages('agent', undefined, 25)).toEqual([dids(agents)]);
    expect(pages('agent', other, 3).flat()).toEqual(dids(agents.filter((_, at) => at % 5 === 0)));
    expect(pages('operator', undefined, 1)).toEqual(operators.map((log) => dids([log])));
    expect(pages('operator', operators[0]?.operator, 5)).toEqual([dids(operators.slice(0, 1))]);
    expect(pages('agent', 'did:key:nobody', 5)).toEqual([[]]);
  });

  test('takes no cursor that is none', async () => {
    const store = await open();
    for (const cursor of ['', '-1', '1.5', '01', 'x', '9'.repeat(30), ' 1'])
      expect(() => store.list('agent', undefined, cursor, 5), cursor).toThrow(RangeError);
  });
});

describe('changes', () => {
  test('are told in order once they can be read, and those from before are there', async () => {
    const store = await open();
    const told: Change[] = [];
    const end = store.subscribe((change) => {
      expect(store.lastSequence()).toBeGreaterThanOrEqual(change.sequence);
      expect(store.find(change.did)?.versionId).toBe(change.versionId);
      told.push(change);
    });
    const logs = Array.from({ length: 30 }, (_, at) => writeFirst(`acme:agent-${at}`));
    await Promise.all(logs.map((log) => register(store, log)));
    expect(told.map(({ sequence }) => sequence)).toEqual(logs.map((_, at) => at + 1));
    expect(store.changesAfter(0, 100)).toEqual(told);
    expect(store.changesAfter(28, 100)).toEqual(told.slice(28));
    expect(store.changesAfter(30, 100)).toEqual([]);
    end();
    await register(store, writeFirst('acme:more'));
    expect(told).toHaveLength(30);
  });

  test('after a sequence that was never handed out there are none', async () => {
    const store = await open();
    await register(store, writeFirst('acme:a'));
    for (const sequence of [-1, 0.5, Number.NaN, 2, Number.MAX_SAFE_INTEGER + 1])
      expect(store.changesAfter(sequence, 10), String(sequence)).toBeUndefined();
  });

  test('go on after a restart, in the same epoch, and another store has another', async () => {
    const store = await open();
    await register(store, writeFirst('acme:a'));
    const { epoch } = store;
    const again = await reopen(store);
    expect(again.epoch).toBe(epoch);
    expect((await register(again, writeFirst('acme:b'))).sequence).toBe(2);
    file = join(directory, 'other.db');
    expect((await open()).epoch).not.toBe(epoch);
  });
});

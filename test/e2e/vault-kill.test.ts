// kill -9 during registrations and rotations, two hundred times: what was acknowledged is there once, what was not sent is absent,
// nothing is there in half, and every log verifies.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { VaultReader } from '../../src/stores/sqlite/vault/vault-reader.ts';
import { SqliteVaultStore } from '../../src/stores/sqlite/vault/vault-store.ts';
import { verifyVault } from '../../src/stores/sqlite/vault/verify-vault.ts';
import { AnotherWriter, type Sent } from '../stores/sqlite/vault/written-by-another.ts';

const KILLS = 200;
/** Each store is small, so that it is opened quickly. */
const KILLS_OF_A_STORE = 40;
const directory = mkdtempSync(join(tmpdir(), 'hb-vault-kill-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What must be in a store, and what may be, by `DID version`. */
interface Expected {
  readonly kept: Map<string, number>;
  readonly sent: Map<string, Sent>;
}

async function killAfter(file: string, acknowledgements: number, expected: Expected): Promise<void> {
  const writer = new AnotherWriter(file);
  await writer.started;
  while (writer.kept.size < acknowledgements && writer.failures.length === 0) await pause(2);
  await pause(Math.random() * 10);
  await writer.kill();
  expect(writer.child.signalCode).toBe('SIGKILL');
  expect(writer.failures).toEqual([]);
  for (const [name, sequence] of writer.kept) expected.kept.set(name, sequence);
  for (const [name, sent] of writer.sent) expected.sent.set(name, sent);
}

/** Everything in the store, as its clients would read it. */
function check(store: Pick<SqliteVaultStore, 'changesAfter' | 'readLog' | 'find'>, { kept, sent }: Expected): void {
  const changes = store.changesAfter(0, 1_000_000) ?? [];
  expect(changes.map(({ sequence }) => sequence)).toEqual(changes.map((_, at) => at + 1));
  const found = new Map(changes.map(({ sequence, did, versionId }) => [`${did} ${versionId.split('-')[0]}`, sequence]));
  expect(found.size, 'none is there twice').toBe(changes.length);
  expect(
    [...kept].filter(([name, sequence]) => found.get(name) !== sequence),
    'acknowledged',
  ).toEqual([]);
  expect(
    [...found.keys()].filter((name) => !sent.has(name)),
    'never sent',
  ).toEqual([]);
  const dids = [...new Set(changes.map((change) => change.did))];
  const versions = dids.flatMap((did) => {
    const lines = store.readLog(did)?.log.trimEnd().split('\n') ?? [];
    return lines.length === store.find(did)?.version
      ? lines.map((line, at) => sent.get(`${did} ${at + 1}`)?.line === line)
      : [false];
  });
  expect(versions, 'as it was sent').toEqual(changes.map(() => true));
}

/** As the next start finds it, or, so that a start after a kill is one of the writer too, beside the files that the killed one left. */
async function reopen(file: string, alone: boolean, expected: Expected): Promise<void> {
  const store = alone ? await SqliteVaultStore.open({ file }) : new VaultReader(file);
  try {
    check(store, expected);
  } finally {
    await store.close();
  }
}

/** Rows of one write that are there without the others, looked for in the tables. */
function halfWrites(file: string): unknown {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database
      .prepare(
        `SELECT (SELECT count(*) FROM entries) - (SELECT count(*) FROM nonces) AS nonces,
          (SELECT count(*) FROM entries) - (SELECT count(*) FROM keys) AS keys,
          (SELECT count(*) FROM entries WHERE did NOT IN (SELECT id FROM dids)) AS entries,
          (SELECT count(*) FROM dids WHERE version <> (SELECT count(*) FROM entries WHERE entries.did = dids.id)) AS versions`,
      )
      .get();
  } finally {
    database.close();
  }
}

describe('a vault that is killed again and again', () => {
  test.each(Array.from({ length: KILLS / KILLS_OF_A_STORE }, (_, at) => at))(
    `${KILLS_OF_A_STORE} times: store %i`,
    { timeout: 400_000 },
    async (at) => {
      const file = join(directory, `vault-${at}.db`);
      const expected: Expected = { kept: new Map(), sent: new Map() };
      for (let kill = 0; kill < KILLS_OF_A_STORE; kill++) {
        await killAfter(file, 1 + Math.floor(Math.random() * 30), expected);
        await reopen(file, kill % 4 === 3, expected);
        // Each write takes one nonce and brings one key of its own.
        expect({ ...(halfWrites(file) as object) }).toEqual({ nonces: 0, keys: 0, entries: 0, versions: 0 });
      }
      expect(
        [...expected.kept.keys()].some((name) => name.endsWith(' 2')),
        'rotations too',
      ).toBe(true);
      const bad: unknown[] = [];
      const { entries } = await verifyVault({
        store: file,
        now: Date.now(),
        progress: () => {},
        onBad: (each) => bad.push(each),
      });
      expect(bad).toEqual([]);
      expect(entries).toBeGreaterThanOrEqual(expected.kept.size);
    },
  );
});

// An empty file in the place of a store is a copy that was broken off, and not a store that is new.

import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../../src/stores/sqlite/database.ts';
import { SqliteRestrictionStore } from '../../../src/stores/sqlite/restrictions/restriction-store.ts';
import { SqliteSeenLogs } from '../../../src/stores/sqlite/seen-logs/seen-logs.ts';
import { SqliteVaultStore } from '../../../src/stores/sqlite/vault/vault-store.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-empty-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const STORES: [string, (file: string) => Promise<{ close(): unknown }>][] = [
  ['records and nonces', async (file) => openDatabase(file)],
  ['logs that were seen', (file) => SqliteSeenLogs.open(file)],
  ['restrictions', (file) => SqliteRestrictionStore.open(file)],
  ['the vault', (file) => SqliteVaultStore.open({ file, clock: Date.now })],
];

test.each(STORES)('%s: refused and left as it is; made whole where there is none', async (_, open) => {
  const empty = join(directory, 'empty.db');
  writeFileSync(empty, '');
  await expect(open(empty)).rejects.toThrow('is empty');
  expect(statSync(empty).size).toBe(0);
  const file = join(directory, 'new.db');
  await (await open(file)).close();
  expect(statSync(file).size).toBeGreaterThan(0);
  expect(readdirSync(directory).filter((name) => name.includes('-new'))).toEqual([]);
});

test('a vault that took restrictions is not begun anew when its store is gone', async () => {
  const file = join(directory, 'vault.db');
  await (await SqliteRestrictionStore.open(`${file}-restrictions`)).close();
  await expect(SqliteVaultStore.open({ file, clock: Date.now })).rejects.toThrow('is gone');
  expect(existsSync(file)).toBe(false);
});

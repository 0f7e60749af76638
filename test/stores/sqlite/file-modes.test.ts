// Records name agents, models and paths: whoever else has an account on the machine reads none of it.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockStore } from '../../../src/stores/sqlite/database.ts';
import { EmbeddedStore } from '../../../src/stores/sqlite/embedded-store.ts';
import { SqliteEventStore } from '../../../src/stores/sqlite/event-store.ts';
import { SqliteRestrictionStore } from '../../../src/stores/sqlite/restrictions/restriction-store.ts';
import { SqliteSeenLogs } from '../../../src/stores/sqlite/seen-logs/seen-logs.ts';
import { SqliteSightingStore } from '../../../src/stores/sqlite/sightings/sighting-store.ts';
import { backUpVault } from '../../../src/stores/sqlite/vault/back-up-vault.ts';
import { SqliteVaultStore } from '../../../src/stores/sqlite/vault/vault-store.ts';

let directory: string;
let mask: number;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-modes-'));
  mask = process.umask(0o022);
});
afterEach(() => {
  process.umask(mask);
  rmSync(directory, { recursive: true, force: true });
});

test('every store is for its owner alone, with the files beside it', async () => {
  const at = (name: string) => join(directory, name);
  const vault = await SqliteVaultStore.open({ file: at('vault.db'), writeTimeoutMillis: 5000 });
  const stores = [
    vault,
    await EmbeddedStore.open({
      file: at('hermesbridge.db'),
      recordTimeoutMillis: 5000,
      perKeyLimit: 100,
      windowMillis: 120_000,
      monotonic: () => performance.now(),
    }),
    await SqliteRestrictionStore.open(at('restrictions.db')),
    await SqliteSeenLogs.open(at('logs.db')),
    await SqliteSightingStore.open({
      file: at('sightings.db'),
      limits: { keepSeconds: 600, maxLinks: 10, maxLinksPerAgent: 10 },
      facts: { administrators: [] },
      gateway: 'g',
      clock: Date.now,
      onLost: () => {},
    }),
    SqliteEventStore.open(at('events.db')),
  ];
  try {
    await backUpVault({ store: at('vault.db'), out: at('backup.db'), force: false, progress: () => {} });
    const names = readdirSync(directory);
    expect(names.filter((name) => /-wal$/.test(name)).length).toBeGreaterThanOrEqual(4);
    const open = names.filter((name) => (statSync(at(name)).mode & 0o077) !== 0);
    expect(open).toEqual([]);
  } finally {
    for (const store of stores) await store.close();
  }
});

test('a lock outlives whoever is refused it in the same process', () => {
  const store = join(directory, 'locked.db');
  const lock = lockStore(store);
  expect(() => lockStore(store)).toThrow('in use');
  const database = fileURLToPath(new URL('../../../src/stores/sqlite/database.ts', import.meta.url));
  const program = `import { lockStore } from ${JSON.stringify(database)}; lockStore(${JSON.stringify(store)});`;
  const other = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
  expect([other.status, other.stderr]).toEqual([1, expect.stringContaining('in use by another hermesbridge')]);
  lock.close();
});

test('a lock that cannot be made is not one that somebody holds', () => {
  expect(() => lockStore(join(directory, 'nowhere', 'store.db'))).toThrow(/ENOENT/);
});

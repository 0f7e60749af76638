// What a gateway remembers of logs outlives it, never goes back, and is never replaced when it is damaged.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../../../src/stores/sqlite/database.ts';
import { SqliteSeenLogs } from '../../../../src/stores/sqlite/seen-logs/seen-logs.ts';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hb-seen-'));
  file = join(directory, 'seen.db');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const seen = (version: number) => ({
  versionId: `${version}-Qm${version}`,
  digest: `d${version}`,
  deactivated: false,
  ttl: undefined,
});

describe('memory', () => {
  test('what was remembered is there at once, and after a restart', async () => {
    const first = await SqliteSeenLogs.open(file);
    expect(first.find('scid')).toBeUndefined();
    const last = { versionId: '2-Qm', digest: 'd', deactivated: true, ttl: 60 };
    await first.remember('scid', seen(1));
    await first.remember('scid', last);
    expect(first.find('scid')).toEqual(last);
    await first.close();
    const second = await SqliteSeenLogs.open(file);
    expect(second.find('scid')).toEqual(last);
    await second.close();
  });

  test('a version never goes back, in whatever order the writes come', async () => {
    const logs = await SqliteSeenLogs.open(file);
    await Promise.all([10, 9, 2].map((version) => logs.remember('scid', seen(version))));
    await logs.remember('scid', seen(3));
    expect(logs.find('scid')?.versionId).toBe('10-Qm10');
    await logs.close();
  });

  test('many at once share a commit', async () => {
    const logs = await SqliteSeenLogs.open(file);
    await Promise.all(Array.from({ length: 2000 }, (_, i) => logs.remember(`scid-${i}`, seen(i + 1))));
    expect(logs.find('scid-1999')?.versionId).toBe('2000-Qm2000');
    await logs.close();
  });

  test('closing writes what waits, and later writes are refused', async () => {
    const logs = await SqliteSeenLogs.open(file);
    const written = logs.remember('scid', seen(1));
    await logs.close();
    await written;
    await expect(logs.remember('scid', seen(2))).rejects.toThrow(StoreError);
  });

  test('what was acknowledged survives kill -9', async () => {
    const program = join(directory, 'writes.ts');
    const store = fileURLToPath(new URL('../../../../src/stores/sqlite/seen-logs/seen-logs.ts', import.meta.url));
    await writeFile(
      program,
      `import { SqliteSeenLogs } from ${JSON.stringify(store)};
       const logs = await SqliteSeenLogs.open(${JSON.stringify(file)});
       for (let i = 1; ; i++) {
         await logs.remember('scid', { versionId: i + '-Qm', digest: 'd', deactivated: false, ttl: undefined });
         process.send(i);
       }`,
    );
    let acknowledged = 0;
    const child = fork(program, { execArgv: [] });
    child.on('message', (count: number) => {
      acknowledged = count;
      if (count === 20) child.kill('SIGKILL');
    });
    await once(child, 'exit');
    const logs = await SqliteSeenLogs.open(file);
    expect(Number.parseInt(logs.find('scid')?.versionId ?? '0', 10)).toBeGreaterThanOrEqual(acknowledged);
    await logs.close();
  });
});

describe('a file that is not right is refused and left as it is', () => {
  test.each([
    ['text', async () => writeFile(file, 'not a database, but long enough to be taken for one'.repeat(100))],
    [
      'another program',
      async () => {
        const other = new DatabaseSync(file);
        other.exec('CREATE TABLE theirs (x)');
        other.close();
      },
    ],
    [
      'a newer version',
      async () => {
        await (await SqliteSeenLogs.open(file)).close();
        const newer = new DatabaseSync(file);
        newer.exec('PRAGMA user_version = 99');
        newer.close();
      },
    ],
    [
      'a file that was cut',
      async () => {
        const logs = await SqliteSeenLogs.open(file);
        await Promise.all(Array.from({ length: 500 }, (_, i) => logs.remember(`scid-${i}`, seen(i + 1))));
        await logs.close();
        await truncate(file, 8192);
      },
    ],
  ])('%s', async (_, spoil) => {
    await spoil();
    const before = await readFile(file);
    await expect(SqliteSeenLogs.open(file)).rejects.toThrow(StoreError);
    expect((await readFile(file)).equals(before)).toBe(true);
  });
});

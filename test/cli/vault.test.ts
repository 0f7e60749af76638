/** `vault backup`, `vault restore` and `vault verify`, run as a user runs them, also beside a service that writes. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteVaultStore } from '../../src/stores/sqlite/vault/vault-store.ts';
import { once, registrationOf, type WrittenLog, writeFirst } from '../stores/sqlite/vault/written-log.ts';
import { hb, hbJson } from './run-cli.ts';

let directory: string;
let store: string;
let out: string;
let service: SqliteVaultStore | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-vault-'));
  store = join(directory, 'vault.db');
  out = join(directory, 'backup.db');
});

afterEach(async () => {
  await stop();
  rmSync(directory, { recursive: true, force: true });
});

async function stop(): Promise<void> {
  await service?.close();
  service = undefined;
}

async function keep(...logs: readonly WrittenLog[]): Promise<void> {
  service ??= await SqliteVaultStore.open({ file: store });
  for (const log of logs) await service.register(registrationOf(log), once(), { status: 201, body: '{}' });
}

const backup = (...more: string[]) => hb(['vault', 'backup', '--store', store, '--out', out, ...more]);
const restore = (...more: string[]) => hb(['vault', 'restore', '--from', out, '--store', store, ...more]);
const verify = (...more: string[]) => hb(['vault', 'verify', '--store', store, ...more]);

describe('the vault commands', { timeout: 120_000 }, () => {
  it.each(['backup', 'restore', 'verify'])('vault %s has help with an example', async (command) => {
    const { code, stdout, stderr } = await hb(['vault', command, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`\nExample:\n  hermesbridge vault ${command} `);
    expect(stdout).toContain('--json');
    expect((await hb(['vault', command])).code).toBe(2);
  });

  it('back up while the service runs, verify, and restore when it has stopped', async () => {
    await keep(writeFirst('acme:a'), writeFirst('acme:b'));
    expect(await backup()).toMatchObject({ code: 0, stdout: `wrote ${out}: 2 DIDs, 2 entries, all rows checked\n` });
    await keep(writeFirst('acme:c'));
    expect(await verify()).toMatchObject({ code: 0, stdout: `${store}: 3 DIDs, 3 entries: all logs verify\n` });
    expect(await hbJson(['vault', 'verify', '--store', out])).toMatchObject({ code: 0, value: { dids: 2, entries: 2, bad: [] } });
    const refused = await restore('--force');
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('is in use by another hermesbridge');
    const epoch = service?.epoch;
    await stop();
    const unforced = await restore();
    expect([unforced.code, unforced.stderr]).toEqual([1, expect.stringContaining('say --force to put it aside')]);
    const { code, stdout } = await restore('--force');
    expect(code).toBe(0);
    expect(stdout).toContain(`restored ${store}: 2 DIDs, 2 entries`);
    expect(stdout).toMatch(/the store that was there is now .*vault\.db-replaced-\d{8}T\d{6}Z\n/);
    expect(stdout).toContain('Gateways remember the newest version that they have seen of each log, and refuse an older one');
    await keep();
    expect([service?.lastSequence(), service?.epoch === epoch]).toEqual([2, false]);
  });

  it('back up over nothing that is there, unless that is asked for', async () => {
    await keep(writeFirst('acme:a'));
    writeFileSync(out, 'precious');
    const { code, stderr } = await backup();
    expect([code, stderr]).toEqual([1, expect.stringContaining(`${out} exists`)]);
    const forced = await hbJson(['vault', 'backup', '--store', store, '--out', out, '--force']);
    expect(forced).toMatchObject({ code: 0, value: { store, out, dids: 1, entries: 1 } });
  });

  it('restore where nothing was', async () => {
    await keep(writeFirst('acme:a'));
    await backup();
    store = join(directory, 'elsewhere.db');
    const restored = await hbJson(['vault', 'restore', '--from', out, '--store', store]);
    expect(restored).toMatchObject({ code: 0, value: { store, from: out, dids: 1, entries: 1, replaced: null } });
    expect(existsSync(store)).toBe(true);
  });

  it('name each DID whose log does not verify, and answer 1', async () => {
    const [good, forged, forged2] = [writeFirst('acme:a'), writeFirst('acme:b'), writeFirst('acme:c')];
    const changed = (log: WrittenLog) => ({
      ...log,
      lines: [(log.lines[0] ?? '').replace('"portable":true', '"portable":false')],
    });
    await keep(good, changed(forged), changed(forged2));
    const text = await verify();
    expect(text.code).toBe(1);
    for (const { log } of [forged, forged2]) expect(text.stdout).toContain(`${log.did}: `);
    expect(text.stdout).not.toContain(good.log.did);
    expect(text.stdout).toContain('3 DIDs, 3 entries: 2 of them are bad');
    const { code, value } = await hbJson<{ bad: { did: string }[] }>(['vault', 'verify', '--store', store]);
    expect([code, value.bad.map(({ did }) => did).sort()]).toEqual([1, [forged, forged2].map(({ log }) => log.did).sort()]);
  });

  it('answer 1 with what to do, where there is no whole store, and change nothing', async () => {
    await keep(writeFirst('acme:a'));
    await backup();
    await stop();
    const database = new DatabaseSync(store);
    database.exec('DELETE FROM entries');
    database.close();
    const before = [readFileSync(store), readFileSync(out)];
    for (const run of [backup('--force'), verify(), verify('--json')]) {
      const { code, stderr } = await run;
      expect([code, stderr]).toEqual([1, expect.stringMatching(/damaged .* vault restore/)]);
    }
    expect([readFileSync(store), readFileSync(out)]).toEqual(before);
    expect(readdirSync(directory).filter((name) => name.includes('part'))).toEqual([]);
    store = join(directory, 'none.db');
    expect(await verify()).toMatchObject({ code: 1, stderr: expect.stringContaining('none.db does not exist') });
    expect(await hbJson(['vault', 'verify', '--store', store])).toMatchObject({
      code: 1,
      value: { error: { problems: [expect.any(String)] } },
    });
  });
});

// A vault and its gateways over one Redis: a revocation is in force on all of them within milliseconds, `--wait` says when, and whoever
// is inside Redis can make them deny and nothing else (docs/threat-model.md D8, H7, H8, X21, X31, X32).

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Logger, pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { type Configuration, parseConfiguration } from '../../src/config.ts';
import { startResolution } from '../../src/serve/resolution.ts';
import { type GatewayRestrictions, startRestrictions } from '../../src/serve/restrictions.ts';
import { type RunningVault, startControl } from '../../src/serve/start-control.ts';
import { openRestrictions, renewEpoch } from '../../src/stores/sqlite/restrictions/restriction-database.ts';
import { makeCertificates } from '../envoy/certificates.ts';
import { redisVersion, startRedis, type TestRedis, withRedis } from '../stores/redis/redis-server.ts';
import { askVault, did, revocation } from './ask-vault.ts';

const BOUND_SECONDS = 2;
const HEAD = '{12:hermesbridge12:restrictions}4:head';
const CHANNEL = '{12:hermesbridge12:restrictions}8:presence';

interface Gateway {
  readonly name: string;
  readonly restrictions: GatewayRestrictions;
  readonly logged: string[];
  isRevoked(jti: string): boolean;
  stop(): Promise<void>;
}

describe.skipIf(redisVersion === undefined)(`restrictions over Redis${withRedis}`, () => {
  let redis: TestRedis;
  let directory: string;
  let origin: string;
  let ca: string;
  let vault: RunningVault | undefined;
  let vaultLog: string[];
  let startVault: () => Promise<RunningVault>;
  const gateways: Gateway[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    directory = mkdtempSync(join(tmpdir(), 'hb-shared-'));
    const { trustedCaFile, server } = await makeCertificates(directory);
    ca = trustedCaFile;
    const port = await freePort();
    origin = `https://localhost:${port}`;
    const { control } = read({
      control: {
        service: { listen: `127.0.0.1:${port}`, tls: { certificate: server.certificateFile, key: server.keyFile } },
        origin,
        operators: [did],
        store: { file: join(directory, 'vault.db') },
        redis: redis.section,
      },
    });
    if (control === undefined) throw new Error('no role');
    vaultLog = [];
    const log: Logger = pino({}, { write: (line: string) => void vaultLog.push(line) });
    startVault = () => startControl(control, { log, clock: Date.now });
    vault = await startVault();
    for (const name of ['one', 'two', 'three']) gateways.push(await startGateway(name));
  });

  afterAll(async () => {
    for (const gateway of gateways) await gateway.stop();
    await vault?.stop();
    await redis?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  afterEach(async () => {
    // Each test leaves a world in which everything is in force and fresh.
    await allFresh();
    const follows = ({ logged }: Gateway) =>
      !/ALARM|not heard of/.test(logged.filter((line) => /restrictions/.test(line) && !/has lost/.test(line)).at(-1) ?? '');
    await expect.poll(() => gateways.every(follows), soon).toBe(true);
  });

  const read = (value: object): Configuration => parseConfiguration(JSON.stringify(value), 'hermesbridge.yaml');

  async function startGateway(name: string, clock = Date.now): Promise<Gateway> {
    const { verify } = read({
      verify: {
        gateway: { names: ['gateway.example'] },
        trust: { operators: [{ did }] },
        providers: { openai: { api: 'openai', credential: { file: 'x' } } },
        store: { file: join(directory, `${name}.db`) },
        restrictions: { maxStaleSeconds: BOUND_SECONDS },
        redis: redis.section,
        replicas: 3,
      },
    });
    if (verify === undefined) throw new Error('no role');
    const logged: string[] = [];
    const log: Logger = pino({}, { write: (line: string) => void logged.push(line) });
    const seenFile = `${verify.store.file}-logs`;
    const resolution = await startResolution({ configuration: verify.resolution, seenFile, localVault: undefined, log, clock });
    const restrictions = await startRestrictions({ configuration: verify, local: undefined, resolution, log, clock });
    const isRevoked = (jti: string) =>
      'revoked' in
      restrictions.inForce.find({
        operator: { did },
        links: [{ agent: 'did:web:a', jti: jti.replaceAll(' ', '-'), jkt: 'k', iat: 1 }],
      });
    const stop = async () => {
      await restrictions.stop();
      await resolution.stop();
    };
    return { name, restrictions, logged, isRevoked, stop };
  }

  const ask = <T>(path: string, body?: object) => askVault<T>(new URL(path, origin), ca, body);

  interface Acknowledgement {
    readonly acknowledged: boolean;
    readonly followers: number;
    readonly missing: readonly string[];
  }
  const revoke = async (jti: string) => {
    const { status, value } = await ask<{ sequence: number }>('/v1/restrictions', { restriction: revocation(jti) });
    expect(status).toBe(201);
    return value.sequence;
  };
  const acknowledged = async (sequence: number, wait = 10) =>
    (await ask<Acknowledgement>(`/v1/restrictions/${sequence}/acknowledged?wait=${wait}`)).value;
  const soon = { timeout: 20_000, interval: 2 };
  const isFresh = ({ restrictions }: Gateway) => restrictions.inForce.isFresh();
  const allFresh = () => expect.poll(() => gateways.every(isFresh), soon).toBe(true);
  const noneFresh = () => expect.poll(() => gateways.some(isFresh), soon).toBe(false);
  const everywhere = (jti: string) => gateways.map(({ isRevoked }) => isRevoked(jti));
  const alarmed = ({ logged }: Gateway) => logged.filter((line) => line.includes('ALARM')).length;
  const streamKey = async () => (await redis.admin.keys('*6:stream*'))[0] ?? '';

  test('D8 X31 a revocation is in force on every replica when `--wait` returns, which it does within milliseconds', {
    timeout: 120_000,
  }, async () => {
    await allFresh();
    expect(await acknowledged(await revoke('first'))).toMatchObject({ acknowledged: true, followers: 3, missing: [] });
    const took: number[] = [];
    for (let round = 0; round < 50; round++) {
      const jti = `token-${round}`;
      const sequence = await revoke(jti);
      const at = performance.now();
      expect(await acknowledged(sequence)).toMatchObject({ acknowledged: true, missing: [] });
      took.push(performance.now() - at);
      expect(everywhere(jti)).toEqual([true, true, true]);
    }
    took.sort((a, b) => a - b);
    expect(took.at(took.length >> 1), `${took.map(Math.round)} ms`).toBeLessThan(250);
    expect(vaultLog.join('')).not.toContain('ALARM');
  });

  test('H8 X32 a vault that is silent for longer than the bound makes every replica deny, until it is back', {
    timeout: 60_000,
  }, async () => {
    await vault?.stop();
    vault = undefined;
    await noneFresh();
    expect(everywhere('token-0')).toEqual([true, true, true]);
    vault = await startVault();
    await allFresh();
    expect(await acknowledged(await revoke('after the vault'))).toMatchObject({ acknowledged: true, followers: 3 });
    expect(everywhere('after the vault')).toEqual([true, true, true]);
  });

  test('X31 FLUSHALL: what is known stays in force, the vault writes it anew, and a new replica gets all of it', {
    timeout: 60_000,
  }, async () => {
    await redis.admin.flushall();
    expect(everywhere('token-0')).toEqual([true, true, true]);
    const sequence = await revoke('after the flush');
    expect(await acknowledged(sequence)).toMatchObject({ acknowledged: true, followers: 3 });
    expect(everywhere('after the flush')).toEqual([true, true, true]);
    const fourth = await startGateway('four');
    gateways.push(fourth);
    await allFresh();
    expect([fourth.isRevoked('token-0'), fourth.isRevoked('after the flush')]).toEqual([true, true]);
    gateways.pop();
    await fourth.stop();
    // It said goodbye, and holds up nobody.
    expect(await acknowledged(await revoke('after four'), 1)).toMatchObject({ acknowledged: true, followers: 3 });
  });

  test('X32 a Redis that is gone is outlived, and restarts empty', { timeout: 60_000 }, async () => {
    await redis.kill();
    await noneFresh();
    expect(everywhere('token-0')).toEqual([true, true, true]);
    const sequence = await revoke('without Redis');
    await redis.start();
    await allFresh();
    expect(everywhere('without Redis')).toEqual([true, true, true]);
    expect(await acknowledged(sequence)).toMatchObject({ acknowledged: true });
  });

  describe('H7 someone inside Redis', () => {
    test('puts an old statement back, again and again: it becomes stale and no more', { timeout: 60_000 }, async () => {
      const old = (await redis.admin.get(HEAD)) ?? '';
      await revoke('after the old statement');
      await expect.poll(() => everywhere('after the old statement'), soon).toEqual([true, true, true]);
      const again = setInterval(() => void redis.admin.set(HEAD, old), 2);
      try {
        await noneFresh();
      } finally {
        clearInterval(again);
      }
      expect(everywhere('after the old statement')).toEqual([true, true, true]);
    });

    test.each<[string, (statement: { followers: [string, number][] }) => void]>([
      ['changes what it says', (statement) => Object.assign(statement, { last: 0, head: '' })],
      ['makes it newer', (statement) => Object.assign(statement, { at: Date.now() + 1000 })],
    ])('%s: refused with an alarm', async (_, change) => {
      const sealed = (await redis.admin.get(HEAD)) ?? '';
      const statement = JSON.parse(sealed.slice(43));
      change(statement);
      const forged = sealed.slice(0, 43) + JSON.stringify(statement);
      const before = gateways.map(alarmed);
      const again = setInterval(() => void redis.admin.set(HEAD, forged), 1);
      try {
        await expect.poll(() => gateways.every((gateway, index) => alarmed(gateway) > (before[index] ?? 0)), soon).toBe(true);
      } finally {
        clearInterval(again);
      }
    });

    test('takes out the newest entry, or one in the middle: the vault writes the stream anew', { timeout: 60_000 }, async () => {
      for (const at of [-1, -3]) {
        const key = await streamKey();
        const ids = (await redis.admin.xrange(key, '-', '+')).map(([id]) => id);
        await redis.admin.xdel(key, ids.at(at) ?? '');
        await expect
          .poll(async () => (await redis.admin.xrange(await streamKey(), '-', '+')).map(([id]) => id), soon)
          .toEqual(ids);
      }
      const fresh = await startGateway('seven');
      await expect.poll(() => isFresh(fresh), soon).toBe(true);
      expect(fresh.isRevoked('token-0')).toBe(true);
      await fresh.stop();
    });

    test('keeps entries from coming: nobody relies on what they do not have', { timeout: 60_000 }, async () => {
      const key = await streamKey();
      const again = setInterval(() => void redis.admin.del(key), 1);
      try {
        await revoke('kept back');
        const until = Date.now() + (BOUND_SECONDS + 1) * 1000;
        while (Date.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        for (const gateway of gateways) expect(gateway.isRevoked('kept back') || !isFresh(gateway)).toBe(true);
      } finally {
        clearInterval(again);
      }
      await expect.poll(() => everywhere('kept back'), soon).toEqual([true, true, true]);
    });

    test('adds entries, under numbers to come or beyond all: the vault writes the stream anew', { timeout: 60_000 }, async () => {
      for (const id of ['999999-0', '18446744073709551615-18446744073709551615']) {
        await redis.admin.xadd(await streamKey(), id, 'r', revocation('forged'), 'h', 'x');
        expect(await acknowledged(await revoke(`after ${id}`))).toMatchObject({ acknowledged: true });
        expect(everywhere('forged')).toEqual([false, false, false]);
        expect(everywhere(`after ${id}`)).toEqual([true, true, true]);
      }
    });

    test('acknowledges for a replica, in a form of its own or with what was said before: nobody is fooled', {
      timeout: 60_000,
    }, async () => {
      const heard: string[] = [];
      const listening = redis.admin.duplicate();
      await listening.subscribe(CHANNEL);
      listening.on('message', (_, message: string) => void heard.push(message));
      await expect.poll(() => heard.length, soon).toBeGreaterThan(5);
      listening.disconnect();
      // One that is fresh and does not acknowledge holds it up.
      const [silent] = gateways;
      const key = await streamKey();
      const sequenceBefore = await revoke('before the forgery');
      await acknowledged(sequenceBefore);
      const again = setInterval(() => void redis.admin.del(key), 1);
      try {
        const sequence = await revoke('forged acknowledgement');
        for (const message of heard) {
          const said = { ...JSON.parse(message.slice(43)), applied: sequence + 1, at: Date.now() };
          await redis.admin.publish(CHANNEL, message.slice(0, 43) + JSON.stringify(said));
          await redis.admin.publish(CHANNEL, message);
        }
        const missing = gateways.filter((gateway) => !gateway.isRevoked('forged acknowledgement')).length;
        const told = await acknowledged(sequence, 0);
        if (missing > 0) expect(told).toMatchObject({ acknowledged: false });
        expect(silent).toBeDefined();
      } finally {
        clearInterval(again);
      }
    });

    test('keeps a replica from being heard: it relies on nothing, and holds `--wait` up no longer than that takes', {
      timeout: 60_000,
    }, async () => {
      // Without the right to publish, of the only user there is.
      await redis.admin.acl('SETUSER', 'hermesbridge', '-publish');
      try {
        await noneFresh();
        const sequence = await revoke('unheard');
        expect(await acknowledged(sequence, 10)).toMatchObject({ acknowledged: true, followers: 0 });
        expect(gateways.some(isFresh)).toBe(false);
      } finally {
        await redis.admin.acl('SETUSER', 'hermesbridge', '+publish');
      }
    });
  });

  test('a replica that is gone without a word holds `--wait` up for its bound and a little, and no longer', {
    timeout: 60_000,
  }, async () => {
    const silent = await startGateway('silent');
    await expect.poll(() => isFresh(silent), soon).toBe(true);
    await redis.admin.acl('SETUSER', 'hermesbridge', '-publish');
    await silent.stop();
    await redis.admin.acl('SETUSER', 'hermesbridge', '+publish');
    const at = performance.now();
    const sequence = await revoke('without a word');
    expect(await acknowledged(sequence, 1)).toMatchObject({ acknowledged: false });
    expect(await acknowledged(sequence, 20)).toMatchObject({ acknowledged: true });
    expect(performance.now() - at).toBeLessThan((BOUND_SECONDS + 2.5 + 2) * 1000);
  });

  test('a replica whose clock is off by more than the bound denies', { timeout: 60_000 }, async () => {
    for (const off of [-60_000, 60_000, BOUND_SECONDS * 1000 + 1500]) {
      const wrong = await startGateway(`clock${off}`, () => Date.now() + off);
      await expect.poll(() => wrong.logged.join(''), soon).toContain('by the clock here');
      expect(isFresh(wrong)).toBe(false);
      await wrong.stop();
    }
  });

  test('X15 X17 a replica whose clock was ahead is relied on soon after it was put right', { timeout: 60_000 }, async () => {
    let off = 0;
    const wrong = await startGateway('clock put right', () => Date.now() + off);
    await expect.poll(() => isFresh(wrong), soon).toBe(true);
    off = 120_000;
    await expect.poll(() => isFresh(wrong), soon).toBe(false);
    // It has said more than once where it is, by the clock that is ahead.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    off = 0;
    await expect.poll(() => isFresh(wrong), soon).toBe(true);
    await wrong.stop();
  });

  test('H7 a vault that was put back from a backup is refused until it says so, and what it lost stays in force', {
    timeout: 90_000,
  }, async () => {
    const file = join(directory, 'vault.db-restrictions');
    const backup = new DatabaseSync(file);
    backup.exec(`VACUUM INTO '${file}-backup'`);
    backup.close();
    await acknowledged(await revoke('lost'));
    await vault?.stop();
    const restore = () => {
      for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true });
      copyFileSync(`${file}-backup`, file);
    };
    restore();
    const before = gateways.map(alarmed);
    vault = await startVault();
    await revoke('instead');
    await expect.poll(() => gateways.every((gateway, index) => alarmed(gateway) > (before[index] ?? 0)), soon).toBe(true);
    await noneFresh();
    expect([everywhere('lost'), everywhere('instead')]).toEqual([gateways.map(() => true), gateways.map(() => false)]);
    await vault.stop();
    const database = openRestrictions(file);
    renewEpoch(database);
    database.close();
    vault = await startVault();
    await allFresh();
    expect([everywhere('lost'), everywhere('instead')]).toEqual([gateways.map(() => true), gateways.map(() => true)]);
    expect(gateways[0]?.logged.join('')).toContain('has lost restrictions');
  });
});

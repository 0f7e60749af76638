// A vault and its gateways over one Redis: a revocation is in force on all of them within milliseconds, `--wait` says when, and whoever
// is inside Redis can make them deny and nothing else (docs/threat-model.md D8, H7, H8, X21, X31, X32).

import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openRestrictions, renewEpoch } from '../../src/stores/sqlite/restrictions/restriction-database.ts';
import { redisVersion, startRedis, type TestRedis, withRedis } from '../stores/redis/redis-server.ts';
import { revocation } from './ask-vault.ts';
import { BOUND_SECONDS, type FleetGateway, RestrictionFleet, soon } from './restriction-fleet.ts';

const HEAD = '{12:hermesbridge12:restrictions}4:head';
const CHANNEL = '{12:hermesbridge12:restrictions}8:presence';

describe.skipIf(redisVersion === undefined)(`restrictions over Redis${withRedis}`, () => {
  let redis: TestRedis;
  let fleet: RestrictionFleet;

  beforeAll(async () => {
    redis = await startRedis();
    fleet = await RestrictionFleet.start(redis.section, ['one', 'two', 'three']);
  });

  afterAll(async () => {
    await fleet?.stop();
    await redis?.stop();
  });

  afterEach(async () => {
    // Each test leaves a world in which everything is in force and fresh.
    await fleet.allFresh();
    const follows = ({ logged }: FleetGateway) =>
      !/ALARM|not heard of/.test(logged.filter((line) => /restrictions/.test(line) && !/has lost/.test(line)).at(-1) ?? '');
    await expect.poll(() => fleet.gateways.every(follows), soon).toBe(true);
  });

  const alarmed = ({ logged }: FleetGateway) => logged.filter((line) => line.includes('ALARM')).length;
  const streamKey = async () => (await redis.admin.keys('*6:stream*'))[0] ?? '';

  test('D8 X31 a revocation is in force on every replica when `--wait` returns, which it does within milliseconds', {
    timeout: 120_000,
  }, async () => {
    await fleet.allFresh();
    expect(await fleet.acknowledged(await fleet.revoke('first'))).toMatchObject({
      acknowledged: true,
      followers: 3,
      missing: [],
    });
    const took: number[] = [];
    for (let round = 0; round < 50; round++) {
      const jti = `token-${round}`;
      const sequence = await fleet.revoke(jti);
      const at = performance.now();
      expect(await fleet.acknowledged(sequence)).toMatchObject({ acknowledged: true, missing: [] });
      took.push(performance.now() - at);
      expect(fleet.everywhere(jti)).toEqual([true, true, true]);
    }
    took.sort((a, b) => a - b);
    expect(took.at(took.length >> 1), `${took.map(Math.round)} ms`).toBeLessThan(250);
    expect(fleet.vaultLog.join('')).not.toContain('ALARM');
  });

  test('H8 X32 a vault that is silent for longer than the bound makes every replica deny, until it is back', {
    timeout: 60_000,
  }, async () => {
    await fleet.stopVault();
    await fleet.noneFresh();
    expect(fleet.everywhere('token-0')).toEqual([true, true, true]);
    await fleet.startVault();
    await fleet.allFresh();
    expect(await fleet.acknowledged(await fleet.revoke('after the vault'))).toMatchObject({ acknowledged: true, followers: 3 });
    expect(fleet.everywhere('after the vault')).toEqual([true, true, true]);
  });

  test('X31 FLUSHALL: what is known stays in force, the vault writes it anew, and a new replica gets all of it', {
    timeout: 60_000,
  }, async () => {
    await redis.admin.flushall();
    expect(fleet.everywhere('token-0')).toEqual([true, true, true]);
    const sequence = await fleet.revoke('after the flush');
    expect(await fleet.acknowledged(sequence)).toMatchObject({ acknowledged: true, followers: 3 });
    expect(fleet.everywhere('after the flush')).toEqual([true, true, true]);
    const fourth = await fleet.startGateway('four');
    fleet.gateways.push(fourth);
    await fleet.allFresh();
    expect([fourth.isRevoked('token-0'), fourth.isRevoked('after the flush')]).toEqual([true, true]);
    fleet.gateways.pop();
    await fourth.stop();
    // It said goodbye, and holds up nobody.
    expect(await fleet.acknowledged(await fleet.revoke('after four'), 1)).toMatchObject({ acknowledged: true, followers: 3 });
  });

  test('X32 a Redis that is gone is outlived, and restarts empty', { timeout: 60_000 }, async () => {
    await redis.kill();
    await fleet.noneFresh();
    expect(fleet.everywhere('token-0')).toEqual([true, true, true]);
    const sequence = await fleet.revoke('without Redis');
    await redis.start();
    await fleet.allFresh();
    expect(fleet.everywhere('without Redis')).toEqual([true, true, true]);
    expect(await fleet.acknowledged(sequence)).toMatchObject({ acknowledged: true });
  });

  describe('H7 someone inside Redis', () => {
    test('puts an old statement back, again and again: it becomes stale and no more', { timeout: 60_000 }, async () => {
      const old = (await redis.admin.get(HEAD)) ?? '';
      await fleet.revoke('after the old statement');
      await expect.poll(() => fleet.everywhere('after the old statement'), soon).toEqual([true, true, true]);
      const again = setInterval(() => void redis.admin.set(HEAD, old), 2);
      try {
        await fleet.noneFresh();
      } finally {
        clearInterval(again);
      }
      expect(fleet.everywhere('after the old statement')).toEqual([true, true, true]);
    });

    test.each<[string, (statement: { followers: [string, number][] }) => void]>([
      ['changes what it says', (statement) => Object.assign(statement, { last: 0, head: '' })],
      ['makes it newer', (statement) => Object.assign(statement, { at: Date.now() + 1000 })],
    ])('%s: refused with an alarm', async (_, change) => {
      const sealed = (await redis.admin.get(HEAD)) ?? '';
      const statement = JSON.parse(sealed.slice(43));
      change(statement);
      const forged = sealed.slice(0, 43) + JSON.stringify(statement);
      const before = fleet.gateways.map(alarmed);
      const again = setInterval(() => void redis.admin.set(HEAD, forged), 1);
      try {
        await expect
          .poll(() => fleet.gateways.every((gateway, index) => alarmed(gateway) > (before[index] ?? 0)), soon)
          .toBe(true);
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
      const fresh = await fleet.startGateway('seven');
      await expect.poll(() => fresh.isFresh(), soon).toBe(true);
      expect(fresh.isRevoked('token-0')).toBe(true);
      await fresh.stop();
    });

    test('keeps entries from coming: nobody relies on what they do not have', { timeout: 60_000 }, async () => {
      const key = await streamKey();
      const again = setInterval(() => void redis.admin.del(key), 1);
      try {
        await fleet.revoke('kept back');
        const until = Date.now() + (BOUND_SECONDS + 1) * 1000;
        while (Date.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        for (const gateway of fleet.gateways) expect(gateway.isRevoked('kept back') || !gateway.isFresh()).toBe(true);
      } finally {
        clearInterval(again);
      }
      await expect.poll(() => fleet.everywhere('kept back'), soon).toEqual([true, true, true]);
    });

    test('adds entries, under numbers to come or beyond all: the vault writes the stream anew', { timeout: 60_000 }, async () => {
      for (const id of ['999999-0', '18446744073709551615-18446744073709551615']) {
        await redis.admin.xadd(await streamKey(), id, 'r', revocation('forged'), 'h', 'x');
        expect(await fleet.acknowledged(await fleet.revoke(`after ${id}`))).toMatchObject({ acknowledged: true });
        expect(fleet.everywhere('forged')).toEqual([false, false, false]);
        expect(fleet.everywhere(`after ${id}`)).toEqual([true, true, true]);
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
      const [silent] = fleet.gateways;
      const key = await streamKey();
      const sequenceBefore = await fleet.revoke('before the forgery');
      await fleet.acknowledged(sequenceBefore);
      const again = setInterval(() => void redis.admin.del(key), 1);
      try {
        const sequence = await fleet.revoke('forged acknowledgement');
        for (const message of heard) {
          const said = { ...JSON.parse(message.slice(43)), applied: sequence + 1, at: Date.now() };
          await redis.admin.publish(CHANNEL, message.slice(0, 43) + JSON.stringify(said));
          await redis.admin.publish(CHANNEL, message);
        }
        const missing = fleet.gateways.filter((gateway) => !gateway.isRevoked('forged acknowledgement')).length;
        const told = await fleet.acknowledged(sequence, 0);
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
        await fleet.noneFresh();
        const sequence = await fleet.revoke('unheard');
        expect(await fleet.acknowledged(sequence, 10)).toMatchObject({ acknowledged: true, followers: 0 });
        expect(fleet.gateways.some((gateway) => gateway.isFresh())).toBe(false);
      } finally {
        await redis.admin.acl('SETUSER', 'hermesbridge', '+publish');
      }
    });
  });

  test('a replica that is gone without a word holds `--wait` up for its bound and a little, and no longer', {
    timeout: 60_000,
  }, async () => {
    const silent = await fleet.startGateway('silent');
    await expect.poll(() => silent.isFresh(), soon).toBe(true);
    await redis.admin.acl('SETUSER', 'hermesbridge', '-publish');
    await silent.stop();
    await redis.admin.acl('SETUSER', 'hermesbridge', '+publish');
    const at = performance.now();
    const sequence = await fleet.revoke('without a word');
    expect(await fleet.acknowledged(sequence, 1)).toMatchObject({ acknowledged: false });
    expect(await fleet.acknowledged(sequence, 20)).toMatchObject({ acknowledged: true });
    expect(performance.now() - at).toBeLessThan((BOUND_SECONDS + 2.5 + 2) * 1000);
  });

  test('a replica whose clock is off by more than the bound denies', { timeout: 60_000 }, async () => {
    for (const off of [-60_000, 60_000, BOUND_SECONDS * 1000 + 1500]) {
      const wrong = await fleet.startGateway(`clock${off}`, () => Date.now() + off);
      await expect.poll(() => wrong.logged.join(''), soon).toContain('by the clock here');
      expect(wrong.isFresh()).toBe(false);
      await wrong.stop();
    }
  });

  test('X15 X17 a replica whose clock was ahead is relied on soon after it was put right', { timeout: 60_000 }, async () => {
    let off = 0;
    const wrong = await fleet.startGateway('clock put right', () => Date.now() + off);
    await expect.poll(() => wrong.isFresh(), soon).toBe(true);
    off = 120_000;
    await expect.poll(() => wrong.isFresh(), soon).toBe(false);
    // It has said more than once where it is, by the clock that is ahead.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    off = 0;
    await expect.poll(() => wrong.isFresh(), soon).toBe(true);
    await wrong.stop();
  });

  test('H7 a vault that was put back from a backup is refused until it says so, and what it lost stays in force', {
    timeout: 90_000,
  }, async () => {
    const file = join(fleet.directory, 'vault.db-restrictions');
    const backup = new DatabaseSync(file);
    backup.exec(`VACUUM INTO '${file}-backup'`);
    backup.close();
    await fleet.acknowledged(await fleet.revoke('lost'));
    await fleet.stopVault();
    const restore = () => {
      for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true });
      copyFileSync(`${file}-backup`, file);
    };
    restore();
    const before = fleet.gateways.map(alarmed);
    await fleet.startVault();
    await fleet.revoke('instead');
    await expect.poll(() => fleet.gateways.every((gateway, index) => alarmed(gateway) > (before[index] ?? 0)), soon).toBe(true);
    await fleet.noneFresh();
    expect([fleet.everywhere('lost'), fleet.everywhere('instead')]).toEqual([
      fleet.gateways.map(() => true),
      fleet.gateways.map(() => false),
    ]);
    await fleet.stopVault();
    const database = openRestrictions(file);
    renewEpoch(database);
    database.close();
    await fleet.startVault();
    await fleet.allFresh();
    expect([fleet.everywhere('lost'), fleet.everywhere('instead')]).toEqual([
      fleet.gateways.map(() => true),
      fleet.gateways.map(() => true),
    ]);
    expect(fleet.gateways[0]?.logged.join('')).toContain('has lost restrictions');
  });
});

// Gateways and the vault find each other again after Redis was away, at once and not with the next heartbeat of each.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readRedisSecrets } from '../../../src/serve/redis.ts';
import { redisConfiguration } from '../../../src/stores/redis/configuration.ts';
import { RedisConnection } from '../../../src/stores/redis/connection.ts';
import { announcePresence, HEARTBEAT_MILLIS } from '../../../src/stores/redis/restrictions/announce-presence.ts';
import { hearPresence, NAMED_MILLIS } from '../../../src/stores/redis/restrictions/hear-presence.ts';
import { RedisFeed } from '../../../src/stores/redis/restrictions/redis-feed.ts';
import { type HeadStatement, RestrictionKeys } from '../../../src/stores/redis/restrictions/statements.ts';
import { redisVersion, startRedis, type TestRedis, withRedis } from './redis-server.ts';

const EPOCH = 'epoch';
const question = { after: 0, epoch: EPOCH, wait: 2, follower: 'f'.repeat(22), applied: 0, bound: 5 };
const soon = { timeout: 10_000, interval: 5 };

describe.skipIf(redisVersion === undefined)(`presence over Redis${withRedis}`, () => {
  let redis: TestRedis;
  let keys: RestrictionKeys;
  const stops: (() => unknown)[] = [];
  const connect = async (name: string) => {
    const configuration = redisConfiguration.parse(redis.section);
    const { credentials } = await readRedisSecrets(configuration, 'verify.redis');
    const connection = await RedisConnection.open({ configuration, credentials, name, blockMillis: 0, onState: () => {} });
    stops.push(() => connection.close());
    return connection;
  };

  beforeEach(async () => {
    redis = await startRedis();
    stops.push(() => redis.stop());
    const configuration = redisConfiguration.parse(redis.section);
    keys = new RestrictionKeys(configuration.prefix, (await readRedisSecrets(configuration, 'verify.redis')).secret);
  });
  afterEach(async () => {
    for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
  });

  test('a gateway that was silent for long is told of as soon as it is heard, as a new one is', async () => {
    let now = 0;
    let changes = 0;
    const heard = await hearPresence({
      connection: await connect('vault-listening'),
      keys,
      epoch: EPOCH,
      report: () => {},
      forget: () => {},
      onChange: () => changes++,
      clock: Date.now,
      monotonic: () => now,
    });
    stops.push(() => heard.stop());
    const presence = announcePresence({ connection: await connect('restrictions'), keys, clock: Date.now });
    stops.push(() => presence.stop());
    presence.report(question);
    await expect.poll(() => heard.named, soon).toEqual([[question.follower, 5]]);
    await sleep(2 * HEARTBEAT_MILLIS);
    expect(changes).toBe(1);
    now += NAMED_MILLIS + 1;
    presence.repeat();
    await expect.poll(() => changes, soon).toBe(2);
    expect(heard.named).toEqual([[question.follower, 5]]);
  });

  test('a gateway that the vault does not name says so to each of its statements, and waits for no news', async () => {
    const repeated: number[] = [];
    let at = Date.now();
    const feed = new RedisFeed({
      connection: await connect('restrictions'),
      keys,
      maxStaleSeconds: 5,
      presence: { report: () => {}, repeat: () => repeated.push(at) },
      clock: () => at,
      monotonic: () => at,
    });
    const say = async (followers: HeadStatement['followers']) => {
      at += 10;
      const statement = { epoch: EPOCH, last: 0, head: '', first: 1, at, followers };
      await redis.admin.set(keys.key('head'), keys.seal('head', statement));
    };
    await say([]);
    const { heardAt } = await feed.ask(question);
    await feed.ask(question);
    expect([heardAt, repeated]).toEqual([Number.NEGATIVE_INFINITY, [at]]);
    await say([['g'.repeat(22), 5]]);
    await feed.ask(question);
    expect(repeated).toHaveLength(2);
    await say([[question.follower, 5]]);
    expect(await feed.ask(question)).toMatchObject({ heardAt: at });
    expect(repeated).toHaveLength(2);
    const blocked = async () => (await redis.admin.info('commandstats')).match(/cmdstat_xread:calls=(\d+)/)?.[1] ?? '0';
    expect(await blocked()).toBe('0');
    await feed.ask(question);
    expect(await blocked()).toBe('1');
  });
});

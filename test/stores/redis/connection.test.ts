// A connection over Sentinels that outlasts whatever a Sentinel does while it is made anew.

import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { redisConfiguration } from '../../../src/stores/redis/configuration.ts';
import { type ConnectionState, RedisConnection } from '../../../src/stores/redis/connection.ts';
import { redisVersion, startRedis, type TestRedis, withRedis } from './redis-server.ts';
import { until } from './replica.ts';
import { type ScriptedSentinel, startScriptedSentinel } from './scripted-sentinel.ts';

const CONNECT_MILLIS = 500;

describe.skipIf(redisVersion === undefined)(`a connection that a Sentinel shows the way${withRedis}`, () => {
  let redis: TestRedis;
  const opened: { stop(): unknown }[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.stop());
  afterEach(async () => {
    for (const { stop } of opened.splice(0).reverse()) await stop();
  });

  async function open(sentinels: readonly ScriptedSentinel[]) {
    const states: ConnectionState[] = [];
    const { url: _, ...section } = redis.section;
    const connection = await RedisConnection.open({
      configuration: redisConfiguration.parse({
        ...section,
        connectTimeoutMillis: CONNECT_MILLIS,
        sentinel: { name: 'nonces', nodes: sentinels.map(({ port }) => `127.0.0.1:${port}`) },
      }),
      credentials: { password: 'password-of-the-gateways', trustedCa: readFileSync(redis.certificates.trustedCaFile, 'utf8') },
      name: 'test',
      blockMillis: 0,
      onState: (state) => void states.push(state),
    });
    opened.push({ stop: () => connection.close() });
    return { connection, states };
  }

  async function scripted(): Promise<ScriptedSentinel> {
    const sentinel = await startScriptedSentinel(redis.certificates, redis.port);
    opened.push(sentinel);
    return sentinel;
  }

  const cut = () => redis.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

  test('a failover is told of while it asks where the primary is: it asks again', async () => {
    const sentinel = await scripted();
    const { connection, states } = await open([sentinel]);
    await until(async () => connection.isConnected, 5000);
    sentinel.hold();
    await cut();
    await until(async () => sentinel.asking > 0, 5000);
    sentinel.switchMaster();
    await new Promise((resolve) => setTimeout(resolve, 100));
    sentinel.release();
    await until(async () => connection.isConnected, 5000);
    expect(states).toEqual(['connected', 'lost', 'connected']);
    expect(await connection.run((client) => client.ping())).toBe('PONG');
  });

  test('a Sentinel that takes connections and never answers: the next one is asked', async () => {
    const [silent, other] = [await scripted(), await scripted()];
    const { connection } = await open([silent, other]);
    silent.hold();
    await cut();
    await until(async () => !connection.isConnected, 5000);
    await until(async () => connection.isConnected, 5000);
    expect(silent.asking).toBeLessThanOrEqual(1);
  });

  test('one that was closed stays closed', async () => {
    const sentinel = await scripted();
    const { connection } = await open([sentinel]);
    sentinel.hold();
    connection.close();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(sentinel.asking).toBe(0);
    await expect(connection.run((client) => client.ping(), 200)).rejects.toThrow();
  });
});

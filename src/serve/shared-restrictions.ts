// Restrictions by way of the replicas' Redis, wired: a vault's, which writes them there, and a gateway's, which reads them.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Followers } from '../control/followers.ts';
import type { FeedSource } from '../restrictions/feed-source.ts';
import type { RestrictionStore } from '../restrictions/restriction-store.ts';
import { addressesOf, type RedisConfiguration } from '../stores/redis/configuration.ts';
import { RedisConnection } from '../stores/redis/connection.ts';
import { refuseOpenRedis } from '../stores/redis/refuse-open-redis.ts';
import { announcePresence } from '../stores/redis/restrictions/announce-presence.ts';
import { NAMED_MILLIS } from '../stores/redis/restrictions/hear-presence.ts';
import { publishRestrictions, USUAL_BOUND_SECONDS } from '../stores/redis/restrictions/publish-restrictions.ts';
import { BLOCK_MILLIS, RedisFeed } from '../stores/redis/restrictions/redis-feed.ts';
import { RestrictionKeys } from '../stores/redis/restrictions/statements.ts';
import { SegmentMaker } from '../stores/sqlite/restrictions/segment-maker.ts';
import { type RedisSecrets, readRedisSecrets } from './redis.ts';

export interface SharedRestrictionSettings {
  readonly configuration: RedisConfiguration;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

const monotonic = () => performance.now();
const RETRY_MILLIS = 1000;

export interface StartedFeed {
  readonly source: FeedSource;
  stop(): Promise<void>;
}

/** @throws {RedisError}, {SecretError} or {ConfigurationError}: nothing is left open then */
export async function startRedisFeed(settings: SharedRestrictionSettings & { maxStaleSeconds: number }): Promise<StartedFeed> {
  const { configuration, maxStaleSeconds, clock } = settings;
  const secrets = await readRedisSecrets(configuration, 'verify.redis');
  const keys = new RestrictionKeys(configuration.prefix, secrets.secret);
  const connection = await connect(settings, secrets, 'restrictions', BLOCK_MILLIS);
  const presence = announcePresence({ connection, keys, clock });
  const source = new RedisFeed({ connection, keys, maxStaleSeconds, presence, clock, monotonic });
  return {
    source,
    stop: async () => {
      await presence.stop();
      connection.close();
    },
  };
}

export interface PublishingSettings extends SharedRestrictionSettings {
  readonly store: RestrictionStore;
  /** The store's, which segments are made from. */
  readonly file: string;
  readonly followers: Followers;
}

/** A Redis that is not there does not stop the vault: gateways deny meanwhile. @throws {SecretError} or {ConfigurationError} */
export async function startPublishing(settings: PublishingSettings): Promise<{ stop(): Promise<void> }> {
  const { configuration, log } = settings;
  const secrets = await readRedisSecrets(configuration, 'control.redis');
  // Gateways may rely on what a vault said before, whether or not this one reaches Redis by now.
  settings.followers.expectOthers(USUAL_BOUND_SECONDS + NAMED_MILLIS / 1000);
  const ended = new AbortController();
  const open = async () => {
    for (let told = false; !ended.signal.aborted; told = true) {
      try {
        return await publish(settings, secrets);
      } catch (err) {
        const place = { redis: addressesOf(configuration) };
        if (!told) log.error({ ...place, err }, 'restrictions cannot be published: gateways deny soon; tried again and again');
        await sleep(RETRY_MILLIS, undefined, { signal: ended.signal }).catch(() => {});
      }
    }
    return undefined;
  };
  const opening = open();
  return {
    stop: async () => {
      ended.abort();
      await (await opening)?.();
    },
  };
}

async function publish(settings: PublishingSettings, secrets: RedisSecrets): Promise<() => Promise<void>> {
  const { configuration, store, file, followers, log, clock } = settings;
  const place = { redis: addressesOf(configuration) };
  const connections: RedisConnection[] = [];
  const maker = new SegmentMaker(file);
  try {
    for (const name of ['vault', 'vault-listening']) connections.push(await connect(settings, secrets, name, 0));
    const [connection, listening] = connections as [RedisConnection, RedisConnection];
    const end = await publishRestrictions({
      connection,
      listening,
      keys: new RestrictionKeys(configuration.prefix, secrets.secret),
      store,
      makeSegment: (after) => maker.make(after),
      followers,
      onState: (state, err) => {
        if (state === 'publishing') log.info(place, 'publishing restrictions');
        else if (state === 'interrupted') log.error({ ...place, err }, 'restrictions cannot be published: gateways deny soon');
        else log.error(place, 'ALARM: a second vault publishes under this prefix in this Redis; gateways deny');
      },
      onSnapshotError: (err) => log.warn({ ...place, err }, 'no snapshot of restrictions: new gateways have to wait for it'),
      clock,
      monotonic,
    });
    return async () => {
      await end();
      for (const one of connections) one.close();
      await maker.close();
    };
  } catch (error) {
    for (const one of connections) one.close();
    await maker.close();
    throw error;
  }
}

async function connect(
  { configuration, log }: SharedRestrictionSettings,
  { credentials }: RedisSecrets,
  name: string,
  blockMillis: number,
): Promise<RedisConnection> {
  await refuseOpenRedis({ configuration, credentials });
  return RedisConnection.open({
    configuration,
    credentials,
    name: `hermesbridge-${name}`,
    blockMillis,
    onState: (state, err) => {
      const place = { redis: addressesOf(configuration), connection: name };
      if (state === 'connected') log.info(place, 'Redis is there');
      else log.warn({ ...place, err }, `Redis is ${state === 'slow' ? 'slow' : 'gone'}`);
    },
  });
}

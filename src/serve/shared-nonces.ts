// Row 9 of a gateway with replicas: their Redis is opened, found fit, and looked at again every few seconds.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { NonceStore } from '../checks/nonce/check-nonce.ts';
import type { NonceMemory } from '../checks/nonce/nonce-memory.ts';
import type { RedisConfiguration } from '../stores/redis/configuration.ts';
import { BLOCK_MILLIS, NonceGossip } from '../stores/redis/nonces/nonce-gossip.ts';
import { SharedNonces } from '../stores/redis/nonces/shared-nonces.ts';
import { openRedis, readRedisSecrets } from './redis.ts';

export interface SharedNonceStart {
  readonly configuration: RedisConfiguration;
  readonly own: NonceMemory;
  readonly windowMillis: number;
  readonly clock: () => number;
  readonly log: Logger;
}

export interface StartedNonces {
  readonly store: NonceStore;
  /** Told of what makes Redis unfit, at once and whenever that changes. */
  onFitness(listener: (fit: boolean) => void): void;
  stop(): Promise<void>;
}

const INSPECT_MILLIS = 2000;
const HEARING_MILLIS = 3000;
/** A clock that is so far from Redis's is worth a warning, some time before it is an error. */
const NOTABLE_MILLIS = 2000;

/** @throws {RedisError}, {SecretError} or {ConfigurationError}: nothing is left open then */
export async function startSharedNonces({ configuration, log, ...settings }: SharedNonceStart): Promise<StartedNonces> {
  const { credentials, secret } = await readRedisSecrets(configuration, 'verify.redis');
  let shared: SharedNonces | undefined;
  let listener: (fit: boolean) => void = () => {};
  let problem: string | undefined;
  let isClockNotable = false;
  const look = (how: 'establish' | 'inspect') => {
    // What is wrong was said already: by the connection, or as a problem of Redis's.
    shared?.[how]().catch((err: unknown) => log.debug({ err }, 'Redis was not looked at'));
  };
  const places = { configuration, credentials, log };
  const connection = await openRedis({ ...places, name: 'nonces', onConnected: () => look('establish') });
  let gossip: NonceGossip | undefined;
  try {
    const listening = await openRedis({ ...places, name: 'gossip', blockMillis: BLOCK_MILLIS });
    gossip = new NonceGossip({
      connection,
      listening,
      prefix: configuration.prefix,
      secret,
      windowMillis: settings.windowMillis,
      monotonic: () => performance.now(),
      clock: settings.clock,
      fence: async () => shared?.fence(),
      onMissing: (missing) => log.error({ missing }, 'ALARM: replicas miss of each other: what was signed before is refused'),
      onTwice: () => log.error('ALARM: two replicas took the same nonce: somebody inside Redis removed its key in between'),
    });
    shared = new SharedNonces({
      ...settings,
      connection,
      configuration,
      secret,
      others: gossip,
      onFence: (buckets, bornAt) => {
        const signedBefore = new Date(bornAt * 1000).toISOString();
        log.warn({ buckets, signedBefore }, 'nonces that Redis does not know: what was signed before is refused');
      },
      onFitness: (found) => {
        problem = found;
        if (found === undefined) log.info('Redis is fit to hold nonces again');
        else log.error({ problem: found }, 'ALARM: Redis is not fit to hold nonces: every request is denied');
        listener(found === undefined);
      },
      onClock: (aheadMillis) => {
        const notable = Math.abs(aheadMillis) > NOTABLE_MILLIS;
        if (notable && !isClockNotable) log.warn({ aheadMillis }, "Redis's clock and this machine's differ");
        isClockNotable = notable;
      },
    });
    await shared.establish();
    // What is signed in this second may have been taken unheard, and would be refused. Not for ever: a Redis that is lost right now is
    // no reason to end.
    const { clock } = settings;
    const hears = ({ isCurrent, hearsFrom }: NonceGossip) => isCurrent && clock() >= hearsFrom * 1000;
    for (const end = performance.now() + HEARING_MILLIS; !hears(gossip) && performance.now() < end; ) await sleep(10);
  } catch (error) {
    await gossip?.stop();
    connection.close();
    throw error;
  }
  const heard = gossip;
  const inspecting = setInterval(() => connection.isConnected && look('inspect'), INSPECT_MILLIS);
  return {
    store: shared,
    onFitness: (told) => {
      listener = told;
      told(problem === undefined);
    },
    stop: async () => {
      clearInterval(inspecting);
      await heard.stop();
      connection.close();
    },
  };
}

// The restrictions of a gateway, wired: those of a vault in this process, those of a vault elsewhere that it follows, or those that
// commands write into a store of its own.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { RestrictionsInForce } from '../checks/restriction/check-restriction.ts';
import type { VerifyConfiguration } from '../config.ts';
import type { FeedSource } from '../restrictions/feed-source.ts';
import { type FollowedRestrictions, feedWaitSeconds, followRestrictions } from '../restrictions/follow-restrictions.ts';
import { httpsFeed } from '../restrictions/https-feed.ts';
import { RestrictionSet } from '../restrictions/restriction-set.ts';
import type { RestrictionStore } from '../restrictions/restriction-store.ts';
import { makeSignerKeys } from '../restrictions/signer-keys.ts';
import { type Restriction, reopenRestriction } from '../restrictions/verify-restriction.ts';
import { SqliteRestrictionStore } from '../stores/sqlite/restrictions/restriction-store.ts';
import type { TrustConfiguration } from '../trust/operators.ts';
import type { LocalRestrictions, Resolution } from './resolution.ts';

export interface GatewayRestrictionSettings {
  readonly configuration: VerifyConfiguration;
  readonly local: LocalRestrictions | undefined;
  readonly resolution: Pick<Resolution, 'resolver' | 'formerKeys' | 'fetchFeed'>;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

export interface GatewayRestrictions {
  readonly inForce: RestrictionsInForce;
  /** DIDs whose restrictions count for every chain here. */
  readonly administrators: readonly string[];
  /** The restriction with an id, where it is kept and can be read. */
  read(id: string): Restriction | undefined;
  /**
   * Called with each restriction once it is in force; must not throw.
   * @param onMany called once, instead, when many came at once
   * @returns to be called to end it
   */
  subscribe(listener: (restriction: Restriction) => void, onMany: () => void): () => void;
  /** Restrictions of operators who are trusted from now on are in force when it resolves. @throws when they cannot be had */
  trust(trust: TrustConfiguration): Promise<void>;
  stop(): Promise<void>;
}

const CLOCK_SKEW_MILLIS = 30_000;
const REREAD_MILLIS = 10_000;

/** @throws {StoreError}: nothing is left running then. */
export async function startRestrictions(settings: GatewayRestrictionSettings): Promise<GatewayRestrictions> {
  const { configuration, local, log } = settings;
  const { administrators } = configuration.restrictions;
  const feed = configuration.restrictions.feed ?? local?.origin ?? (configuration.redis ? 'redis' : 'store');
  if (local !== undefined && feed === local.origin) return keepLocal(local, administrators);
  const store = await SqliteRestrictionStore.open(`${configuration.store.file}-restrictions`);
  const set = new RestrictionSet({ administrators, read: (sequence) => store.read(sequence) });
  try {
    store.keepInForce(set);
    if (feed !== 'store') return await follow(feed, store, set, settings);
  } catch (error) {
    await store.close();
    throw error;
  }
  log.info({ restrictions: store.lastSequence() }, 'restrictions are taken from the store: `revoke --store` adds to it');
  if (configuration.replicas > 1)
    log.warn(
      'each replica has a store of restrictions of its own: `revoke --store` has to be said to all of them, or use a vault',
    );
  return { ...keepStore(store, set, administrators), stop: () => store.close() };
}

function keepLocal(
  { store, followers, administrators: its }: LocalRestrictions,
  administrators: readonly string[],
): GatewayRestrictions {
  const all = [...its, ...administrators];
  const set = new RestrictionSet({ administrators: all, read: (sequence) => store.read(sequence) });
  const end = store.keepInForce(set);
  const kept = keepStore(store, set, all);
  const leave = followers.addLocal('this process', () => kept.inForce.highWaterMark);
  return {
    ...kept,
    stop: async () => {
      leave();
      kept.end();
      end();
    },
  };
}

/** In force with the commit at the latest: whatever is acknowledged is in the set. */
function keepStore(
  store: RestrictionStore,
  set: RestrictionSet,
  administrators: readonly string[],
): Omit<GatewayRestrictions, 'stop'> & { end(): void } {
  set.reached(store.lastSequence());
  const end = store.subscribe((_, sequence) => set.reached(sequence));
  return {
    end,
    subscribe: (listener, onMany) => store.subscribe(listener, onMany),
    inForce: {
      find: (chain) => set.find(chain),
      get highWaterMark() {
        return set.highWaterMark;
      },
      isFresh: () => store.failure === undefined,
    },
    administrators,
    read: (id) => readById(store, id),
    trust: async () => {},
  };
}

async function follow(
  feed: string,
  store: SqliteRestrictionStore,
  set: RestrictionSet,
  settings: GatewayRestrictionSettings,
): Promise<GatewayRestrictions> {
  const { configuration, resolution, log } = settings;
  const { administrators, maxStaleSeconds } = configuration.restrictions;
  const { resolver, formerKeys } = resolution;
  const monotonic = () => performance.now();
  const authorsOf = ({ operators }: TrustConfiguration) => [...administrators, ...operators.map(({ did }) => did)];
  let authors = authorsOf(configuration.trust);
  const { source, stop } = await openFeed(feed, settings, monotonic);
  const follower: FollowedRestrictions = followRestrictions({
    source,
    store,
    keys: makeSignerKeys({ resolver, formerKeys, clockSkewMillis: CLOCK_SKEW_MILLIS }),
    authors: () => authors,
    maxStaleSeconds,
    monotonic,
    onState: (state, err) => {
      if (state === 'following') log.info({ feed }, 'following restrictions');
      else if (state === 'interrupted') log.warn({ feed, err }, 'restrictions not heard of: soon every request is denied');
      else
        log.error(
          { feed, err },
          'ALARM: a feed of restrictions that cannot be believed was refused; what is known stays in force',
        );
    },
    onMissing: (count) =>
      log.error({ feed, count }, 'ALARM: the feed has lost restrictions; they stay in force here, and should be posted again'),
  });
  return {
    subscribe: (listener, onMany) => store.subscribe(listener, onMany),
    inForce: {
      find: (chain) => set.find(chain),
      get highWaterMark() {
        return follower.highWaterMark;
      },
      isFresh: () => follower.isFresh(),
    },
    administrators,
    read: (id) => readById(store, id),
    trust: async (trust) => {
      const before = authors;
      authors = authorsOf(trust);
      if (before.length === authors.length && before.every((did) => authors.includes(did))) return;
      const late = sleep(REREAD_MILLIS, 'late', { ref: false });
      if ((await Promise.race([follower.reread(), late])) !== 'late') return;
      authors = before;
      throw new Error('the restrictions of the operators who are trusted now could not be read in time');
    },
    stop: async () => {
      follower.stop();
      await stop();
      await store.close();
    },
  };
}

function readById(store: RestrictionStore, id: string): Restriction | undefined {
  const kept = store.findById(id);
  return kept && reopenRestriction(kept.compact);
}

/** @param feed `redis`, or the origin of a vault */
async function openFeed(
  feed: string,
  { configuration, resolution, log, clock }: GatewayRestrictionSettings,
  monotonic: () => number,
): Promise<{ readonly source: FeedSource; stop(): Promise<void> }> {
  const { maxStaleSeconds } = configuration.restrictions;
  if (feed === 'redis' && configuration.redis) {
    const { startRedisFeed } = await import('./shared-restrictions.ts');
    return startRedisFeed({ configuration: configuration.redis, maxStaleSeconds, log, clock });
  }
  const fetch = resolution.fetchFeed(feedWaitSeconds(maxStaleSeconds));
  return { source: httpsFeed({ origin: feed, fetch, monotonic }), stop: async () => {} };
}

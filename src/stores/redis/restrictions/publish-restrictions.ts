// The vault in Redis: it writes what it keeps, says so with each restriction and twice a second, and hears who has it in force.

import { setTimeout as sleep } from 'node:timers/promises';
import type { RestrictionStore } from '../../../restrictions/restriction-store.ts';
import type { RedisConnection } from '../connection.ts';
import { hearPresence, NAMED_MILLIS } from './hear-presence.ts';
import { PublishedSnapshot, type PublishSnapshotSettings } from './publish-snapshot.ts';
import { PublishedStream } from './publish-stream.ts';
import type { RestrictionKeys } from './statements.ts';

export interface PublishRestrictionsSettings {
  readonly connection: RedisConnection;
  /** Of its own, since one that listens says nothing else. */
  readonly listening: RedisConnection;
  readonly keys: RestrictionKeys;
  readonly store: RestrictionStore;
  readonly makeSegment: PublishSnapshotSettings['makeSegment'];
  readonly followers: {
    /** @param liveSeconds from now */
    report(name: string, applied: number, liveSeconds: number): void;
    forget(name: string): void;
    /** There may be some that are not known yet, for so many seconds. */
    expectOthers(seconds: number): void;
  };
  /** `other`: a second vault speaks in this Redis. Told once for each change. */
  readonly onState: (state: 'publishing' | 'interrupted' | 'other', error?: unknown) => void;
  /** New gateways have to wait, or cannot catch up; it is tried again. Told once for each change. */
  readonly onSnapshotError: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

const STATEMENT_MILLIS = 500;
const RETRY_MILLIS = 100;
const SNAPSHOT_MILLIS = 30_000;
const SNAPSHOT_RETRY_MILLIS = 2000;
/** The bound of a gateway that nobody knows, where its configuration says nothing. */
export const USUAL_BOUND_SECONDS = 5;

/** @throws {RedisError} @returns to be called to end it */
export async function publishRestrictions(settings: PublishRestrictionsSettings): Promise<() => Promise<void>> {
  const { connection, listening, keys, store, followers, onState, onSnapshotError, clock, monotonic } = settings;
  const ended = new AbortController();
  let wake = () => {};
  let news = true;
  const ring = () => {
    news = true;
    wake();
  };
  const presence = await hearPresence({
    connection: listening,
    keys,
    epoch: store.epoch,
    report: (name, applied, seconds) => followers.report(name, applied, seconds),
    forget: (name) => followers.forget(name),
    onChange: ring,
    clock,
    monotonic,
  });
  const stream = new PublishedStream({ connection, keys, store, named: () => presence.named, clock });
  const snapshot = new PublishedSnapshot(settings);
  const before = await stream.before();
  // Gateways may rely on what was said before the vault stopped, and are waited for although they have not said anything yet. The
  // statement that is there need not be the last one: there may be others.
  if (before) presence.remember(before.followers);
  const bounds = (before?.followers ?? []).map(([, bound]) => bound);
  followers.expectOthers(Math.max(USUAL_BOUND_SECONDS, ...bounds) + NAMED_MILLIS / 1000);
  let state: string | undefined;
  const tell = (now: 'publishing' | 'interrupted' | 'other', error?: unknown) => {
    if (state !== now) onState(now, error);
    state = now;
  };
  let lost = true;
  let isSnapshotLate = false;
  const publish = async () => {
    while (!ended.signal.aborted) {
      news = false;
      try {
        const { intact, other } = await stream.publish(snapshot.covered);
        lost ||= !intact;
        tell(other ? 'other' : 'publishing');
        if (!intact) await pause(RETRY_MILLIS);
        else if (!news)
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, STATEMENT_MILLIS);
            wake = () => {
              clearTimeout(timer);
              resolve();
            };
          });
      } catch (error) {
        if (ended.signal.aborted) return;
        lost = true;
        tell('interrupted', error);
        await pause(RETRY_MILLIS);
      }
    }
  };
  const keepSnapshot = async () => {
    for (let lookedAt = Number.NEGATIVE_INFINITY; !ended.signal.aborted; await pause(RETRY_MILLIS)) {
      const due = lost || monotonic() - lookedAt >= SNAPSHOT_MILLIS;
      if (!due) continue;
      lookedAt = monotonic();
      lost = false;
      try {
        await snapshot.update(() => ended.signal.aborted);
        isSnapshotLate = false;
      } catch (error) {
        if (!isSnapshotLate && !ended.signal.aborted) onSnapshotError(error);
        isSnapshotLate = true;
        lost = true;
        await pause(SNAPSHOT_RETRY_MILLIS);
      }
    }
  };
  const pause = (millis: number) => sleep(millis, undefined, { signal: ended.signal }).catch(() => {});
  const unsubscribe = store.subscribe(ring);
  const running = Promise.all([publish(), keepSnapshot()]);
  return async () => {
    unsubscribe();
    presence.stop();
    ended.abort();
    wake();
    await running;
  };
}

// How far this gateway is, told to the vault with each change and twice a second. Nothing is kept in Redis: what is lost is said again.

import type { FeedQuestion } from '../../../restrictions/restriction-feed.ts';
import type { RedisConnection } from '../connection.ts';
import type { RestrictionKeys } from './statements.ts';

export interface AnnounceSettings {
  readonly connection: RedisConnection;
  readonly keys: RestrictionKeys;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

export interface AnnouncedPresence {
  report(question: FeedQuestion): void;
  /** The vault does not know that this gateway is there: it is told at once. */
  repeat(): void;
  /** Says that nothing is answered here any more. */
  stop(): Promise<void>;
}

export const HEARTBEAT_MILLIS = 500;
const SAY_MILLIS = 2000;
/** Well within what the vault allows between its clock and this one. */
const MOST_AHEAD_MILLIS = 10_000;

export function announcePresence({ connection, keys, clock }: AnnounceSettings): AnnouncedPresence {
  let known: FeedQuestion | undefined;
  let saidAt = 0;
  const say = async (gone: boolean) => {
    if (known?.epoch === undefined) return;
    const { follower: name, epoch, applied, bound } = known;
    // Never the same time twice, but of a clock that was ahead and was put right nothing is left: the vault would not believe it.
    saidAt = Math.min(Math.max(saidAt + 1, clock()), clock() + MOST_AHEAD_MILLIS);
    const sealed = keys.seal('presence', { name, epoch, applied, bound, at: saidAt, gone });
    // Whoever does not hear it waits a little longer, or denies.
    await connection.run((client) => client.publish(keys.key('presence'), sealed), SAY_MILLIS).catch(() => {});
  };
  const heartbeat = setInterval(() => void say(false), HEARTBEAT_MILLIS).unref();
  return {
    report: (question) => {
      const changed =
        known?.applied !== question.applied || known.epoch !== question.epoch || known.follower !== question.follower;
      known = question;
      if (changed) void say(false);
    },
    repeat: () => void say(false),
    stop: async () => {
      clearInterval(heartbeat);
      await say(true);
    },
  };
}

// Who of the gateways is there, and how far. The vault names those that it hears in its statements, and no other gateway relies on
// them; so it knows whom to wait for, whatever becomes of messages on their way.

import type { RedisConnection } from '../connection.ts';
import type { HeadStatement, Presence, RestrictionKeys } from './statements.ts';

export interface HearSettings {
  /** Its own: one that listens says nothing else. */
  readonly connection: RedisConnection;
  readonly keys: RestrictionKeys;
  readonly epoch: string;
  /** Counts as live for so many seconds from now. */
  readonly report: (name: string, applied: number, liveSeconds: number) => void;
  readonly forget: (name: string) => void;
  /** Others are named now. */
  readonly onChange: () => void;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

export interface HeardPresence {
  readonly named: HeadStatement['followers'];
  /** As a statement of before named them: they may rely on it yet. */
  remember(followers: HeadStatement['followers']): void;
  stop(): void;
}

interface Follower {
  readonly bound: number;
  readonly at: number;
  readonly heardAt: number;
}

/** One that was not heard of for this time is named no more; it relies on the last statement that did for no longer than its bound. */
export const NAMED_MILLIS = 2500;
const MOST = 1000;
/** Between the clocks of a gateway and of the vault. */
const SKEW_MILLIS = 30_000;
const SUBSCRIBE_MILLIS = 5000;

/** @throws {RedisError} when it cannot listen */
export async function hearPresence(settings: HearSettings): Promise<HeardPresence> {
  const { connection, keys, epoch, report, forget, onChange, clock, monotonic } = settings;
  const followers = new Map<string, Follower>();
  const channel = keys.key('presence');
  const hear = (sealed: string) => {
    const said = keys.open('presence', sealed);
    if (said === undefined || !isNews(said)) return;
    const { name, applied, bound, at, gone } = said;
    const known = followers.get(name);
    if (known === undefined && (gone || followers.size >= MOST)) return;
    if (gone) {
      // Its time stays known, so that nobody brings it back with what it said before.
      followers.set(name, { bound, at, heardAt: Number.NEGATIVE_INFINITY });
      forget(name);
    } else {
      followers.set(name, { bound, at, heardAt: monotonic() });
      report(name, applied, bound + NAMED_MILLIS / 1000);
    }
    if (gone || known === undefined || !isNamed(known)) onChange();
  };
  const isNews = ({ name, at, ...said }: Presence) =>
    said.epoch === epoch && at > (followers.get(name)?.at ?? 0) && Math.abs(clock() - at) <= SKEW_MILLIS;
  const isNamed = ({ heardAt }: Follower) => monotonic() - heardAt <= NAMED_MILLIS;
  await connection.run((client) => {
    client.on('message', (from: string, message: string) => {
      if (from === channel) hear(message);
    });
    return client.subscribe(channel);
  }, SUBSCRIBE_MILLIS);
  const forgetting = setInterval(() => {
    // Whatever it said is too old by then to be believed.
    for (const [name, { at }] of followers) if (clock() - at > 2 * SKEW_MILLIS) followers.delete(name);
  }, SKEW_MILLIS).unref();
  return {
    get named() {
      return [...followers]
        .filter(([, follower]) => isNamed(follower))
        .map(([name, { bound }]): [string, number] => [name, bound]);
    },
    remember: (before) => {
      for (const [name, bound] of before) {
        if (followers.has(name)) continue;
        followers.set(name, { bound, at: 0, heardAt: monotonic() });
        report(name, 0, bound + NAMED_MILLIS / 1000);
      }
    },
    stop: () => clearInterval(forgetting),
  };
}

// The feed of a vault over HTTPS: what it says is as old as its answer.

import type { FeedPage, FeedSource } from './feed-source.ts';
import { RefusedFeed } from './read-feed.ts';
import { feedSchema, feedUrl, type RestrictionFeed } from './restriction-feed.ts';

export interface HttpsFeedSettings {
  /** `https://vault.example` */
  readonly origin: string;
  /** Fetches below the origin, and gives up a while after the time that the feed may hold an answer back. */
  readonly fetch: (url: URL) => Promise<Buffer>;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

/** A vault that is back is not asked by all gateways at once. */
const MOST_PAUSE_MILLIS = 1000;

export function httpsFeed({ origin, fetch, monotonic }: HttpsFeedSettings): FeedSource {
  return {
    mostPauseMillis: MOST_PAUSE_MILLIS,
    ask: async (question): Promise<FeedPage> => {
      const askedAt = monotonic();
      const { waited, ...feed } = parseFeed(await fetch(feedUrl(origin, question)));
      return { ...feed, heardAt: askedAt + Math.min(waited, monotonic() - askedAt) };
    },
  };
}

function parseFeed(body: Buffer): RestrictionFeed {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw new RefusedFeed('it is not JSON');
  }
  const result = feedSchema.safeParse(value);
  if (!result.success) throw new RefusedFeed(`it does not have its form: ${result.error.issues[0]?.path.map(String).join('.')}`);
  return result.data;
}

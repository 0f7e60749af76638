// Where a gateway learns of restrictions from: a vault over HTTPS (https-feed.ts), or what a vault puts into a store that gateways share.

import type { FeedSegment } from './feed-segment.ts';
import type { FeedQuestion, RestrictionFeed } from './restriction-feed.ts';

interface Heard {
  /** Another one: a new history, whose rows come with the next answer. */
  readonly epoch: string;
  /** Sequence of the newest restriction there is. */
  readonly last: number;
  /** Milliseconds of the clock that is never set: what the vault says here it said no earlier than then. */
  readonly heardAt: number;
}

/** Restrictions to be verified one by one. */
export type FeedPage = Heard & Pick<RestrictionFeed, 'restrictions' | 'head'>;

/** A stretch of the feed that the source vouches for. */
export interface VouchedSegment extends Heard {
  readonly segment: FeedSegment;
}

export interface FeedSource {
  /** Longest pause in milliseconds between two questions that failed. */
  readonly mostPauseMillis: number;
  /** Holds the answer back while there is no news. Rejects with `RefusedFeed` for one that cannot be believed. */
  ask(question: FeedQuestion): Promise<FeedPage | VouchedSegment>;
}

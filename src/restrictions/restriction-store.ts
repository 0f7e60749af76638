// Where restrictions are kept: append-only, durable before they are acknowledged, each with the next number.

import type { FeedPlace, FeedSegment } from './feed-segment.ts';
import type { RestrictionSet } from './restriction-set.ts';
import type { Restriction } from './verify-restriction.ts';

export interface KeptRestriction {
  /** From 1, without gaps. */
  readonly sequence: number;
  readonly compact: string;
}

/** `repeated`: it was there already. `taken`: another one has its id. */
export type Appended =
  | { readonly outcome: 'added' | 'repeated'; readonly sequence: number }
  | { readonly outcome: 'taken'; readonly sequence: number };

/** How far a copy has read the feed that it follows. */
export interface FeedPosition {
  readonly epoch: string;
  readonly sequence: number;
  /** What {@link nextHead} makes of everything up to the sequence. */
  readonly head: string;
  /** Digest of the authors whose restrictions were kept; those of others were passed over. */
  readonly authors: string;
}

export interface RestrictionStore {
  /** Names this store and its history: another one after a restore from a backup, so that followers read everything again. */
  readonly epoch: string;
  /** Why nothing can be learnt from the store any more; `undefined` while it works. */
  readonly failure: Error | undefined;
  /** Resolves when all are durable and every listener has been told of them. */
  append(restrictions: readonly Restriction[], position?: FeedPosition): Promise<readonly Appended[]>;
  /**
   * Takes over a stretch of a feed that someone vouches for; what is known of it stays as it is. In force when it resolves. Where the
   * copy is the feed itself up to there, it is kept later than that, and so is what is appended meanwhile; `failure` tells of trouble.
   * @param from how far the feed was read: the start of the segment, or a place in it
   * @throws {RefusedFeed} for one that does not go on from there
   */
  import(segment: FeedSegment, from: FeedPlace, position: FeedPosition): Promise<void>;
  lastSequence(): number;
  read(sequence: number): Restriction | undefined;
  findById(id: string): KeptRestriction | undefined;
  /** In order, at most `limit`. */
  after(sequence: number, limit: number): readonly KeptRestriction[];
  /** What {@link nextHead} makes of everything up to a sequence; `undefined` for one that was not given yet. */
  headAt(sequence: number): string | undefined;
  /** The position that was last kept with an append. */
  position(): FeedPosition | undefined;
  /** The longest time in seconds for which a follower ever relied on an answer of this store's; 0 where there was none. */
  readonly longestBound: number;
  /** Durable when it resolves, so that who serves this store after a restart knows what may be relied on. */
  keepBound(seconds: number): Promise<void>;
  /** Puts everything in force that is kept, and from then on what comes. @returns to be called to end it */
  keepInForce(set: RestrictionSet): () => void;
  /**
   * Called in order with each restriction that was kept, by this process or by another one.
   * @param onMany called once, instead, when a segment of any size was taken over; without it each of them is told
   * @returns to be called to end it
   */
  subscribe(listener: (restriction: Restriction, sequence: number) => void, onMany?: () => void): () => void;
}

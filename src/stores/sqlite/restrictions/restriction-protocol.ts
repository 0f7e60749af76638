// What the store of restrictions and the thread that writes it say to each other.

import type { FeedPlace, FeedSegment, SegmentRow } from '../../../restrictions/feed-segment.ts';
import type { Appended, FeedPosition } from '../../../restrictions/restriction-store.ts';

/** A stretch of a feed, to be taken over as it is. */
export interface SegmentToImport {
  readonly segment: FeedSegment;
  /** How far the feed was read. */
  readonly from: FeedPlace;
  /** Its numbers are in use here already: each row gets the one that it has in the feed, or nothing is written. */
  readonly sameNumbers: boolean;
}

export interface RestrictionBatch {
  readonly rows: readonly SegmentRow[] | SegmentToImport;
  readonly position: FeedPosition | undefined;
  /** Seconds, see `RestrictionStore.longestBound`. */
  readonly bound?: number;
}

export type ToRestrictionWriter = { readonly batches: readonly RestrictionBatch[] } | { readonly close: true };

export type FromRestrictionWriter =
  | { readonly ready: true }
  | { readonly failed: string }
  /** Outcomes of each batch, all durable. */
  | { readonly written: readonly (readonly Appended[])[] }
  /** `lie`: what was to be imported is not what it was said to be. */
  | { readonly refused: string; readonly lie: boolean }
  /** Found after the start: nothing more is written, and what is in force may not be all. */
  | { readonly damaged: string };

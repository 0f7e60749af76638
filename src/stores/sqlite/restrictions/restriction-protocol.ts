// What the store of restrictions and the thread that writes it say to each other.

import type { Appended, FeedPosition } from '../../../restrictions/restriction-store.ts';

export interface RestrictionRow {
  readonly id: string;
  readonly compact: string;
  /** The name of a revocation and what it covers (restrictable-chain.ts, revocation-table.ts); `undefined` for other effects. */
  readonly revokes: { readonly entry: Uint8Array; readonly before: number } | undefined;
}

export interface RestrictionBatch {
  readonly rows: readonly RestrictionRow[];
  readonly position: FeedPosition | undefined;
}

export type ToRestrictionWriter = { readonly batches: readonly RestrictionBatch[] } | { readonly close: true };

export type FromRestrictionWriter =
  | { readonly ready: true }
  | { readonly failed: string }
  /** Outcomes of each batch, all durable. */
  | { readonly written: readonly (readonly Appended[])[] }
  | { readonly refused: string }
  /** Found after the start: nothing more is written, and what is in force may not be all. */
  | { readonly damaged: string };

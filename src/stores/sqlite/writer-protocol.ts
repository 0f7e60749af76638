// What the store's two threads say to each other: batches one way, acknowledgements the other.

/** Parallel arrays, since one flat message costs less to pass on than an object for each decision. */
export interface Batch {
  readonly id: number;
  readonly records: readonly string[];
  /** Nonces to keep, each with its key's thumbprint and the end of its window in milliseconds since the epoch. */
  readonly entries: readonly string[];
  readonly jkts: readonly string[];
  readonly retainUntils: readonly number[];
}

export type ToWriter = { readonly batch: Batch } | { readonly close: true };

export type FromWriter =
  | {
      readonly ready: true;
      readonly forgottenThrough: number;
      readonly entries: string[];
      readonly jkts: string[];
      readonly retainUntils: number[];
    }
  | { readonly failed: string }
  | { readonly committed: number }
  | { readonly refused: number; readonly cause: string }
  | { readonly closed: true };

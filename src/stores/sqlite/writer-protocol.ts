// What the store's two threads say to each other: batches one way, acknowledgements the other.

/** Parallel arrays, an element for each decision: one flat message costs less to pass on than an object for each. */
export interface Batch {
  readonly id: number;
  readonly records: readonly string[];
  /** The nonce that the decision took, its key's thumbprint, and the end of its window in milliseconds since the epoch; or null. */
  readonly nonces: readonly (string | null)[];
  readonly jkts: readonly (string | null)[];
  readonly retainUntils: readonly (number | null)[];
}

export type ToWriter = { readonly batch: Batch } | { readonly close: true };

export interface LoadedNonces {
  /** Milliseconds since the epoch through which nonces were let go of. */
  readonly forgottenThrough: number;
  /** Seconds since the epoch at which the store was made. */
  readonly bornAt: number;
  readonly nonces: readonly { readonly entry: string; readonly jkt: string; readonly retainUntil: number }[];
}

export type FromWriter =
  | { readonly ready: LoadedNonces }
  | { readonly failed: string }
  | { readonly committed: number }
  | { readonly refused: number; readonly cause: string };

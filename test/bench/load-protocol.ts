// What the bench, its load generator and the generator's signing thread say to each other.

/** The requests of one batch: one POST repeated, each with a fresh signature or all with the same bearer token. */
export interface BatchOrder {
  readonly path: string;
  readonly body: Uint8Array;
  readonly count: number;
  readonly credential: { readonly bearer: string } | SigningOrder;
}

export interface SigningOrder {
  /** Private JWK as JSON. */
  readonly key: string;
  /** Compact tokens with a blank between them, root first. */
  readonly capability: string;
  readonly lifetimeSeconds: number;
}

/** Requests one after another in one buffer, each ending where `ends` says. */
export interface SignedBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly ends: Uint32Array<ArrayBuffer>;
}

export interface RunOrder {
  readonly port: number;
  readonly connections: number;
  /** Load that is not measured, before the interval that is. */
  readonly warmupMillis: number;
  /** The interval ends here, or earlier when the batch is used up. */
  readonly millis: number;
  /** Whose CPU time to read at both ends of the interval. */
  readonly pids: readonly number[];
}

export interface RunResult {
  readonly decisions: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** User and system time in microseconds that each of `pids` used, in their order. */
  readonly cpuMicros: readonly number[];
}

export type ToGenerator = { readonly prepare: BatchOrder } | { readonly run: RunOrder };
export type FromGenerator =
  | { readonly prepared: number }
  | { readonly ran: RunResult }
  /** An answer other than 200, or none: what was measured is worth nothing. */
  | { readonly voided: string };

// What the bench, its load generator and the generator's signing thread say to each other.

import type { FleetSettings } from './vault/fleet.ts';

/** The requests of one batch: one POST repeated, each with a fresh signature or all with the same bearer token. */
export interface BatchOrder {
  readonly path: string;
  readonly body: Uint8Array;
  readonly count: number;
  readonly credential: { readonly bearer: string } | SigningOrder | FleetOrder;
}

export interface SigningOrder {
  /** Private JWK as JSON. */
  readonly key: string;
  /** Compact tokens with a blank between them, root first. */
  readonly capability: string;
  readonly lifetimeSeconds: number;
}

/** Each request by another agent, under its own key and with a root token of its own. */
export interface FleetOrder {
  readonly fleet: FleetSettings;
  /** Number of the agent of each request. */
  readonly agents: Uint32Array;
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
  /**
   * Open loop: so many requests are sent in a second, whether or not those before are answered. Without it, each connection sends
   * its next one when the last is answered.
   */
  readonly perSecond?: number;
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
  /** Open loop: by how much the generator itself was behind its own plan, p99 in milliseconds; not part of the latencies. */
  readonly lateP99Ms?: number;
}

export type ToGenerator = { readonly prepare: BatchOrder } | { readonly run: RunOrder };
export type FromGenerator =
  | { readonly prepared: number }
  | { readonly ran: RunResult }
  /** An answer other than 200, or none: what was measured is worth nothing. */
  | { readonly voided: string };

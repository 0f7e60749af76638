// What a run and its traffic thread say to each other.

import type { Holder } from '../attacks/attacker.ts';

/** All but `fresh` are attacks; a replay is the bytes of a fresh one once more, the others may never be allowed. */
export type Kind = 'fresh' | 'replay' | 'tampered' | 'expired' | 'aged' | 'early' | 'stranger';

export interface TrafficAgent {
  readonly name: string;
  readonly holder: Holder;
  readonly token: string;
  /** Share of the fresh requests that are its own. */
  readonly weight: number;
}

export interface TrafficSettings {
  readonly agents: readonly TrafficAgent[];
  /** Of an operator that nobody trusts. */
  readonly stranger: TrafficAgent;
}

/** One request and what became of it. Times are milliseconds since the epoch, never set back within a run. */
export interface Sent {
  /** The nonce, which also stands in the body: copies of a request share it. */
  readonly id: string;
  readonly kind: Kind;
  readonly agent: string;
  /** Which of the targets it went to. */
  readonly target: number;
  readonly sentAt: number;
  readonly tookMillis: number;
  /** 0: no answer. */
  readonly status: number;
  readonly reason: string | undefined;
}

/** A request that reached the upstream. */
export interface Arrival {
  readonly id: string;
  readonly decisionId: string;
  readonly at: number;
}

export interface Flow {
  /** Ports of this machine. */
  readonly targets: readonly number[];
  readonly perSecond: number;
}

export type ToTraffic = { readonly flow: Flow } | { readonly end: true };
export type FromTraffic =
  | { readonly upstreamPort: number }
  | { readonly sent: readonly Sent[]; readonly arrivals: readonly Arrival[] }
  | { readonly ended: true };

// What a check answers: passed, with a proof that the next check takes as its argument, or denied, with a reason.
// A denial is a value. A throw means that no conclusion was reached, and becomes a deny with 503 (profile section 4).

import type { Reason } from './reason.ts';

export interface Denied {
  readonly denied: true;
  readonly reason: Reason;
  /** One sentence for the caller: what was wrong and what to send instead. Never repeats a credential. */
  readonly detail: string;
  /** What a verified request asked for and is not given, where that is why; for the record. */
  readonly asked?: AskedAccess;
  /** The restriction that is why, for the record. */
  readonly restriction?: DecidingRestriction;
  /** What stood in the way inside, for the log and never for the caller. */
  readonly cause?: unknown;
}

export interface DecidingRestriction {
  /** Absent where its record could not be read. */
  readonly id: string | undefined;
  /** The sequence everything up to which was in force. */
  readonly highWaterMark: number;
}

/** What a request asks for, in the words of a capability. */
export interface AskedAccess {
  readonly action: string;
  /** What it does besides; absent where that is nothing. */
  readonly also?: readonly string[] | undefined;
  /** `provider/model`, by the name that capabilities use; absent where the operation has no model. */
  readonly model: string | undefined;
  readonly tools: readonly string[];
}

export interface Passed<Proof> {
  readonly denied: false;
  readonly proof: Proof;
}

export type Outcome<Proof> = Passed<Proof> | Denied;

export function passed<Proof>(proof: Proof): Passed<Proof> {
  return { denied: false, proof };
}

export function denied(reason: Reason, detail: string, cause?: unknown): Denied {
  return cause === undefined ? { denied: true, reason, detail } : { denied: true, reason, detail, cause };
}

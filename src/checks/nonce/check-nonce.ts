// Row 9 of profile section 4: the nonce is new for this key. Only now, after the signature, so that strangers cannot
// fill the store. A Check that Envoy repeats (same stream, same signature, within two seconds) is not a replay.

import { hash } from 'node:crypto';
import { z } from 'zod';
import { denied, type Outcome, passed } from '../../outcome.ts';
import type { InboundRequest } from '../../request.ts';
import type { VerifiedBody } from '../digest/check-digest.ts';
import type { VerifiedSignature } from '../signature/check-signature.ts';

export const nonceConfiguration = z.strictObject({
  perKeyLimit: z
    .int()
    .min(1)
    .default(100_000)
    .describe(
      'most nonces of one key that are kept at a time, and a quarter of the most of all keys below one root, so that one agent cannot fill the memory of all; more answer 429',
    ),
});
export type NonceConfiguration = z.infer<typeof nonceConfiguration>;

export interface NonceUse {
  /** Name of (key, nonce), see {@link nonceEntry}. */
  readonly entry: string;
  readonly jkt: string;
  /** Of the key whose holder answers for that one; the same key where it is absent. */
  readonly rootJkt?: string;
  /** Seconds since the epoch at which the signature says it was made. */
  readonly created: number;
  /** Milliseconds since the epoch until which the signature could be accepted. */
  readonly retainUntil: number;
  /** What tells a repeated Check from a replay. */
  readonly streamId: string;
  readonly signature: string;
  readonly decisionId: string;
}

/** What must be on disk before the answer leaves, so that a nonce stays taken after a restart. */
export type NonceToKeep = Pick<NonceUse, 'entry' | 'jkt' | 'retainUntil'>;

/**
 * `first`: never seen and now taken. `repeated`: the Check that took it, asked again; `decisionId` is the first one's.
 * `forgotten`: so old that the store cannot tell any more. `quota`: the key keeps too many.
 */
export type NonceVerdict = 'first' | 'replayed' | 'forgotten' | 'quota' | { readonly repeated: string };

/** Holds each (key, nonce) once for as long as a signature with it could be accepted. A throw is "could not tell". */
export interface NonceStore {
  consume(use: NonceUse): NonceVerdict | Promise<NonceVerdict>;
}

declare const consumed: unique symbol;

export interface ConsumedNonce {
  readonly [consumed]: true;
  readonly entry: string;
  readonly retainUntil: number;
  /** The id of the decision: a new one, or the first one's where Envoy repeats a Check. */
  readonly decisionId: string;
  /** Whether this Check repeats one that was answered already. */
  readonly repeated: boolean;
}

export interface NonceCheckSettings {
  readonly store: NonceStore;
  readonly clockSkewSeconds: number;
  readonly newDecisionId: () => string;
}

export async function checkNonce(
  request: InboundRequest,
  signature: VerifiedSignature,
  _body: VerifiedBody,
  settings: NonceCheckSettings,
): Promise<Outcome<ConsumedNonce>> {
  const { jkt, rootJkt, created } = signature;
  const entry = nonceEntry(jkt, signature.nonce);
  const retainUntil = (signature.expires + settings.clockSkewSeconds) * 1000;
  const decisionId = settings.newDecisionId();
  const { streamId } = request;
  const use = { entry, jkt, rootJkt, created, retainUntil, streamId, signature: signature.signature, decisionId };
  const verdict = await settings.store.consume(use);
  if (typeof verdict === 'object')
    return passed({ entry, retainUntil, decisionId: verdict.repeated, repeated: true } as ConsumedNonce);
  switch (verdict) {
    case 'first':
      return passed({ entry, retainUntil, decisionId, repeated: false } as ConsumedNonce);
    case 'quota':
      return denied(
        'nonce-quota',
        'This key, or all keys below one root, sent too many requests within the lifetime of their signatures: slow down.',
      );
    case 'forgotten':
      return denied('signature-expired', 'The signature is older than what this gateway remembers: sign the request again.');
    case 'replayed':
      return denied('nonce-replayed', 'This request was seen before: every attempt needs a new nonce and signature.');
  }
}

/** A fixed-size name of (key, nonce): memory does not grow with what a client chooses to send. */
export function nonceEntry(jkt: string, nonce: string): string {
  return hash('sha256', `${jkt}.${nonce}`, 'base64url');
}

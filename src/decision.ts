// A decision and what it takes to permit. `permit` asks for the proof of every check, and each proof's type carries a brand
// that only its check can make: a wrong order, a forgotten check or an ignored outcome does not compile.

import type { AttestedKey } from './checks/attestation/check-attestation.ts';
import type { BudgetReservation } from './checks/budget/check-budget.ts';
import type { AllowedAccess } from './checks/capability/check-capability.ts';
import type { VerifiedChain } from './checks/chain/check-chain.ts';
import type { VerifiedBody } from './checks/digest/check-digest.ts';
import type { WellFormedRequest } from './checks/form/check-form.ts';
import type { KnownIdentity } from './checks/identity/check-identity.ts';
import type { ConsumedNonce } from './checks/nonce/check-nonce.ts';
import type { UnrestrictedChain } from './checks/restriction/check-restriction.ts';
import type { VerifiedSignature } from './checks/signature/check-signature.ts';
import type { ClaimedSignature } from './checks/signature/signature-input.ts';
import type { AskedAccess, DecidingRestriction, Denied } from './outcome.ts';
import type { Reason } from './reason.ts';

/** Every check's proof, in the order of the checks (profile section 4). */
export interface Clearance {
  readonly form: WellFormedRequest;
  readonly claimed: ClaimedSignature;
  readonly chain: VerifiedChain;
  readonly identity: KnownIdentity;
  readonly signature: VerifiedSignature;
  readonly body: VerifiedBody;
  readonly nonce: ConsumedNonce;
  readonly restriction: UnrestrictedChain;
  readonly attestation: AttestedKey;
  readonly access: AllowedAccess;
  readonly budget: BudgetReservation;
}

/** Checks of profile section 4 that this version does not make; the record names them. */
export const NOT_REQUIRED = ['policy'] as const;

export interface Permit {
  readonly effect: 'allow';
  readonly clearance: Clearance;
}

export interface Refusal {
  readonly effect: 'deny';
  readonly reason: Reason;
  readonly detail: string;
  readonly asked?: AskedAccess | undefined;
  readonly restriction?: DecidingRestriction | undefined;
  /** The proofs reached before the check that failed: what the record may state as fact. */
  readonly reached: Partial<Clearance>;
  /** What went wrong inside, for the log only. */
  readonly cause?: unknown;
}

export type Decision = Permit | Refusal;

/** @throws when a proof is missing all the same: types are erased, and a cast anywhere must not become a permit. */
export function permit(clearance: Clearance): Permit {
  for (const check of EVERY_CHECK) if (!clearance[check]) throw new Error(`no proof of ${check}`);
  return { effect: 'allow', clearance };
}

const EVERY_CHECK = [
  'form',
  'claimed',
  'chain',
  'identity',
  'signature',
  'body',
  'nonce',
  'restriction',
  'attestation',
  'access',
  'budget',
] as const satisfies readonly (keyof Clearance)[];

export function refuse({ reason, detail, asked, restriction, cause }: Denied, reached: Partial<Clearance>): Refusal {
  return { effect: 'deny', reason, detail, asked, restriction, reached, cause };
}

/** No conclusion was reached (profile section 4): denied, and nothing of the cause leaves the process. */
export function indeterminate(cause: unknown): Refusal {
  return {
    effect: 'deny',
    reason: 'indeterminate',
    detail: 'The gateway could not decide and therefore denied.',
    reached: {},
    cause,
  };
}

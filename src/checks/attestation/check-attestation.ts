// Row 11 of profile section 4: what runs the leaf's key is attested as highly as its capability demands.
// There is no verifier of Evidence yet, so every key stands at the level that its signature alone gives it.

import { type Denied, denied, type Outcome, passed } from '../../outcome.ts';
import type { VerifiedChain } from '../chain/check-chain.ts';
import type { UnrestrictedChain } from '../restriction/check-restriction.ts';
import type { VerifiedSignature } from '../signature/check-signature.ts';

/** Profile section 5: 1 self-attested, 2 runtime-signed, 3 TEE-verified. */
export type AttestationLevel = 1 | 2 | 3;

declare const attested: unique symbol;

export interface AttestedKey {
  readonly [attested]: true;
  readonly level: AttestationLevel;
}

const SELF_ATTESTED = { level: 1 } as AttestedKey;

export function checkAttestation(
  chain: VerifiedChain,
  _signature: VerifiedSignature,
  { narrowed, highWaterMark }: UnrestrictedChain,
): Outcome<AttestedKey> {
  for (const { id, details } of narrowed) {
    const demand = findDemand(details.attestation);
    if (demand !== undefined) return { ...demand, restriction: { id, highWaterMark } };
  }
  return findDemand(chain.details.attestation) ?? findDemand(chain.operator.ceiling?.attestation) ?? passed(SELF_ATTESTED);
}

function findDemand(level: number | undefined): Denied | undefined {
  if (level === undefined || level <= SELF_ATTESTED.level) return undefined;
  return denied(
    'attestation-required',
    `The capability demands attestation level ${level}; the key stands at level ${SELF_ATTESTED.level}.`,
  );
}

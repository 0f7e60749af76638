// Row 7 of profile section 4: the request verifies under the leaf's key, with the algorithm the capability binds to it.

import { signatureBase } from '../../crypto/signature-base.ts';
import { verifySignature } from '../../crypto/verify-signature.ts';
import { denied, type Outcome, passed } from '../../outcome.ts';
import type { InboundRequest } from '../../request.ts';
import type { VerifiedChain } from '../chain/check-chain.ts';
import type { KnownIdentity } from '../identity/check-identity.ts';
import type { ClaimedSignature } from './signature-input.ts';

declare const verified: unique symbol;

/** The covered components are as the holder of the leaf's key signed them. */
export interface VerifiedSignature {
  readonly [verified]: true;
  readonly jkt: string;
  /** Of the key that the chain's root is bound to: whoever has it can make further keys without end. */
  readonly rootJkt: string;
  readonly nonce: string;
  /** Seconds since the epoch. */
  readonly created: number;
  /** Seconds since the epoch after which the signature is not accepted, before skew. */
  readonly expires: number;
  /** The signature's bytes, base64: what tells a repeated Check from a replay. */
  readonly signature: string;
}

export async function checkSignature(
  request: InboundRequest,
  claimed: ClaimedSignature,
  chain: VerifiedChain,
  _identity: KnownIdentity,
): Promise<Outcome<VerifiedSignature>> {
  const result = signatureBase(request, claimed.components, claimed.signatureParams);
  // That every covered field is there once was row 3's to see.
  if ('missing' in result) throw new Error('a covered component is not in the request');
  if (!(await verifySignature(chain.key, chain.algorithm, result.base, claimed.signature))) {
    return denied('signature-invalid', 'The signature does not verify over the request as it arrived.');
  }
  const { nonce, created, expires } = claimed;
  return passed({
    jkt: chain.key.jkt,
    rootJkt: chain.links[0].jkt,
    nonce,
    created,
    expires,
    signature: claimed.signature.toString('base64'),
  } as unknown as VerifiedSignature);
}

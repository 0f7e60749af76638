// From a restriction as it came to one that its author signed. Whether the author has a say over a chain is looked at where the
// chain is known (restriction-set.ts), so that nothing has to be known of chains here.

import { decodeBase64url } from '../crypto/base64url.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { verifySignature } from '../crypto/verify-signature.ts';
import { claimsFrom, type RestrictionClaims, type UntrustedRestriction } from './restriction.ts';

declare const verified: unique symbol;

/** Its signature verified under a key of `by`. */
export interface Restriction extends RestrictionClaims {
  readonly [verified]: true;
  readonly compact: string;
}

/**
 * The key that a DID URL named at a moment (milliseconds since the epoch), under assertionMethod or capabilityInvocation;
 * `undefined` when it named none. Rejects with `UnavailableDid` when that cannot be told now.
 */
export type SignerKeys = (did: string, kid: string, moment: number) => Promise<PublicKey | undefined>;

/** @returns `undefined` when it does not verify. Rejects with `UnavailableDid` when that cannot be told now. */
export async function verifyRestriction(
  { compact, untrustedClaims, algorithm, signer, signingInput, signature }: UntrustedRestriction,
  keys: SignerKeys,
  moment: number,
): Promise<Restriction | undefined> {
  const key = 'key' in signer ? signer.key : await keys(untrustedClaims.by, signer.kid, moment);
  if (key?.algorithms.includes(algorithm) !== true) return undefined;
  if (!(await verifySignature(key, algorithm, signingInput, signature))) return undefined;
  return { ...untrustedClaims, compact } as Restriction;
}

/** Reads one that was verified before it was kept. @throws {RestrictionError} when it is not what was kept. */
export function reopenRestriction(compact: string): Restriction {
  return { ...claimsFrom(decodeBase64url(compact.split('.')[1] ?? '') ?? Buffer.alloc(0)), compact } as Restriction;
}

// Row 8 of profile section 4: the body is the one that was signed. Content-Digest itself is covered by the signature.

import { digestMatches } from '../../crypto/content-digest.ts';
import { denied, type Outcome, passed } from '../../outcome.ts';
import type { WellFormedRequest } from '../form/check-form.ts';
import type { VerifiedSignature } from '../signature/check-signature.ts';

declare const verified: unique symbol;

/** The body whose digest the signature covers; empty where the request has no content. */
export interface VerifiedBody {
  readonly [verified]: true;
  readonly bytes: Uint8Array;
}

export function checkDigest(wellFormed: WellFormedRequest, _signature: VerifiedSignature): Outcome<VerifiedBody> {
  const digests = wellFormed.untrustedContentDigest;
  const { body } = wellFormed.request;
  // That content-digest is covered when there is content was row 3's to see; without content there is nothing to bind.
  if (digests === undefined ? body.length > 0 : !digestMatches(digests, body)) {
    return denied(
      'digest-mismatch',
      'Content-Digest must hold a sha-256 or sha-512 digest of the body as sent, and no wrong one.',
    );
  }
  return passed({ bytes: body } as VerifiedBody);
}

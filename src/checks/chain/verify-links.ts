// The signatures of links (profile section 3): each verifies under the key of the token above it, offline.

import type { PublicKey } from '../../crypto/public-key.ts';
import { verifySignature } from '../../crypto/verify-signature.ts';
import { type ChainFault, type ChainForm, readAt } from '../../token/chain-form.ts';
import { bindKey } from '../../token/token-form.ts';

/** Whether the token is signed by this key, with the algorithm that its header names and the key is for. */
export function verifies({ header, signingInput, signature }: ChainForm[number], key: PublicKey): boolean | Promise<boolean> {
  if (!key.algorithms.includes(header.alg)) return false;
  return verifySignature(key, header.alg, Buffer.from(signingInput, 'latin1'), signature);
}

/**
 * From the top: a key is looked at only when the token that brings it has verified.
 * @returns the uppermost link that does not verify
 * @throws {TokenError} for a `cnf.jwk` that is no key
 */
export async function findUnsigned([root, ...links]: ChainForm): Promise<ChainFault | undefined> {
  let parent: ChainForm[number] = root;
  for (const [above, link] of links.entries()) {
    const token = parent;
    const { untrustedKey } = readAt(above, () => bindKey(token));
    if (!(await verifies(link, untrustedKey)))
      return { at: above + 1, why: 'does not verify under the key of the token above it' };
    parent = link;
  }
  return undefined;
}

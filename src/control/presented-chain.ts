// The chain that the holder of an issuer's key presents with a restriction: it shows that an operator of this vault gave the key a
// place in a chain. So far a chain is one root token.

import { verifySignature } from '../crypto/verify-signature.ts';
import type { RestrictableChain } from '../restrictions/restrictable-chain.ts';
import { parseRootToken, TokenError } from '../token/capability-token.ts';
import { findAssertionKey } from '../trust/operators.ts';
import { UnknownDid } from '../vault/did-document.ts';
import type { DidResolver } from '../vault/resolver.ts';

export interface PresentedChainSettings {
  readonly operators: () => readonly string[];
  readonly resolver: DidResolver;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** @returns a function that finds `undefined` for a chain that does not verify, and rejects with `UnavailableDid` */
export function makePresentedChainCheck({ operators, resolver, clock }: PresentedChainSettings) {
  return async ([compact = '', ...links]: readonly string[]): Promise<RestrictableChain | undefined> => {
    try {
      if (links.length > 0) return undefined;
      const { header, untrustedClaims: claims, untrustedKey } = parseRootToken(compact);
      const now = clock();
      if (!operators().includes(claims.iss) || claims.sub !== claims.iss || claims.exp * 1000 <= now) return undefined;
      const key = findAssertionKey(await resolver.current(claims.iss), header.kid, now)?.key;
      if (key?.algorithms.includes(header.alg) !== true) return undefined;
      const end = compact.lastIndexOf('.');
      const signature = Buffer.from(compact.slice(end + 1), 'base64url');
      if (!(await verifySignature(key, header.alg, Buffer.from(compact.slice(0, end)), signature))) return undefined;
      return {
        operator: { did: claims.iss },
        links: [{ agent: claims.client_id, jti: claims.jti, jkt: untrustedKey.jkt, iat: claims.iat }],
      };
    } catch (error) {
      if (error instanceof TokenError || error instanceof UnknownDid) return undefined;
      throw error;
    }
  };
}

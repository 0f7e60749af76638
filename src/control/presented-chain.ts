// The chain that the holder of an issuer's key presents with a restriction: it shows that an operator of this vault, or someone below
// it, gave the key a place in a chain.

import { findUntimely, timesOf } from '../checks/chain/chain-times.ts';
import { findUnsigned } from '../checks/chain/verify-links.ts';
import { verifyRoot } from '../checks/chain/verify-root.ts';
import type { RestrictableChain } from '../restrictions/restrictable-chain.ts';
import { findChainFault, readChainForm } from '../token/chain-form.ts';
import { TokenError } from '../token/token-form.ts';
import { UnavailableDid } from '../vault/did-document.ts';
import type { DidResolver } from '../vault/resolver.ts';

export interface PresentedChain extends RestrictableChain {
  /** For each link, how many more may stand below it. */
  readonly room: readonly number[];
}

export interface PresentedChainSettings {
  readonly operators: () => readonly string[];
  readonly resolver: DidResolver;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

const CLOCK_SKEW_SECONDS = 30;

/** @returns a function that finds `undefined` for a chain that does not verify, and rejects with `UnavailableDid` */
export function makePresentedChainCheck({ operators, resolver, clock }: PresentedChainSettings) {
  return async ([root = '', ...links]: readonly string[]): Promise<PresentedChain | undefined> => {
    try {
      const chain = readChainForm([root, ...links]);
      const now = clock();
      if (findChainFault(chain) !== undefined || findUntimely(timesOf(chain), CLOCK_SKEW_SECONDS, now) !== undefined)
        return undefined;
      const trusted = new Map(operators().map((did) => [did, { did, vouchesForAgents: false, ceiling: undefined }]));
      const issued = await verifyRoot(chain[0], { operators: trusted, resolver }, now);
      if (issued.denied) {
        if (issued.reason !== 'identity-unavailable') return undefined;
        throw new UnavailableDid('the DID of the operator cannot be resolved now', { cause: issued.cause });
      }
      if ((await findUnsigned(chain)) !== undefined) return undefined;
      return {
        operator: { did: issued.proof.operator.did },
        room: chain.map(({ untrustedClaims: { del_depth, del_max_depth } }) => del_max_depth - del_depth),
        links: chain.map(({ untrustedClaims: { client_id, jti, iat }, untrustedJkt }) => ({
          agent: client_id,
          jti,
          jkt: untrustedJkt,
          iat,
        })),
      };
    } catch (error) {
      if (error instanceof TokenError) return undefined;
      throw error;
    }
  };
}

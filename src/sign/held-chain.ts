// A chain together with the key that its last token is bound to: what can sign requests, and mint links below itself (profile
// section 3). Nothing of it leaves memory but the tokens.

import { generatePrivateKey, type PrivateKey } from '../crypto/private-key.ts';
import type { AuthorizationDetails } from '../token/authorization-details.ts';
import { type ChainForm, findChainFault, readChainForm, tokenName } from '../token/chain-form.ts';
import { readLinkForm } from '../token/link-token.ts';
import { mintLink } from '../token/mint-link.ts';
import { bindKey, TokenError } from '../token/token-form.ts';
import type { SigningCredentials } from './sign-request.ts';

export interface HeldChain extends SigningCredentials {
  /** The last token. */
  readonly leaf: ChainForm[number];
  /** Milliseconds since the epoch. No token below another one outlives it, so the leaf says when the chain ends. */
  readonly expiresAt: number;
}

/** What a link of the same agent's own says that its parent does not. */
export interface LinkTerms {
  readonly lifetimeSeconds: number;
  readonly sid?: string | undefined;
  readonly task?: string | undefined;
  readonly details?: AuthorizationDetails | undefined;
}

/** @throws {TokenError} for a chain that does not hold, or that was issued to another key */
export function holdChain(key: PrivateKey, tokens: readonly [string, ...string[]]): HeldChain {
  const form = readChainForm(tokens);
  const fault = findChainFault(form);
  if (fault !== undefined) throw new TokenError(`${tokenName(fault.at)} ${fault.why}`);
  const leaf = form.at(-1) ?? form[0];
  const { untrustedKey, algorithm } = bindKey(leaf);
  if (untrustedKey.jkt !== key.publicKey.jkt || algorithm !== key.algorithm)
    throw new TokenError('was issued to another key than sign.key');
  return { key, chain: tokens, leaf, expiresAt: leaf.untrustedClaims.exp * 1000 };
}

/** @returns how many links may stand below it */
export function roomBelow({ leaf }: HeldChain): number {
  return leaf.untrustedClaims.del_max_depth - leaf.untrustedClaims.del_depth;
}

/**
 * A link to a fresh key of the same agent.
 * @param now milliseconds since the epoch
 * @throws {TokenError} where no gateway would accept it
 */
export async function openLink(above: HeldChain, terms: LinkTerms, now: number): Promise<HeldChain> {
  const { client_id, authorization_details } = above.leaf.untrustedClaims;
  const key = generatePrivateKey('Ed25519');
  const link = await mintLink({
    parent: above.leaf.compact,
    parentKey: above.key,
    agent: client_id,
    key: key.publicKey,
    algorithm: key.algorithm,
    issuedAt: Math.floor(now / 1000),
    ...terms,
    details: terms.details ?? authorization_details[0],
  });
  const leaf = readLinkForm(link);
  return { key, chain: [...above.chain, link], leaf, expiresAt: leaf.untrustedClaims.exp * 1000 };
}

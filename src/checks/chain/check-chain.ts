// Row 5 of profile section 4: the capability chain holds. So far a chain is one root token; a link is refused.
// A chain that held is kept by its field value, so that a later request pays for no signature but its own;
// its times are looked at every time.

import { hash } from 'node:crypto';
import { compactVerify } from 'jose';
import { z } from 'zod';
import type { Algorithm, PublicKey } from '../../crypto/public-key.ts';
import { denied, type Outcome, passed } from '../../outcome.ts';
import type { AuthorizationDetails } from '../../token/authorization-details.ts';
import { parseRootToken, type RootClaims, TokenError, type UntrustedToken } from '../../token/capability-token.ts';
import type { TrustedOperator, TrustedOperators } from '../../trust/operators.ts';
import type { WellFormedRequest } from '../form/check-form.ts';
import type { ClaimedSignature } from '../signature/signature-input.ts';

export const chainConfiguration = z.strictObject({
  rootLifetimeDays: z.int().min(1).max(366).default(90).describe('longest lifetime of a root token that is accepted'),
  cacheEntries: z.int().min(0).max(1_000_000).default(10_000).describe('verified chains kept in memory'),
});
export type ChainConfiguration = z.infer<typeof chainConfiguration>;

declare const verified: unique symbol;

/** A chain whose every token verified under a trusted operator; its times held when it was last looked at. */
export interface VerifiedChain {
  readonly [verified]: true;
  readonly operator: TrustedOperator;
  readonly agent: string;
  readonly claims: RootClaims;
  readonly details: AuthorizationDetails;
  /** The key that signs requests under this chain, and the one algorithm it does so with. */
  readonly key: PublicKey;
  readonly algorithm: Algorithm;
  /** base64url SHA-256 of each token, root first. */
  readonly tokenHashes: readonly string[];
}

export interface ChainCheckSettings {
  readonly operators: TrustedOperators;
  /** This gateway's names, one of which must be in `aud`. */
  readonly gatewayNames: readonly string[];
  readonly clockSkewSeconds: number;
  readonly configuration: ChainConfiguration;
}

export type ChainCheck = (
  wellFormed: WellFormedRequest,
  claimed: ClaimedSignature,
  now: number,
) => Promise<Outcome<VerifiedChain>>;

export function makeChainCheck(settings: ChainCheckSettings): ChainCheck {
  const kept = new Map<string, VerifiedChain>();
  return async (wellFormed, claimed, now) => {
    const field = wellFormed.untrustedCapabilityField;
    let chain = kept.get(field);
    if (chain === undefined) {
      const outcome = await verifyChain(wellFormed.untrustedTokens, claimed, settings);
      if (outcome.denied) return outcome;
      chain = outcome.proof;
      if (kept.size >= settings.configuration.cacheEntries) forgetOldest(kept);
      if (settings.configuration.cacheEntries > 0) kept.set(ownCopy(field), chain);
    } else if (claimed.keyid !== chain.key.jkt) return wrongKey();
    const untimely = findUntimely(chain.claims, settings, now);
    return untimely === undefined ? passed(chain) : denied('chain-invalid', untimely);
  };
}

function forgetOldest(kept: Map<string, VerifiedChain>): void {
  for (const key of kept.keys()) {
    kept.delete(key);
    return;
  }
}

/** Cut out of a request's header section, the field would keep all of it in memory. */
function ownCopy(field: string): string {
  return Buffer.from(field, 'latin1').toString('latin1');
}

function wrongKey() {
  return denied('signature-key', 'The keyid is not the thumbprint of the cnf.jwk of the leaf token.');
}

async function verifyChain(
  tokens: readonly [string, ...string[]],
  claimed: ClaimedSignature,
  settings: ChainCheckSettings,
): Promise<Outcome<VerifiedChain>> {
  if (tokens.length > 1) return denied('chain-invalid', 'Links are not accepted by this gateway yet: send the root token alone.');
  let token: UntrustedToken;
  try {
    token = parseRootToken(tokens[0]);
  } catch (error) {
    if (error instanceof TokenError)
      return denied('chain-invalid', `The root token is not in the form of the profile: ${error.message}.`);
    throw error;
  }
  // Row 4 comes before row 5, but needs the leaf to be readable.
  if (claimed.keyid !== token.untrustedKey.jkt) return wrongKey();
  const claims = token.untrustedClaims;
  const [details] = claims.authorization_details;
  const operator = settings.operators.get(claims.iss);
  const key = operator?.assertionKeys.get(token.header.kid);
  // One answer for all of it: whom a gateway trusts is not for strangers to find out by asking.
  if (
    operator === undefined ||
    claims.sub !== claims.iss ||
    key?.algorithms.includes(token.header.alg) !== true ||
    !(await verifies(token, key))
  ) {
    return denied('chain-invalid', 'The root token does not verify under a key of an operator that this gateway trusts.');
  }
  if (details === undefined || !audienceIncludes(claims.aud, settings.gatewayNames)) {
    return denied('chain-invalid', 'The root token is not for this gateway.');
  }
  const chain = { operator, agent: claims.client_id, claims, details, key: token.untrustedKey, algorithm: token.algorithm };
  return passed({
    ...chain,
    tokenHashes: tokens.map((compact) => hash('sha256', compact, 'base64url')),
  } as unknown as VerifiedChain);
}

async function verifies(token: UntrustedToken, key: PublicKey): Promise<boolean> {
  try {
    await compactVerify(token.compact, key.keyObject, { algorithms: [token.header.alg] });
    return true;
  } catch {
    // jose throws for a signature that does not verify as for a key that cannot: either way the token is not believed.
    return false;
  }
}

function audienceIncludes(aud: RootClaims['aud'], names: readonly string[]): boolean {
  const audience = typeof aud === 'string' ? [aud] : aud;
  return names.some((name) => audience.includes(name));
}

function findUntimely(
  claims: RootClaims,
  { clockSkewSeconds, configuration }: ChainCheckSettings,
  now: number,
): string | undefined {
  const seconds = now / 1000;
  if (claims.exp <= seconds) return 'The root token has expired.';
  if (claims.iat > seconds + clockSkewSeconds) return 'The root token was issued in the future.';
  if (claims.nbf !== undefined && claims.nbf > seconds + clockSkewSeconds) return 'The root token is not valid yet.';
  if (claims.exp - claims.iat > configuration.rootLifetimeDays * 86_400) {
    return `The root token lives longer than the ${configuration.rootLifetimeDays} days that this gateway accepts.`;
  }
  return undefined;
}

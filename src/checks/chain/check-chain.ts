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
import { findAssertionKey, type TrustedOperator, type TrustedOperators } from '../../trust/operators.ts';
import { type DidDocument, UnavailableDid, UnknownDid } from '../../vault/did-document.ts';
import type { DidResolver } from '../../vault/resolver.ts';
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
  /** The version of the operator's DID log that its key stands in; `undefined` for a method without versions. */
  readonly operatorVersion: string | undefined;
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
  readonly resolver: DidResolver;
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

/** A chain that verified, and what has to be as it was for that to be so still. */
interface Kept {
  readonly chain: VerifiedChain;
  readonly issuer: DidDocument;
  /** Milliseconds since the epoch at which the issuer's key runs out. */
  readonly until: number;
}

export function makeChainCheck(settings: ChainCheckSettings): ChainCheck {
  const kept = new Map<string, Kept>();
  return async (wellFormed, claimed, now) => {
    const field = wellFormed.untrustedCapabilityField;
    const before = kept.get(field);
    if (before !== undefined && claimed.keyid !== before.chain.key.jkt) return wrongKey();
    let chain: VerifiedChain;
    if (before !== undefined && (await isInForce(before, settings.resolver, now))) {
      chain = before.chain;
    } else {
      // Seen for the first time, or its issuer's keys are not what they were.
      const outcome = await verifyChain(wellFormed.untrustedTokens, claimed, settings, now);
      kept.delete(field);
      if (outcome.denied) return outcome;
      if (kept.size >= settings.configuration.cacheEntries) forgetOldest(kept);
      if (settings.configuration.cacheEntries > 0) kept.set(ownCopy(field), outcome.proof);
      chain = outcome.proof.chain;
    }
    const untimely = findUntimely(chain.claims, settings, now);
    return untimely === undefined ? passed(chain) : denied('chain-invalid', untimely);
  };
}

/** Without an issuer's document there is no saying; looking again then says why. */
async function isInForce({ chain, issuer, until }: Kept, resolver: DidResolver, now: number): Promise<boolean> {
  if (now >= until) return false;
  const current = resolver.current(chain.operator.did);
  return (current instanceof Promise ? await current.catch(() => undefined) : current) === issuer;
}

function forgetOldest(kept: Map<string, Kept>): void {
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
  now: number,
): Promise<Outcome<Kept>> {
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
  if (operator === undefined || claims.sub !== claims.iss) return unknownIssuer();
  let issuer: DidDocument;
  try {
    issuer = await findIssuer(settings.resolver, token, now);
  } catch (error) {
    if (error instanceof UnknownDid) return unknownIssuer(error);
    if (error instanceof UnavailableDid)
      return denied('identity-unavailable', 'The DID of the operator cannot be resolved now.', error);
    throw error;
  }
  const method = findAssertionKey(issuer, token.header.kid, now);
  if (method?.key.algorithms.includes(token.header.alg) !== true || !(await verifies(token, method.key))) return unknownIssuer();
  if (details === undefined || !audienceIncludes(claims.aud, settings.gatewayNames)) {
    return denied('chain-invalid', 'The root token is not for this gateway.');
  }
  const chain = {
    operator,
    operatorVersion: issuer.versionId,
    agent: claims.client_id,
    claims,
    details,
    key: token.untrustedKey,
    algorithm: token.algorithm,
    tokenHashes: tokens.map((compact) => hash('sha256', compact, 'base64url')),
  } as unknown as VerifiedChain;
  return passed({ chain, issuer, until: method.expires ?? Number.POSITIVE_INFINITY });
}

/** One answer for all of it: whom a gateway trusts is not for strangers to find out by asking. */
function unknownIssuer(cause?: unknown) {
  return denied('chain-invalid', 'The root token does not verify under a key of an operator that this gateway trusts.', cause);
}

/** The issuer's document; a newer one where the key is not in this one, since it may have been published just now. */
async function findIssuer(resolver: DidResolver, token: UntrustedToken, now: number): Promise<DidDocument> {
  const document = await resolver.current(token.untrustedClaims.iss);
  return findAssertionKey(document, token.header.kid, now) === undefined ? resolver.newer(document) : document;
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

// Row 5 of profile section 4: the capability chain holds. The cheap parts come first, so that what does not fit costs a stranger
// more than it costs us: form of all tokens, edges, times, the operator's signature on the root, each link's under its parent's key.
// A chain that held is kept by its tokens, so that a later request pays for no signature but its own; its times are looked at
// every time.

import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Algorithm, PublicKey } from '../../crypto/public-key.ts';
import { denied, type Outcome, passed } from '../../outcome.ts';
import type { AuthorizationDetails } from '../../token/authorization-details.ts';
import { parseRootToken } from '../../token/capability-token.ts';
import { type ChainFault, type ChainForm, findChainFault, readAt, readChainForm, tokenName } from '../../token/chain-form.ts';
import { listed } from '../../token/edge.ts';
import { parseLinkToken } from '../../token/link-token.ts';
import { TokenError, type WithKey } from '../../token/token-form.ts';
import type { TrustedOperator, TrustedOperators } from '../../trust/operators.ts';
import type { DidDocument } from '../../vault/did-document.ts';
import type { DidResolver } from '../../vault/resolver.ts';
import type { WellFormedRequest } from '../form/check-form.ts';
import type { ClaimedSignature } from '../signature/signature-input.ts';
import { ChainMemory } from './chain-memory.ts';
import { type ChainTimes, findLifetimeFault, findUntimely, lifetimeConfiguration, timesOf } from './chain-times.ts';
import { findUnsigned } from './verify-links.ts';
import { verifyRoot } from './verify-root.ts';

export const chainConfiguration = z.strictObject({
  ...lifetimeConfiguration,
  cacheEntries: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .describe('verified chains of up to 4 KiB kept in memory; a longer one counts as several'),
});
export type ChainConfiguration = z.infer<typeof chainConfiguration>;

declare const verified: unique symbol;

/** A token of a verified chain. */
export interface VerifiedLink {
  readonly agent: string;
  readonly jti: string;
  /** Of the key that the token is bound to. */
  readonly jkt: string;
  /** The one that the token binds this key to. */
  readonly algorithm: Algorithm;
  readonly sid: string | undefined;
  readonly task: string | undefined;
  /** Seconds since the epoch. */
  readonly exp: number;
  readonly iat: number;
  /** base64url SHA-256 of the compact token. */
  readonly tokenHash: string;
}

/** A chain whose every token verified, the root under a trusted operator; its times held when it was last looked at. */
export interface VerifiedChain {
  readonly [verified]: true;
  readonly operator: TrustedOperator;
  /** The version of the operator's DID log that its key stands in; `undefined` for a method without versions. */
  readonly operatorVersion: string | undefined;
  /** Every token, root first. */
  readonly links: readonly [VerifiedLink, ...VerifiedLink[]];
  /** The last of them: who acts, in which session and task. */
  readonly leaf: VerifiedLink;
  /** The leaf's, under which those of all tokens above it hold too. */
  readonly details: AuthorizationDetails;
  /** The leaf's key, which signs requests under this chain, and the one algorithm it does so with. */
  readonly key: PublicKey;
  readonly algorithm: Algorithm;
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
  readonly times: ChainTimes;
  readonly issuer: DidDocument;
  /** Milliseconds since the epoch at which the issuer's key runs out. */
  readonly until: number;
}

export function makeChainCheck(settings: ChainCheckSettings): ChainCheck {
  const kept = new ChainMemory<Kept>(settings.configuration.cacheEntries);
  return async (wellFormed, claimed, now) => {
    // By the tokens and not by the field: blanks between them would make another entry of the same chain. A String may hold a blank,
    // but no line end, so that no other list has this name.
    const name = wellFormed.untrustedTokens.join('\n');
    const before = kept.get(name);
    if (before !== undefined && claimed.keyid !== before.chain.key.jkt) return wrongKey();
    if (before !== undefined && (await holdsStill(before, settings.resolver, now))) {
      const untimely = findUntimely(before.times, settings.clockSkewSeconds, now);
      return untimely === undefined ? passed(before.chain) : broken(untimely);
    }
    // Seen for the first time, or its issuer's keys are not what they were.
    const outcome = await verifyChain(wellFormed.untrustedTokens, claimed, settings, now);
    if (outcome.denied) {
      kept.forget(name);
      return outcome;
    }
    kept.keep(name, outcome.proof);
    return passed(outcome.proof.chain);
  };
}

/** Without an issuer's document there is no saying; verifying again then says why. */
function holdsStill({ chain, issuer, until }: Kept, resolver: DidResolver, now: number): boolean | Promise<boolean> {
  if (now >= until) return false;
  const current = resolver.current(chain.operator.did);
  if (!(current instanceof Promise)) return current === issuer;
  return current.then((document) => document === issuer).catch(() => false);
}

function wrongKey() {
  return denied('signature-key', 'The keyid is not the thumbprint of the cnf.jwk of the leaf token.');
}

function broken({ at, why }: ChainFault) {
  return denied('chain-invalid', sentence(`${tokenName(at)} ${why}`));
}

type Tokens = WellFormedRequest['untrustedTokens'];

async function verifyChain(
  tokens: Tokens,
  claimed: ClaimedSignature,
  settings: ChainCheckSettings,
  now: number,
): Promise<Outcome<Kept>> {
  try {
    const { leaf, readChain } = readFromLeaf(tokens);
    // Row 4 comes before row 5, but needs the leaf to be readable.
    if (claimed.keyid !== leaf.untrustedKey.jkt) return wrongKey();
    const chain = readChain();
    const times = timesOf(chain);
    const fault =
      findChainFault(chain) ??
      findLifetimeFault(chain, settings.configuration) ??
      findUntimely(times, settings.clockSkewSeconds, now);
    if (fault !== undefined) return broken(fault);
    const issued = await verifyRoot(chain[0], settings, now);
    if (issued.denied) return issued;
    const unsigned = await findUnsigned(chain);
    if (unsigned !== undefined) return broken(unsigned);
    // What the leaf is for, every token above it is for too.
    if (!settings.gatewayNames.some((name) => listed(leaf.untrustedClaims.aud).includes(name)))
      return denied('chain-invalid', sentence(`${tokenName(tokens.length - 1)} is not for this gateway`));
    const { operator, issuer, until } = issued.proof;
    const links = chain.map(linkOf);
    const verifiedChain = {
      operator,
      operatorVersion: issuer.versionId,
      links,
      leaf: links.at(-1),
      details: leaf.untrustedClaims.authorization_details[0],
      key: leaf.untrustedKey,
      algorithm: leaf.algorithm,
    } as unknown as VerifiedChain;
    return passed({ chain: verifiedChain, times, issuer, until });
  } catch (error) {
    if (error instanceof TokenError) return denied('chain-invalid', sentence(error.message));
    throw error;
  }
}

/** The leaf at once, and the whole chain where it is wanted. @throws {TokenError} both */
function readFromLeaf([root, ...links]: Tokens): { leaf: WithKey<ChainForm[number]>; readChain: () => ChainForm } {
  const last = links.pop();
  if (last === undefined) {
    const leaf = readAt(0, () => parseRootToken(root));
    return { leaf, readChain: () => [leaf] };
  }
  const leaf = readAt(links.length + 1, () => parseLinkToken(last));
  return { leaf, readChain: () => [...readChainForm([root, ...links]), leaf] };
}

function linkOf({ compact, untrustedClaims, untrustedJkt }: ChainForm[number]): VerifiedLink {
  const { client_id, jti, sid, task, exp, iat, cnf } = untrustedClaims;
  const tokenHash = hash('sha256', compact, 'base64url');
  return { agent: client_id, jti, jkt: untrustedJkt, algorithm: cnf.jwk.alg, sid, task, exp, iat, tokenHash };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

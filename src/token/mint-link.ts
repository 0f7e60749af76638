// Mints a link below a token (profile section 3), with the key that the token is bound to and without asking anyone.

import { randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import { type PrivateKey, signBytes } from '../crypto/private-key.ts';
import type { Algorithm, PublicKey } from '../crypto/public-key.ts';
import { type AuthorizationDetails, authorizationDetailsSchema } from './authorization-details.ts';
import { type RootForm, readRootForm } from './capability-token.ts';
import { findEdgeFault, listed, parentHash } from './edge.ts';
import { type LinkForm, parseLinkToken, readLinkForm, THUMBPRINT_URN } from './link-token.ts';
import { TOKEN_TYPE, TokenError } from './token-form.ts';

export type LinkGrant = LinkParts & ({ readonly lifetimeSeconds: number } | { readonly expires: number });

interface LinkParts {
  /** The token that the link goes below: compact, a root or a link. */
  readonly parent: string;
  /** The key that the parent is bound to. */
  readonly parentKey: PrivateKey;
  /** The acting agent's DID: the parent's for a session or a task scope, another for a delegation. */
  readonly agent: string;
  /** The key that the link is bound to, and the one algorithm it is used with. */
  readonly key: PublicKey;
  readonly algorithm: Algorithm;
  readonly details: AuthorizationDetails;
  /** The parent's where it is left out. */
  readonly audience?: readonly string[];
  /** Seconds since the epoch; a parent that is younger by its own clock is not preceded. */
  readonly issuedAt: number;
  /** The parent's where they are left out; once set they cannot change. */
  readonly sid?: string | undefined;
  readonly task?: string | undefined;
  /** Depth that the chain may reach below the link: the parent's where it is left out. */
  readonly maxDepth?: number | undefined;
}

/**
 * Of a lifetime the link gets what its parent has left; `expires`, seconds since the epoch, it gets as it is or not at all.
 * @returns the compact link
 * @throws {z.ZodError} for details, or {@link TokenError} for anything else, that no gateway would accept under this parent
 */
export async function mintLink(grant: LinkGrant): Promise<string> {
  const { parentKey, key, algorithm } = grant;
  const parent = readParent(grant.parent);
  const above = parent.untrustedClaims;
  if (parentKey.publicKey.jkt !== parent.untrustedJkt || parentKey.algorithm !== above.cnf.jwk.alg)
    throw new TokenError('the key is not the one that the parent is bound to');
  const iat = Math.max(grant.issuedAt, above.iat);
  const audience = grant.audience ?? listed(above.aud);
  const claims = {
    iss: `${THUMBPRINT_URN}${parent.untrustedJkt}`,
    sub: above.sub,
    client_id: grant.agent,
    aud: audience.length === 1 ? audience[0] : audience,
    iat,
    exp: 'expires' in grant ? grant.expires : Math.min(iat + grant.lifetimeSeconds, above.exp),
    jti: randomBytes(16).toString('base64url'),
    cnf: { jwk: { ...key.jwk, alg: algorithm } },
    del_depth: above.del_depth + 1,
    del_max_depth: grant.maxDepth ?? above.del_max_depth,
    par_hash: parentHash(parent),
    authorization_details: [authorizationDetailsSchema.parse(grant.details)],
    ...present({ sid: grant.sid ?? above.sid, task: grant.task ?? above.task }),
  };
  const header = { alg: parentKey.algorithm, typ: TOKEN_TYPE };
  const input = [JSON.stringify(header), String(canonicalize(claims))].map((part) => Buffer.from(part).toString('base64url'));
  const signature = signBytes(parentKey, Buffer.from(input.join('.'), 'latin1'));
  const link = parseLinkToken(`${input.join('.')}.${signature.toString('base64url')}`);
  const fault = findEdgeFault(link, parent) ?? (link.untrustedClaims.exp <= iat ? 'has no time to live (exp)' : undefined);
  if (fault !== undefined) throw new TokenError(`the link ${fault}`);
  return link.compact;
}

function readParent(compact: string): RootForm | LinkForm {
  const read = [readRootForm, readLinkForm];
  const why: string[] = [];
  for (const form of read) {
    try {
      return form(compact);
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      why.push(error.message);
    }
  }
  throw new TokenError(`the parent is neither a root (${why[0]}) nor a link (${why[1]})`);
}

function present(claims: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(claims).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

// Makes a restriction: what an operator, an administrator or the holder of an issuer's key says (profile section 6).

import { randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import { type PrivateKey, signBytes } from '../crypto/private-key.ts';
import type { AuthorizationDetails } from '../token/authorization-details.ts';
import { parseRestriction, RESTRICTION_TYPE, type RestrictionTarget, THUMBPRINT_URN } from './restriction.ts';

export interface RestrictionAuthor {
  readonly key: PrivateKey;
  /** DID URL of the key; `undefined` for an issuer's key, which stands for itself. */
  readonly keyId: string | undefined;
}

export type RestrictionEffect =
  | { readonly effect: 'revoke' }
  | { readonly effect: 'narrow'; readonly details: AuthorizationDetails }
  | { readonly effect: 'lift'; readonly lifts: string };

export type RestrictionStatement = RestrictionEffect & {
  readonly target: RestrictionTarget;
  /** Seconds since the epoch. */
  readonly before?: number | undefined;
  readonly at: number;
  readonly reason: string;
  /** 128 bits, base64url; random where it is not given. */
  readonly id?: string | undefined;
};

/** @returns the compact JWS. @throws {RestrictionError} for a statement that no gateway would accept. */
export function signRestriction(statement: RestrictionStatement, { key, keyId }: RestrictionAuthor): string {
  const { target, before, id = randomBytes(16).toString('base64url'), ...rest } = statement;
  const by = keyId === undefined ? `${THUMBPRINT_URN}${key.publicKey.jkt}` : keyId.slice(0, keyId.indexOf('#'));
  const signer = keyId === undefined ? { jwk: key.publicKey.jwk } : { kid: keyId };
  const claims = { ...rest, id, by, target: { [target.kind]: target.value }, ...(before !== undefined && { before }) };
  const signingInput = `${part({ alg: key.algorithm, typ: RESTRICTION_TYPE, ...signer })}.${part(claims)}`;
  const compact = `${signingInput}.${signBytes(key, Buffer.from(signingInput)).toString('base64url')}`;
  // What this program would refuse it does not hand out.
  parseRestriction(compact);
  return compact;
}

function part(value: object): string {
  return Buffer.from(canonicalize(value) ?? '').toString('base64url');
}

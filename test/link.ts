// Tokens made by hand for tests, right in every part but those that a test replaces. Not through src/token/mint-link.ts: what that
// refuses to mint is what the gateway must see.

import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { type PrivateKey, signBytes } from '../src/crypto/private-key.ts';

export type Claims = Record<string, unknown>;

/** A token, what it says, and the key that it is bound to. */
export interface MadeToken {
  readonly compact: string;
  readonly claims: Claims;
  readonly key: PrivateKey;
}

export interface LinkParts {
  /** The key that the link is bound to. */
  readonly key: PrivateKey;
  /** Members that replace the right ones; null leaves one out. */
  readonly claims?: Claims | undefined;
  readonly header?: Claims | undefined;
  /** Instead of the canonical JSON of the claims. */
  readonly payload?: string | undefined;
  /** Instead of the holder of the parent's key. */
  readonly signedBy?: PrivateKey | undefined;
}

/** A link that says of itself what its parent says, for another key. */
export function linkBelow(
  parent: MadeToken,
  { key, claims: changes, header, payload, signedBy = parent.key }: LinkParts,
): MadeToken {
  const { kid: _, nbf: __, ...inherited } = parent.claims;
  const claims = merged(
    {
      ...inherited,
      iss: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${parent.key.publicKey.jkt}`,
      jti: createHash('sha256').update(parent.compact).digest('base64url'),
      cnf: { jwk: { ...key.publicKey.jwk, alg: key.algorithm } },
      del_depth: Number(parent.claims.del_depth) + 1,
      par_hash: signingInputHash(parent.compact),
    },
    changes,
  );
  const text = payload ?? String(canonicalize(claims));
  return { compact: signToken(merged({ alg: parent.key.algorithm, typ: 'agent-cap+jwt' }, header), text, signedBy), claims, key };
}

export function signToken(header: Claims, payload: string, key: PrivateKey): string {
  const input = [JSON.stringify(header), payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${input}.${signBytes(key, Buffer.from(input)).toString('base64url')}`;
}

export function signingInputHash(compact: string): string {
  return createHash('sha256')
    .update(compact.slice(0, compact.lastIndexOf('.')))
    .digest('base64url');
}

/** Members of `changes` replace those of `base`; null leaves one out. */
export function merged(base: Claims, changes: Claims = {}): Claims {
  return Object.fromEntries(Object.entries({ ...base, ...changes }).filter(([, value]) => value !== null));
}

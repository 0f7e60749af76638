// JWK thumbprint, RFC 7638 with SHA-256 (RFC 8037 section 2 for OKP): the `jkt` of the profile.

import { hash } from 'node:crypto';

export interface PublicJwk {
  readonly kty: string;
  readonly crv?: string | undefined;
  readonly x?: string | undefined;
  readonly y?: string | undefined;
  readonly n?: string | undefined;
  readonly e?: string | undefined;
  readonly alg?: string | undefined;
}

/** @returns base64url SHA-256 over the required members in lexicographic order. */
export function jwkThumbprint(jwk: PublicJwk): string {
  return hash('sha256', JSON.stringify(requiredMembers(jwk)), 'base64url');
}

function requiredMembers(jwk: PublicJwk): Record<string, string | undefined> {
  if (jwk.kty === 'RSA') return { e: jwk.e, kty: 'RSA', n: jwk.n };
  if (jwk.kty === 'EC') return { crv: jwk.crv, kty: 'EC', x: jwk.x, y: jwk.y };
  return { crv: jwk.crv, kty: jwk.kty, x: jwk.x };
}

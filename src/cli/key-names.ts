// The names that a public key has by itself: its did:key, its did:jwk and its thumbprint.

import type { PublicKey } from '../crypto/public-key.ts';
import { didJwkOf } from '../vault/did-jwk.ts';
import { didKeyOf } from '../vault/did-key.ts';

export function namesOf(key: PublicKey) {
  return { didKey: didKeyOf(key), didJwk: didJwkOf(key), jkt: key.jkt, jwk: key.jwk };
}

export function nameLines({ didKey, didJwk, jkt, jwk }: ReturnType<typeof namesOf>): string[] {
  return [`did:key     ${didKey}`, `did:jwk     ${didJwk}`, `thumbprint  ${jkt}`, `public key  ${JSON.stringify(jwk)}`];
}

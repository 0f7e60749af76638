// did:jwk (github.com/quartzjer/did-jwk): the identifier is the base64url of a public JWK.

import { decodeBase64url } from '../crypto/base64url.ts';
import { importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';

const LONGEST = 4096;

/** @throws {KeyError} */
export function keyOfDidJwk(identifier: string): PublicKey {
  const bytes = identifier.length <= LONGEST ? decodeBase64url(identifier) : undefined;
  if (bytes === undefined) throw new KeyError('did:jwk is not canonical base64url');
  try {
    return importPublicJwk(parseStrictJson(bytes));
  } catch (error) {
    if (error instanceof JsonError) throw new KeyError(`did:jwk is ${error.message}`);
    throw error;
  }
}

export function didJwkOf(key: PublicKey): string {
  return `did:jwk:${Buffer.from(JSON.stringify(key.jwk)).toString('base64url')}`;
}

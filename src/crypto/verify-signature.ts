// One signature under one key. Native code only: libsodium for Ed25519 (half the cost of OpenSSL's, and cheaper on the
// event loop than a trip to another thread), OpenSSL off the event loop for the slower algorithms.

import { constants, verify } from 'node:crypto';
import sodium from 'sodium-native';
import type { Algorithm, PublicKey } from './public-key.ts';

/**
 * @param algorithm the algorithm that the capability binds to the key, never one that the message names
 * @param signature Ed25519 64 bytes; ES256 64 bytes r || s; PS256 and PS512 with a salt as long as the hash (RFC 7518 section 3.5)
 * @throws when the key is not for the algorithm, which its caller must have ruled out
 */
export function verifySignature(
  key: PublicKey,
  algorithm: Algorithm,
  message: Buffer,
  signature: Buffer,
): boolean | Promise<boolean> {
  if (!key.algorithms.includes(algorithm)) throw new Error(`key ${key.jkt} is not for ${algorithm}`);
  switch (algorithm) {
    case 'Ed25519':
      if (key.raw === undefined || signature.length !== 64) return false;
      return sodium.crypto_sign_verify_detached(signature, message, key.raw);
    case 'ES256':
      if (signature.length !== 64) return false;
      return offEventLoop('sha256', message, { key: key.keyObject, dsaEncoding: 'ieee-p1363' }, signature);
    case 'PS256':
      if (!hasModulusLength(key, signature)) return false;
      return offEventLoop('sha256', message, pss(key, 32), signature);
    case 'PS512':
      if (!hasModulusLength(key, signature)) return false;
      return offEventLoop('sha512', message, pss(key, 64), signature);
  }
}

/** RFC 8017 section 8.1.2 step 1. OpenSSL takes a signature without its leading zero for the same one. */
function hasModulusLength(key: PublicKey, signature: Buffer): boolean {
  return signature.length * 8 === key.keyObject.asymmetricKeyDetails?.modulusLength;
}

function pss(key: PublicKey, saltLength: number) {
  return { key: key.keyObject, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

function offEventLoop(hash: string, message: Buffer, key: Parameters<typeof verify>[2], signature: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(hash, message, key, signature, (error, valid) => (error ? reject(error) : resolve(valid)));
  });
}

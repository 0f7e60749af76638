// Private keys: made, read, and used to sign. The material stays inside KeyObject, which prints as nothing.

import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
} from 'node:crypto';
import { ALGORITHMS, type Algorithm, importPublicJwk, KeyError, type PublicKey } from './public-key.ts';

export interface PrivateKey {
  readonly algorithm: Algorithm;
  readonly publicKey: PublicKey;
  readonly keyObject: KeyObject;
}

export function generatePrivateKey(algorithm: Algorithm): PrivateKey {
  const { privateKey } =
    algorithm === 'Ed25519'
      ? generateKeyPairSync('ed25519')
      : algorithm === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 4096 });
  return fromKeyObject(privateKey, algorithm);
}

/**
 * @param text a private JWK as JSON (with `alg`), or PKCS#8 PEM
 * @throws {KeyError} that names what is wrong and never repeats the text
 */
export function readPrivateKey(text: string): PrivateKey {
  if (text.trimStart().startsWith('-----BEGIN')) return fromKeyObject(parse({ key: text, format: 'pem' }));
  let jwk: unknown;
  try {
    jwk = JSON.parse(text);
  } catch {
    throw new KeyError('neither a private JWK nor PEM');
  }
  if (typeof jwk !== 'object' || jwk === null || !('d' in jwk)) throw new KeyError('not a private JWK: it has no "d"');
  const alg = 'alg' in jwk ? jwk.alg : undefined;
  if (alg !== undefined && !isAlgorithm(alg)) throw new KeyError(`"alg" must be one of ${ALGORITHMS.join(', ')}`);
  return fromKeyObject(parse({ key: jwk as JsonWebKey, format: 'jwk' }), alg);
}

/** @returns the signature in the form that {@link verifySignature} takes. */
export function signBytes(key: PrivateKey, message: Buffer): Buffer {
  switch (key.algorithm) {
    case 'Ed25519':
      return sign(null, message, key.keyObject);
    case 'ES256':
      return sign('sha256', message, { key: key.keyObject, dsaEncoding: 'ieee-p1363' });
    case 'PS256':
      return sign('sha256', message, { key: key.keyObject, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
    case 'PS512':
      return sign('sha512', message, { key: key.keyObject, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 });
  }
}

/** The private JWK with `alg`, for a file with mode 0600. */
export function exportPrivateJwk(key: PrivateKey): Record<string, unknown> {
  return { ...key.keyObject.export({ format: 'jwk' }), alg: key.algorithm };
}

function isAlgorithm(value: unknown): value is Algorithm {
  return ALGORITHMS.some((algorithm) => algorithm === value);
}

function parse(input: Parameters<typeof createPrivateKey>[0]): KeyObject {
  try {
    return createPrivateKey(input);
  } catch {
    throw new KeyError('the private key does not parse');
  }
}

function fromKeyObject(keyObject: KeyObject, alg?: Algorithm): PrivateKey {
  const jwk = createPublicKey(keyObject).export({ format: 'jwk' });
  const unbound = importPublicJwk(jwk);
  const algorithm = alg ?? unbound.algorithms[0];
  if (algorithm === undefined) throw new KeyError('the key has no algorithm');
  return { algorithm, publicKey: importPublicJwk({ ...jwk, alg: algorithm }), keyObject };
}

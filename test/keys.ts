// Keys for tests: real ones, made once for each test file. RSA is made only where it is asked for, since it takes a second.

import { exportPrivateJwk, generatePrivateKey, type PrivateKey, readPrivateKey } from '../src/crypto/private-key.ts';
import type { Algorithm } from '../src/crypto/public-key.ts';

const made = new Map<string, PrivateKey>();

/** The same key for the same name and type; PS256 and PS512 share one RSA key. */
export function keyOf(name: string, algorithm: Algorithm = 'Ed25519'): PrivateKey {
  const type = algorithm === 'PS256' ? 'PS512' : algorithm;
  let key = made.get(`${name} ${type}`);
  if (key === undefined) {
    key = generatePrivateKey(type);
    made.set(`${name} ${type}`, key);
  }
  return type === algorithm ? key : withAlgorithm(key, algorithm);
}

export function withAlgorithm(key: PrivateKey, algorithm: Algorithm): PrivateKey {
  return readPrivateKey(JSON.stringify({ ...exportPrivateJwk(key), alg: algorithm }));
}

// Signatures made and verified by the functions of crypto/, and refused where they are not exactly what the profile says.

import { constants, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { exportPrivateJwk, generatePrivateKey, readPrivateKey, signBytes } from '../../src/crypto/private-key.ts';
import { ALGORITHMS, KeyError } from '../../src/crypto/public-key.ts';
import { jwkThumbprint } from '../../src/crypto/thumbprint.ts';
import { verifySignature } from '../../src/crypto/verify-signature.ts';
import { keyOf } from '../keys.ts';

const message = Buffer.from('the message');

test.each(ALGORITHMS)('%s: a signature verifies, and no other key, message or bit', async (algorithm) => {
  const key = keyOf('a', algorithm);
  const signature = signBytes(key, message);
  expect(await verifySignature(key.publicKey, algorithm, message, signature)).toBe(true);
  expect(await verifySignature(key.publicKey, algorithm, Buffer.from('the massage'), signature)).toBe(false);
  for (const at of [0, signature.length >> 1, signature.length - 1]) {
    const changed = Buffer.from(signature);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(await verifySignature(key.publicKey, algorithm, message, changed)).toBe(false);
  }
  const other = keyOf(algorithm.startsWith('PS') ? 'a' : 'b', algorithm);
  if (other !== key && !algorithm.startsWith('PS'))
    expect(await verifySignature(other.publicKey, algorithm, message, signature)).toBe(false);
});

test.each(ALGORITHMS)('%s: a signature of another length is false, never a throw', async (algorithm) => {
  const key = keyOf('a', algorithm);
  const signature = signBytes(key, message);
  for (const wrong of [Buffer.alloc(0), signature.subarray(1), Buffer.concat([signature, Buffer.of(0)]), Buffer.alloc(5000)]) {
    expect(await verifySignature(key.publicKey, algorithm, message, wrong)).toBe(false);
  }
});

test('ES256: DER and r = s = 0 are refused', async () => {
  const key = keyOf('a', 'ES256');
  const der = sign('sha256', message, { key: key.keyObject, dsaEncoding: 'der' });
  expect(await verifySignature(key.publicKey, 'ES256', message, der)).toBe(false);
  expect(await verifySignature(key.publicKey, 'ES256', message, Buffer.alloc(64))).toBe(false);
});

test.each([0, 20, 31, 33, 64])(
  'PS256: a salt of %i bytes instead of 32 is refused (RFC 7518 section 3.5)',
  async (saltLength) => {
    const key = keyOf('a', 'PS256');
    const signature = sign('sha256', message, { key: key.keyObject, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
    expect(await verifySignature(key.publicKey, 'PS256', message, signature)).toBe(false);
  },
);

test('RSA: PKCS1 v1.5 is refused', async () => {
  const key = keyOf('a', 'PS512');
  expect(await verifySignature(key.publicKey, 'PS512', message, sign('sha512', message, key.keyObject))).toBe(false);
});

test('a key is not used with an algorithm that it is not bound to', () => {
  const key = keyOf('a', 'PS256');
  expect(() => verifySignature(key.publicKey, 'PS512', message, Buffer.alloc(512))).toThrow('is not for PS512');
});

test.each(ALGORITHMS)('%s: a private key comes back from its JWK and its PEM', (algorithm) => {
  const key = keyOf('a', algorithm);
  expect(readPrivateKey(JSON.stringify(exportPrivateJwk(key))).publicKey.jkt).toBe(key.publicKey.jkt);
  const pem = key.keyObject.export({ format: 'pem', type: 'pkcs8' }).toString();
  expect(readPrivateKey(pem).publicKey.jkt).toBe(key.publicKey.jkt);
});

test.each([
  ['a public JWK', JSON.stringify(keyOf('a').publicKey.jwk)],
  ['an algorithm that is not among the four', JSON.stringify({ ...exportPrivateJwk(keyOf('a')), alg: 'EdDSA' })],
  ['the algorithm of another key type', JSON.stringify({ ...exportPrivateJwk(keyOf('a')), alg: 'ES256' })],
  ['a curve that is not used', JSON.stringify({ kty: 'EC', crv: 'P-384', x: 'AA', y: 'AA', d: 'AA' })],
  ['no JSON', 'SECRET-MATERIAL'],
  ['a broken PEM', '-----BEGIN PRIVATE KEY-----\nSECRET-MATERIAL\n-----END PRIVATE KEY-----'],
])('not a private key: %s', (_, text) => {
  const attempt = () => readPrivateKey(text);
  expect(attempt).toThrow(KeyError);
  expect(attempt).toThrow(/^(?!.*SECRET-MATERIAL)/s);
});

test('no private material shows where a key is printed', () => {
  const key = generatePrivateKey('Ed25519');
  const secret = String(exportPrivateJwk(key).d);
  expect(JSON.stringify(key)).not.toContain(secret);
});

// RFC 7638 section 3.1 and RFC 8037 appendix A.3.
test.each([
  [
    { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
  ],
  [
    {
      kty: 'RSA',
      n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
      e: 'AQAB',
    },
    'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
  ],
])('the thumbprint of the RFC: %j', (jwk, thumbprint) => {
  expect(jwkThumbprint(jwk)).toBe(thumbprint);
});

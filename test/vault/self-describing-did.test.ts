// did:key and did:jwk, both ways. One key has one did:key; whatever is not exactly that is unknown.

import { createPublicKey } from 'node:crypto';
import { base58 } from '@scure/base';
import { describe, expect, test } from 'vitest';
import { ALGORITHMS } from '../../src/crypto/public-key.ts';
import { UnknownDid } from '../../src/vault/did-document.ts';
import { didJwkOf } from '../../src/vault/did-jwk.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { keyOf } from '../keys.ts';

const bytesOf = (did: string) => Buffer.from(base58.decode(did.slice('did:key:z'.length)));
const didOf = (...parts: Uint8Array[]) => `did:key:z${base58.encode(Buffer.concat(parts))}`;
const jwkDid = (jwk: unknown) => `did:jwk:${Buffer.from(JSON.stringify(jwk)).toString('base64url')}`;

describe.each(ALGORITHMS)('a key for %s', (algorithm) => {
  const { publicKey } = keyOf('a', algorithm);

  test('as did:key resolves to itself, for invoking and for asserting, and names no controller', () => {
    const did = didKeyOf(publicKey);
    const document = resolveSelfDescribing(did);
    expect(document).toMatchObject({ did, controller: undefined });
    expect(document.verificationMethods).toHaveLength(1);
    expect(document.verificationMethods[0]).toMatchObject({
      id: `${did}#${did.slice('did:key:'.length)}`,
      purposes: ['capabilityInvocation', 'assertionMethod'],
    });
    expect(document.verificationMethods[0]?.key.jkt).toBe(publicKey.jkt);
  });

  test('as did:jwk resolves to itself with its algorithm', () => {
    const did = didJwkOf(publicKey);
    const [method] = resolveSelfDescribing(did).verificationMethods;
    expect(method).toMatchObject({ id: `${did}#0` });
    expect(method?.key.jkt).toBe(publicKey.jkt);
    expect(method?.key.algorithms).toEqual([algorithm]);
  });
});

// Published in the did:key specification.
test.each([
  ['did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp', 'O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik'],
  ['did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv', 'igrFmi0whuihKnj9R3Om1SoMph72wUGeFaBbzG2vzns'],
])('%s is the key that its specification says', (did, x) => {
  const key = resolveSelfDescribing(did).verificationMethods[0]?.key;
  expect(key?.jwk.x).toBe(x);
  expect(key && didKeyOf(key)).toBe(did);
});

const ed = bytesOf(didKeyOf(keyOf('a').publicKey));
const ec = bytesOf(didKeyOf(keyOf('a', 'ES256').publicKey));

describe('did:key that is unknown', () => {
  const uncompressed = Buffer.from('04', 'hex');
  const { x = '', y = '' } = keyOf('a', 'ES256').publicKey.jwk;
  test.each([
    ['X25519', didOf(Buffer.of(0xec, 0x01), ed.subarray(2))],
    ['secp256k1', didOf(Buffer.of(0xe7, 0x01), ec.subarray(2))],
    ['P-384', didOf(Buffer.of(0x81, 0x24), ec.subarray(2))],
    ['a multicodec of one byte', didOf(Buffer.of(0xed), ed.subarray(2))],
    ['a multicodec as an overlong varint', didOf(Buffer.of(0xed, 0x81, 0x00), ed.subarray(2))],
    ['no multicodec', didOf(ed.subarray(2))],
    ['an Ed25519 key of 31 bytes', didOf(ed.subarray(0, -1))],
    ['an Ed25519 key of 33 bytes', didOf(ed, Buffer.of(0))],
    ['no key', didOf(ed.subarray(0, 2))],
    ['a small-order point', didOf(ed.subarray(0, 2), Buffer.of(1), Buffer.alloc(31))],
    [
      'an uncompressed P-256 point',
      didOf(ec.subarray(0, 2), uncompressed, Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')),
    ],
    ['a P-256 point with another prefix', didOf(ec.subarray(0, 2), Buffer.of(5), ec.subarray(3))],
    ['a P-256 x that is not below the prime', didOf(ec.subarray(0, 2), Buffer.of(2), Buffer.alloc(32, 0xff))],
    ['an RSA key that is no DER', didOf(Buffer.of(0x85, 0x24), Buffer.from('not DER'))],
    ['base64 under the prefix of base58', `did:key:z${ed.toString('base64url')}`],
    ['the multibase prefix of base64url', `did:key:u${ed.toString('base64url')}`],
    ['no multibase prefix', `did:key:${base58.encode(ed)}`],
    ['white space behind', `${didOf(ed)} `],
    ['a fragment', `${didOf(ed)}#key`],
    ['a path', `${didOf(ed)}/path`],
    ['a query', `${didOf(ed)}?versionId=1`],
    ['a method in capitals', didOf(ed).replace('key', 'KEY')],
    ['a version', didOf(ed).replace('key:', 'key:1.1:')],
    ['an identifier too long to decode in time', `did:key:z${'2'.repeat(100_000)}`],
    ['an empty identifier', 'did:key:'],
  ])('%s', (_, did) => {
    expect(() => resolveSelfDescribing(did)).toThrow(UnknownDid);
  });

  test('an RSA key in DER that is not canonical, or has a byte behind it', () => {
    const der = Buffer.from(createPublicKey(keyOf('a', 'PS512').keyObject).export({ format: 'der', type: 'pkcs1' }));
    const rsa = Buffer.of(0x85, 0x24);
    expect(resolveSelfDescribing(didOf(rsa, der)).verificationMethods).toHaveLength(1);
    const longLength = Buffer.concat([der.subarray(0, 1), Buffer.of(0x83, 0x00), der.subarray(2)]);
    for (const other of [longLength, Buffer.concat([der, Buffer.of(0)])]) {
      expect(() => resolveSelfDescribing(didOf(rsa, other))).toThrow('canonical DER');
    }
  });

  test('an RSA key of 2048 bits', () => {
    const der = Buffer.from(createPublicKey(keyOf('a', 'PS512').keyObject).export({ format: 'der', type: 'pkcs1' }));
    // The same structure with a modulus cut to 256 bytes: SEQUENCE { INTEGER n, INTEGER 65537 }.
    const n = Buffer.concat([Buffer.from('02820101', 'hex'), Buffer.of(0), der.subarray(-256 - 5, -5)]);
    n[5] = (n[5] ?? 0) | 0x80;
    const body = Buffer.concat([n, Buffer.from('0203010001', 'hex')]);
    const weak = Buffer.concat([Buffer.from('3082', 'hex'), Buffer.of(body.length >> 8, body.length & 0xff), body]);
    expect(() => resolveSelfDescribing(didOf(Buffer.of(0x85, 0x24), weak))).toThrow('too weak');
  });
});

describe('did:jwk that is unknown', () => {
  const { jwk } = keyOf('a').publicKey;
  test.each([
    ['padding', `${jwkDid(jwk)}=`],
    ['no JSON', `did:jwk:${Buffer.from('{').toString('base64url')}`],
    ['an array', jwkDid([jwk])],
    ['a private key', jwkDid({ ...jwk, d: 'AAAA' })],
    ['a symmetric key', jwkDid({ kty: 'oct', k: 'AAAA' })],
    ['a key for encryption', jwkDid({ ...jwk, use: 'enc' })],
    ['a member twice', `did:jwk:${Buffer.from(JSON.stringify(jwk).replace('{', '{"kty":"EC",')).toString('base64url')}`],
    ['a small-order point', jwkDid({ ...jwk, x: Buffer.concat([Buffer.of(1), Buffer.alloc(31)]).toString('base64url') })],
    ['more than 4 KiB', jwkDid({ ...jwk, kid: 'x'.repeat(5000) })],
    ['a fragment', `${jwkDid(jwk)}#0`],
  ])('%s', (_, did) => {
    expect(() => resolveSelfDescribing(did)).toThrow(UnknownDid);
  });
});

test.each([
  'did:web:agent.example',
  'did:webvh:Qm:agent.example',
  'did:example:1',
  'key:z6Mk',
  '',
  'did:',
  'did::',
  'urn:uuid:1',
])('"%s" is of no method that is accepted', (did) => {
  expect(() => resolveSelfDescribing(did)).toThrow(UnknownDid);
});

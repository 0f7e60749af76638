// Which keys are admitted (profile section 1).

import { sign, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import sodium from 'sodium-native';
import { describe, expect, test } from 'vitest';
import { importPublicJwk, KeyError } from '../../src/crypto/public-key.ts';
import { keyOf } from '../keys.ts';

/** All eight points whose order divides the cofactor, and the five further spellings that decode to one of them (RFC 8032 section 5.1.3). */
const SMALL_ORDER = {
  identity: '0100000000000000000000000000000000000000000000000000000000000000',
  'order 2': 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'order 4, even x': '0000000000000000000000000000000000000000000000000000000000000000',
  'order 4, odd x': '0000000000000000000000000000000000000000000000000000000000000080',
  'order 8, first': '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'order 8, second': '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'order 8, third': 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'order 8, fourth': 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
};
const NON_CANONICAL = {
  'identity with the sign of zero': '0100000000000000000000000000000000000000000000000000000000000080',
  'order 2 with the sign of zero': 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'y = p for 0': 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'y = p + 1 for 1': 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'y = p for 0, odd x': 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'y = p + 3': 'f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'y = 2^255 - 1': 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
};

function ed(hex: string) {
  return { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hex, 'hex').toString('base64url') };
}

describe('Ed25519', () => {
  test.each(Object.entries(SMALL_ORDER))('a small-order point is refused: %s', (_, hex) => {
    expect(ed25519.Point.fromHex(hex).isSmallOrder()).toBe(true);
    expect(() => importPublicJwk(ed(hex))).toThrow('the key is a small-order point of Ed25519');
  });

  test.each(Object.entries(SMALL_ORDER))(
    'nor does the verifier take the signature that fits every message under it: %s',
    (_, hex) => {
      const everyMessage = Buffer.concat([Buffer.from(SMALL_ORDER.identity, 'hex'), Buffer.alloc(32)]);
      const verdicts = Array.from({ length: 64 }, (__, at) =>
        sodium.crypto_sign_verify_detached(everyMessage, Buffer.of(at), Buffer.from(hex, 'hex')),
      );
      expect(verdicts).not.toContain(true);
    },
  );

  test.each(Object.entries(NON_CANONICAL))('a non-canonical encoding is refused: %s', (_, hex) => {
    expect(() => importPublicJwk(ed(hex))).toThrow(KeyError);
  });

  test('a text that is no point is refused', () => {
    expect(() => importPublicJwk(ed(`02${'00'.repeat(31)}`))).toThrow('not a canonically encoded point');
  });

  test.each([
    ['31 bytes', Buffer.alloc(31, 1).toString('base64url')],
    ['33 bytes', Buffer.alloc(33, 1).toString('base64url')],
    ['padding', `${keyOf('a').publicKey.jwk.x}=`],
    ['no string', 1],
    ['none', undefined],
  ])('an x of %s is refused', (_, x) => {
    expect(() => importPublicJwk({ kty: 'OKP', crv: 'Ed25519', x })).toThrow('"x" is not 32 bytes in canonical base64url');
  });

  test('a second spelling of the same 32 bytes is refused', () => {
    const x = String(keyOf('a').publicKey.jwk.x);
    const last = x.at(-1) ?? '';
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const other = x.slice(0, -1) + alphabet[alphabet.indexOf(last) ^ 1];
    expect(Buffer.from(other, 'base64url')).toEqual(Buffer.from(x, 'base64url'));
    expect(() => importPublicJwk({ kty: 'OKP', crv: 'Ed25519', x: other })).toThrow('canonical base64url');
  });
});

describe('P-256', () => {
  const { x, y } = keyOf('a', 'ES256').publicKey.jwk;
  const zero = Buffer.alloc(32).toString('base64url');

  test.each([
    ['off the curve', { x, y: x }],
    ['the origin', { x: zero, y: zero }],
    ['a coordinate that is not below the field prime', { x: Buffer.alloc(32, 0xff).toString('base64url'), y }],
    ['y missing', { x }],
    [
      'a coordinate of 33 bytes',
      { x: Buffer.concat([Buffer.of(0), Buffer.from(x ?? '', 'base64url')]).toString('base64url'), y },
    ],
    ['swapped coordinates', { x: y, y: x }],
  ])('is refused: %s', (_, point) => {
    expect(() => importPublicJwk({ kty: 'EC', crv: 'P-256', ...point })).toThrow(KeyError);
  });

  test.each(['P-384', 'P-521', 'secp256k1'])('the curve %s is refused', (crv) => {
    expect(() => importPublicJwk({ kty: 'EC', crv, x, y })).toThrow('unsupported key type');
  });
});

describe('RSA', () => {
  const odd = (bits: number) => {
    const bytes = Buffer.alloc(Math.ceil(bits / 8), 0xff);
    bytes[0] = 0xff >> (bytes.length * 8 - bits);
    return bytes.toString('base64url');
  };

  test.each([
    [1024, 'RSA of 1024 bits is too weak'],
    [2048, 'RSA of 2048 bits is too weak'],
    [3071, 'RSA of 3071 bits is too weak'],
    [8193, 'RSA of 8193 bits is too large'],
    [65_536, 'RSA of 65536 bits is too large'],
  ])('%i bits are refused', (bits, message) => {
    expect(() => importPublicJwk({ kty: 'RSA', n: odd(bits), e: 'AQAB' })).toThrow(message);
  });

  test.each([3072, 4096, 8192])('%i bits are admitted for both PSS hashes', (bits) => {
    expect(importPublicJwk({ kty: 'RSA', n: odd(bits), e: 'AQAB' }).algorithms).toEqual(['PS256', 'PS512']);
  });

  test('an even modulus is refused', () => {
    const n = Buffer.from(odd(4096), 'base64url').fill(0xfe, 511).toString('base64url');
    expect(() => importPublicJwk({ kty: 'RSA', n, e: 'AQAB' })).toThrow('even');
  });

  test('a modulus with a leading zero is refused: one key, one thumbprint', () => {
    const n = Buffer.concat([Buffer.of(0), Buffer.from(odd(4096), 'base64url')]).toString('base64url');
    expect(() => importPublicJwk({ kty: 'RSA', n, e: 'AQAB' })).toThrow('canonical base64url');
  });

  test.each(['Aw', 'AAEAAQ', 'AQ', '', undefined, 65_537])('the exponent %s is refused', (e) => {
    expect(() => importPublicJwk({ kty: 'RSA', n: odd(4096), e })).toThrow('exponent');
  });
});

describe('any key', () => {
  const { jwk } = keyOf('a').publicKey;

  test.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'x5u', 'x5c', 'jku'])('the member "%s" is refused', (member) => {
    expect(() => importPublicJwk({ ...jwk, [member]: 'AAAA' })).toThrow(`JWK member "${member}"`);
  });

  test('a member never stands whole in the message', () => {
    const long = 'd'.repeat(5000);
    expect(() => importPublicJwk({ ...jwk, [long]: 1 })).toThrow(/^.{1,80}$/);
  });

  test.each([
    ['for encryption', { use: 'enc' }],
    ['with the polymorphic EdDSA', { alg: 'EdDSA' }],
    ['with the algorithm of another type', { alg: 'ES256' }],
    ['of another curve', { crv: 'X25519' }],
    ['that is symmetric', { kty: 'oct' }],
  ])('one %s is refused', (_, change) => {
    expect(() => importPublicJwk({ ...jwk, ...change })).toThrow(KeyError);
  });

  test.each([null, undefined, 'text', 1, [], [jwk]])('%j is no JWK', (value) => {
    expect(() => importPublicJwk(value)).toThrow('a JWK is an object');
  });

  test('what a key may be used with is what this JWK says, whatever was said of the same point before', () => {
    const { kty, crv, x } = keyOf('said twice').publicKey.jwk;
    const named = importPublicJwk({ kty, crv, x, alg: 'Ed25519' });
    expect(importPublicJwk({ kty, crv, x, alg: 'Ed25519', kid: 'other' })).toBe(named);
    expect(importPublicJwk({ kty, crv, x }).jwk).toEqual({ kty, crv, x });
    for (const alg of ['ES256', 'EdDSA', '', null]) expect(() => importPublicJwk({ kty, crv, x, alg })).toThrow(KeyError);
    expect(importPublicJwk({ kty, crv, x, alg: 'Ed25519' })).toEqual(named);
  });

  test.each(['Ed25519', 'ES256', 'PS512'] as const)('a key of %s keeps its material and its algorithm', (algorithm) => {
    const key = keyOf('a', algorithm);
    const again = importPublicJwk(JSON.parse(JSON.stringify(key.publicKey.jwk)));
    expect(again.jkt).toBe(key.publicKey.jkt);
    expect(again.algorithms).toEqual([algorithm]);
    const signature = sign(null, Buffer.from('m'), keyOf('a').keyObject);
    if (algorithm === 'Ed25519') expect(verify(null, Buffer.from('m'), again.keyObject, signature)).toBe(true);
  });

  test('metadata does not change the thumbprint', () => {
    expect(importPublicJwk({ ...jwk, kid: 'x', use: 'sig', key_ops: ['verify'] }).jkt).toBe(keyOf('a').publicKey.jkt);
  });
});

// did:key (W3C CCG did-method-key v0.9): the identifier is the key, so it resolves without asking anyone.

import { createPublicKey } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { base58 } from '@scure/base';
import { importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';

// Multicodec code points as unsigned varints.
const ED25519 = Buffer.of(0xed, 0x01);
const P256 = Buffer.of(0x80, 0x24);
const RSA = Buffer.of(0x85, 0x24);

/** Longest identifier read: an RSA key of 8192 bits is about 1,400 characters. Base58 decoding is quadratic. */
const LONGEST = 1500;

/** @throws {KeyError} */
export function keyOfDidKey(identifier: string): PublicKey {
  if (!identifier.startsWith('z') || identifier.length > LONGEST) throw new KeyError('did:key is not base58btc');
  let bytes: Buffer;
  try {
    bytes = Buffer.from(base58.decode(identifier.slice(1)));
  } catch {
    throw new KeyError('did:key is not base58btc');
  }
  const material = bytes.subarray(2);
  if (startsWith(bytes, ED25519)) return importPublicJwk({ kty: 'OKP', crv: 'Ed25519', x: material.toString('base64url') });
  if (startsWith(bytes, P256)) return importPublicJwk(p256Jwk(material));
  if (startsWith(bytes, RSA)) return importPublicJwk(rsaJwk(material));
  throw new KeyError('did:key of an unsupported key type: use Ed25519, P-256 or RSA');
}

/** The DID of a key, and with it of whoever holds its private half. */
export function didKeyOf(key: PublicKey): string {
  return `did:key:z${base58.encode(Buffer.concat(multicodec(key)))}`;
}

function multicodec(key: PublicKey): [Buffer, Buffer] {
  const { kty, x, y } = key.jwk;
  if (kty === 'OKP') return [ED25519, Buffer.from(x ?? '', 'base64url')];
  if (kty === 'EC') {
    const odd = (Buffer.from(y ?? '', 'base64url').at(-1) ?? 0) & 1;
    return [P256, Buffer.concat([Buffer.of(2 + odd), Buffer.from(x ?? '', 'base64url')])];
  }
  return [RSA, key.keyObject.export({ format: 'der', type: 'pkcs1' })];
}

function p256Jwk(compressed: Buffer): unknown {
  if (compressed.length !== 33) throw new KeyError('did:key of P-256 is not a compressed point');
  try {
    const point = Buffer.from(p256.Point.fromBytes(compressed).toBytes(false));
    return { kty: 'EC', crv: 'P-256', x: point.toString('base64url', 1, 33), y: point.toString('base64url', 33) };
  } catch {
    throw new KeyError('did:key is not a point of P-256');
  }
}

function rsaJwk(pkcs1: Buffer): unknown {
  try {
    const keyObject = createPublicKey({ key: pkcs1, format: 'der', type: 'pkcs1' });
    // One key, one spelling: DER has none but canonical forms, and OpenSSL reads others too.
    const jwk = keyObject.export({ format: 'jwk' });
    // Through the JWK, since OpenSSL 3.5 does not write a key again that it read from PKCS#1.
    const canonical = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'pkcs1' });
    if (!canonical.equals(pkcs1)) throw new KeyError('not canonical');
    return jwk;
  } catch {
    throw new KeyError('did:key is not an RSA key in canonical DER');
  }
}

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}

// Public keys, admitted only when valid (profile section 1): canonical encoding, on the curve, no small-order Ed25519
// point, RSA of 3072 bits or more. Some libraries accept small-order keys, under which one fixed signature verifies
// every message, so nothing is verified with a key that did not come through here.

import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import sodium from 'sodium-native';
import { decodeBase64url } from './base64url.ts';
import { jwkThumbprint, type PublicJwk } from './thumbprint.ts';

/** Fully specified algorithms (RFC 9864); `EdDSA` is polymorphic and not among them. */
export const ALGORITHMS = ['Ed25519', 'ES256', 'PS256', 'PS512'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

declare const validated: unique symbol;

/** A key that passed every check of this file. */
export interface PublicKey {
  readonly [validated]: true;
  /** SHA-256 JWK thumbprint, base64url. */
  readonly jkt: string;
  /** What the key may be used with: one algorithm, or both PSS hashes where an RSA JWK names none. */
  readonly algorithms: readonly Algorithm[];
  readonly jwk: PublicJwk;
  readonly keyObject: KeyObject;
  /** The 32 bytes of an Ed25519 key, for the verifier that takes them so. */
  readonly raw: Buffer | undefined;
}

export class KeyError extends Error {
  override readonly name = 'KeyError';
}

const MEMBERS = new Set(['kty', 'crv', 'x', 'y', 'n', 'e', 'alg', 'kid', 'use', 'key_ops', 'ext']);
const RSA_BITS = { least: 3072, most: 8192 };

/** @throws {KeyError} that says what is wrong with the key. */
export function importPublicJwk(jwk: unknown): PublicKey {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw new KeyError('a JWK is an object');
  for (const member of Object.keys(jwk)) {
    // A private member in public is a key given away; any other unknown one may change what the key means.
    if (!MEMBERS.has(member)) throw new KeyError(`JWK member "${member.slice(0, 20)}" is not one of a public key`);
  }
  const { kty, crv, x, y, n, e, alg, use, key_ops } = jwk as Record<string, unknown>;
  if ((use !== undefined && use !== 'sig') || (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes('verify'))))
    throw new KeyError('the key is not for signatures');
  if (kty === 'OKP' && crv === 'Ed25519') return ed25519Key(x, alg);
  if (kty === 'EC' && crv === 'P-256') return build({ kty, crv, ...p256Point(x, y) }, ['ES256'], alg);
  if (kty === 'RSA') return build({ kty, ...rsaModulus(n, e) }, ['PS256', 'PS512'], alg);
  throw new KeyError('unsupported key type: use Ed25519, P-256 or RSA');
}

function build(material: PublicJwk, possible: readonly Algorithm[], alg: unknown): PublicKey {
  const algorithms = alg === undefined ? possible : possible.filter((algorithm) => algorithm === alg);
  if (algorithms.length === 0) throw new KeyError(`"alg" of this key must be ${possible.join(' or ')}`);
  return new ValidKey(material, algorithms, alg !== undefined) as unknown as PublicKey;
}

/** A class and no object literal: a gateway may keep ten thousands of them. */
class ValidKey {
  readonly jkt: string;
  readonly algorithms: readonly Algorithm[];
  readonly jwk: PublicJwk;
  readonly raw: Buffer | undefined;
  #keyObject: KeyObject | undefined;

  constructor(material: PublicJwk, algorithms: readonly Algorithm[], namesOne: boolean) {
    this.jkt = jwkThumbprint(material);
    this.algorithms = algorithms;
    this.jwk = namesOne ? { ...material, alg: algorithms[0] } : material;
    this.raw = material.kty === 'OKP' ? ownBytes(material.x ?? '') : undefined;
    // Most keys are an agent's of Ed25519, which are verified with as they are; what else is wrong with another shows here.
    this.#keyObject = material.kty === 'OKP' ? undefined : importKey(material);
  }

  get keyObject(): KeyObject {
    this.#keyObject ??= importKey(this.jwk);
    return this.#keyObject;
  }
}

function importKey(material: PublicJwk): KeyObject {
  return createPublicKey({ key: material as JsonWebKey, format: 'jwk' });
}

/** A small Buffer keeps the whole slab that it was cut out of, and a key may be kept for long. */
function ownBytes(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text, 'base64url'));
  bytes.write(text, 'base64url');
  return bytes;
}

function coordinate(value: unknown, name: string): Buffer {
  const bytes = typeof value === 'string' ? decodeBase64url(value) : undefined;
  if (bytes === undefined || bytes.length !== 32) throw new KeyError(`"${name}" is not 32 bytes in canonical base64url`);
  return bytes;
}

function ed25519Key(untrustedX: unknown, alg: unknown): PublicKey {
  const bytes = coordinate(untrustedX, 'x');
  const x = bytes.toString('base64url');
  const recent = admitted.get(x);
  if (recent !== undefined && recent.jwk.alg === alg) return recent;
  // Canonical, on the curve and of the prime-order group, which all keys are that were made as keys are made: a fifth of the work.
  if (recent === undefined && !sodium.crypto_core_ed25519_is_valid_point(bytes)) assertEd25519Point(bytes);
  const key = build({ kty: 'OKP', crv: 'Ed25519', x }, ['Ed25519'], alg);
  if (admitted.size >= MOST_ADMITTED) admitted.clear();
  admitted.set(x, key);
  return key;
}

/** Keys that were found valid just now: an agent that is new comes with its key twice, in its token and in its document. */
const admitted = new Map<string, PublicKey>();
const MOST_ADMITTED = 256;

/** Says what is wrong, and admits what is not of the prime-order group and not of small order either. */
function assertEd25519Point(bytes: Buffer): void {
  let point: InstanceType<typeof ed25519.Point>;
  try {
    point = ed25519.Point.fromBytes(bytes);
  } catch {
    throw new KeyError('the key is not a canonically encoded point of Ed25519');
  }
  if (point.isSmallOrder()) throw new KeyError('the key is a small-order point of Ed25519');
}

function p256Point(x: unknown, y: unknown): { x: string; y: string } {
  const bytes = Buffer.concat([Buffer.of(4), coordinate(x, 'x'), coordinate(y, 'y')]);
  try {
    p256.Point.fromBytes(bytes).assertValidity();
  } catch {
    throw new KeyError('the key is not a point of P-256');
  }
  return { x: bytes.toString('base64url', 1, 33), y: bytes.toString('base64url', 33) };
}

function rsaModulus(n: unknown, e: unknown): { n: string; e: string } {
  const modulus = typeof n === 'string' ? decodeBase64url(n) : undefined;
  if (modulus === undefined || modulus[0] === 0) throw new KeyError('"n" is not a number in canonical base64url');
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < RSA_BITS.least) throw new KeyError(`RSA of ${bits} bits is too weak: use 4096`);
  if (bits > RSA_BITS.most) throw new KeyError(`RSA of ${bits} bits is too large: use 4096`);
  if (((modulus.at(-1) ?? 0) & 1) === 0) throw new KeyError('the RSA modulus is even');
  // Other exponents gain nothing and small ones cost safety; every current tool makes this one.
  if (e !== 'AQAB') throw new KeyError('the RSA exponent must be 65537');
  return { n: modulus.toString('base64url'), e };
}

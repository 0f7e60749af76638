// One verification method of a DID document (Controlled Identifiers 1.0, section 2.2): JsonWebKey, the form that the vault
// publishes, and Multikey, which other authors do. Its key is admitted only when valid.

import { importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';
import { keyOfDidKey } from './did-key.ts';
import { parseUtcTime } from './utc-time.ts';

/** The method cannot be used. */
export class MethodError extends Error {
  override readonly name = 'MethodError';
  /** The member that is wrong. */
  readonly member: string;

  constructor(member: string, message: string) {
    super(message);
    this.member = member;
  }
}

export interface ReadMethod {
  readonly key: PublicKey;
  /** Milliseconds since the epoch. */
  readonly expires: number | undefined;
}

const MATERIAL = ['publicKeyJwk', 'publicKeyMultibase', 'publicKeyBase58', 'publicKeyHex', 'publicKeyPem'];

/** @returns `undefined` for a key that its controller has revoked. @throws {MethodError} */
export function readVerificationMethod(did: string, untrusted: Readonly<Record<string, unknown>>): ReadMethod | undefined {
  if (untrusted.controller !== did) throw new MethodError('controller', 'is not the DID');
  const key = readKey(untrusted);
  const expires = readTime(untrusted, 'expires');
  return readTime(untrusted, 'revoked') === undefined ? { key, expires } : undefined;
}

/** Kinds of keys that the profile uses, by whatever spelling: of these one that is not valid is nowhere to stand. */
const OURS: ReadonlySet<unknown> = new Set(['Ed25519', 'P-256', 'RSA']);
const TYPES: ReadonlySet<unknown> = new Set(['JsonWebKey', 'JsonWebKey2020', 'Multikey']);
const OURS_AS_MULTIKEY = /^z(?:6Mk|Dn)/;

/**
 * A key of any purpose, for whoever admits documents.
 * @returns `undefined` for a kind of key that is not used here
 * @throws {MethodError} for one that is, and is not valid
 */
export function readAnyKey(untrusted: Readonly<Record<string, unknown>>): PublicKey | undefined {
  if (!TYPES.has(untrusted.type)) return undefined;
  try {
    return readKey(untrusted);
  } catch (error) {
    const { publicKeyJwk, publicKeyMultibase } = untrusted;
    const { kty, crv }: Record<string, unknown> = { ...(typeof publicKeyJwk === 'object' && publicKeyJwk) };
    const isOurs = OURS.has(crv ?? kty) || OURS_AS_MULTIKEY.test(String(publicKeyMultibase));
    if (error instanceof MethodError && !isOurs) return undefined;
    throw error;
  }
}

function readKey({ type, publicKeyJwk, publicKeyMultibase, ...others }: Readonly<Record<string, unknown>>): PublicKey {
  const jwk = type === 'JsonWebKey' || type === 'JsonWebKey2020';
  if (!jwk && type !== 'Multikey') throw new MethodError('type', 'is not supported: use JsonWebKey');
  const second = MATERIAL.find((name) => name in others) ?? (jwk ? publicKeyMultibase : publicKeyJwk);
  if (second !== undefined) throw new MethodError('type', 'has key material of another type beside its own');
  const member = jwk ? 'publicKeyJwk' : 'publicKeyMultibase';
  try {
    if (jwk) return importPublicJwk(publicKeyJwk);
    if (typeof publicKeyMultibase !== 'string') throw new KeyError('the Multikey is not a string');
    return keyOfDidKey(publicKeyMultibase);
  } catch (error) {
    // A Multikey is spelled as the identifier of a did:key is.
    if (error instanceof KeyError) throw new MethodError(member, error.message.replace(/^did:key/, 'the Multikey'));
    throw error;
  }
}

function readTime(untrusted: Readonly<Record<string, unknown>>, member: 'expires' | 'revoked'): number | undefined {
  const value = untrusted[member];
  if (value === undefined) return undefined;
  const time = typeof value === 'string' ? parseUtcTime(value) : undefined;
  if (time === undefined) throw new MethodError(member, 'is not a time in UTC such as 2027-01-01T00:00:00Z');
  return time;
}

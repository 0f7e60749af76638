// Content-Digest, RFC 9530 section 2: made by the sidecar, verified by the gateway over the bytes as received.

import { hash, timingSafeEqual } from 'node:crypto';
import { type Dictionary, parseDictionary } from 'structured-headers';

/** The algorithms of RFC 9530 that still are secure; any other in the field is ignored (section 5). */
const SUPPORTED = { 'sha-256': 'sha256', 'sha-512': 'sha512' } as const;

/** The field's value, with sha-256. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`;
}

/** @throws {Error} when the value is no Dictionary whose supported members are Byte Sequences. */
export function parseContentDigest(value: string): Dictionary {
  const digests = parseDictionary(value);
  for (const name of Object.keys(SUPPORTED)) {
    const member = digests.get(name);
    if (member !== undefined && !(member[0] instanceof ArrayBuffer)) throw new Error(`${name} is not a Byte Sequence`);
  }
  return digests;
}

/** True when at least one supported digest is present and every supported one is the body's. */
export function digestMatches(digests: Dictionary, body: Uint8Array): boolean {
  let matched = false;
  for (const [name, algorithm] of Object.entries(SUPPORTED)) {
    const member = digests.get(name);
    if (member === undefined) continue;
    const claimed = member[0];
    const actual = hash(algorithm, body, 'buffer');
    if (!(claimed instanceof ArrayBuffer) || claimed.byteLength !== actual.length) return false;
    if (!timingSafeEqual(new Uint8Array(claimed), actual)) return false;
    matched = true;
  }
  return matched;
}

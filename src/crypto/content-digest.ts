// Content-Digest, RFC 9530 section 2: made by the sidecar, verified by the gateway over the bytes as received.

import { hash, timingSafeEqual } from 'node:crypto';
import { parseByteSequences } from './structured-fields.ts';

/** The algorithms of RFC 9530 that still are secure; any other in the field is ignored (section 5). */
// A Map, since a name cut out of a header is no property key that the compiler could expect.
const SUPPORTED: ReadonlyMap<string, string> = new Map([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
]);

/** The field's value, with sha-256. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`;
}

/** Digests by algorithm name, those of unsupported algorithms left out. */
export type ContentDigests = ReadonlyMap<string, Buffer>;

/** @throws {Error} when the value is no Dictionary whose supported members are Byte Sequences. */
export function parseContentDigest(value: string): ContentDigests {
  const digests = new Map<string, Buffer>();
  for (const [name, digest] of parseByteSequences(value)) {
    if (!SUPPORTED.has(name)) continue;
    if (digest === undefined) throw new Error(`${name} is not a Byte Sequence`);
    digests.set(name, digest);
  }
  return digests;
}

/** True when at least one supported digest is present and every supported one is the body's. */
export function digestMatches(digests: ContentDigests, body: Uint8Array): boolean {
  for (const [name, claimed] of digests) {
    const algorithm = SUPPORTED.get(name);
    const actual = algorithm === undefined ? undefined : hash(algorithm, body, 'buffer');
    if (actual === undefined || claimed.length !== actual.length || !timingSafeEqual(claimed, actual)) return false;
  }
  return digests.size > 0;
}

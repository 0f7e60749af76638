// Base64url without padding (RFC 7515 section 2), canonical spellings only: a second spelling of one value
// would pass every comparison of strings that a cache, a replay store or a revocation relies on.

const ALPHABET = /^[A-Za-z0-9_-]*$/;

/** @returns the bytes, or `undefined` for a character outside the alphabet, padding, or non-zero trailing bits. */
export function decodeBase64url(text: string): Buffer | undefined {
  if (!ALPHABET.test(text) || text.length % 4 === 1) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

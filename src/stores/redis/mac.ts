// What makes a value in Redis one of the fleet's own: HMAC-SHA-256 under a key for each purpose, over the purpose, the key that it
// is stored at, and the value. Whoever is inside Redis can remove a value, or put an old one back at the same key, and no more.

import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { lengthPrefixed } from './keys.ts';

/** base64url of 32 bytes. */
const MAC_LENGTH = 43;
const LEAST_SECRET_BYTES = 32;

export class FleetSecretError extends Error {
  override readonly name = 'FleetSecretError';
}

export class FleetMac {
  readonly #key: KeyObject;
  readonly #purpose: string;

  /**
   * @param purpose `nonce`, `epoch`, `restrictions`: a value sealed for one is nothing to another
   * @throws {FleetSecretError} for a secret of fewer than 32 bytes
   */
  constructor(secret: string, purpose: string) {
    if (Buffer.byteLength(secret) < LEAST_SECRET_BYTES)
      throw new FleetSecretError(`the secret of the fleet is shorter than ${LEAST_SECRET_BYTES} bytes`);
    const derived = hkdfSync('sha256', secret, 'hermesbridge', lengthPrefixed('redis', purpose), 32);
    this.#key = createSecretKey(Buffer.from(derived));
    this.#purpose = purpose;
  }

  /** base64url, 43 characters: a name, or a proof, that only the fleet can make. */
  tag(...parts: readonly string[]): string {
    return createHmac('sha256', this.#key)
      .update(lengthPrefixed(this.#purpose, ...parts))
      .digest('base64url');
  }

  /** The value with its MAC before it, to be stored at `key`. */
  seal(key: string, value: string): string {
    return this.tag(key, value) + value;
  }

  /** The value, or `undefined` where it was not sealed by the fleet for this key. */
  open(key: string, sealed: string): string | undefined {
    const value = sealed.slice(MAC_LENGTH);
    const claimed = Buffer.from(sealed.slice(0, MAC_LENGTH), 'latin1');
    const expected = Buffer.from(this.tag(key, value), 'latin1');
    return claimed.length === expected.length && timingSafeEqual(claimed, expected) ? value : undefined;
  }
}

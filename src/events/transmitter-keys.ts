// The keys of a transmitter, from its JWK Set: asked for when they are too old, or when an event does not verify under
// them, and then no more often than twice a minute, whatever strangers send.

import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';

export interface TransmitterKeysSettings {
  /** Reads or fetches the JWK Set. */
  readonly load: () => Promise<Uint8Array>;
  /** Milliseconds. */
  readonly monotonic: () => number;
}

export type KeySet = ReturnType<typeof createLocalJWKSet>;

/** The keys cannot be had now: ask again later. */
export class UnavailableKeys extends Error {
  override readonly name = 'UnavailableKeys';
}

/** A key that was withdrawn holds no longer than the first, and while nobody answers no longer than the second. */
const FRESH_MILLIS = 600_000;
const STALE_MILLIS = 3_600_000;
const ASK_AGAIN_MILLIS = 30_000;
const MOST_KEYS = 100;

export class TransmitterKeys {
  readonly #settings: TransmitterKeysSettings;
  #kept: { readonly set: KeySet; readonly at: number } | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<KeySet> | undefined;

  constructor(settings: TransmitterKeysSettings) {
    this.#settings = settings;
  }

  /** Rejects with {@link UnavailableKeys}. */
  async current(): Promise<KeySet> {
    if (this.#kept !== undefined && this.#age() <= FRESH_MILLIS) return this.#kept.set;
    let cause: unknown;
    try {
      const renewed = await this.renewed();
      if (renewed !== undefined) return renewed;
    } catch (error) {
      cause = error;
    }
    if (this.#kept !== undefined && this.#age() <= STALE_MILLIS) return this.#kept.set;
    throw new UnavailableKeys('the keys cannot be had now', { cause });
  }

  /** As they are now; `undefined` when they were asked for a moment ago. Rejects with {@link UnavailableKeys}. */
  async renewed(): Promise<KeySet | undefined> {
    if (this.#asking !== undefined) return this.#asking;
    const now = this.#settings.monotonic();
    if (now - this.#askedAt < ASK_AGAIN_MILLIS) return undefined;
    this.#askedAt = now;
    this.#asking = this.#load(now).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  #age(): number {
    return this.#settings.monotonic() - (this.#kept?.at ?? Number.NEGATIVE_INFINITY);
  }

  async #load(at: number): Promise<KeySet> {
    let bytes: Uint8Array;
    try {
      bytes = await this.#settings.load();
    } catch (cause) {
      throw new UnavailableKeys('the keys cannot be had now', { cause });
    }
    const set = createLocalJWKSet({ keys: readKeys(bytes) });
    this.#kept = { set, at };
    return set;
  }
}

/** @throws {UnavailableKeys} for what is no JWK Set */
function readKeys(bytes: Uint8Array): JSONWebKeySet['keys'] {
  let value: unknown;
  try {
    value = parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonError) throw new UnavailableKeys(`the JWK Set is ${error.message}`);
    throw error;
  }
  const { keys } = (typeof value === 'object' && value !== null ? value : {}) as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length > MOST_KEYS) throw new UnavailableKeys('that is no JWK Set');
  // Symmetric keys have no place in a set that everyone can read.
  const isPublic = (key: unknown) => ['RSA', 'EC', 'OKP'].includes(String((key as { kty?: unknown } | null)?.kty));
  return keys.filter(isPublic) as JSONWebKeySet['keys'];
}

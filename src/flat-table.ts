// Names and two numbers for each, in 20 bytes, found in constant time: open addressing in typed arrays, which the garbage collector
// need not look through. In shards that grow one by one, so that no addition holds up the event loop.

import { hash, randomBytes } from 'node:crypto';

/** Words of a name; the first chooses the shard. */
export const NAME_WORDS = 4;
/** Words of a slot: three of the name, the two numbers. */
const SLOT = 5;
const FIRST_CAPACITY = 16;
/** Of every shard until something is added. */
const EMPTY = new Uint32Array(SLOT);

interface Shard {
  slots: Uint32Array;
  used: number;
}

export class FlatTable {
  readonly #shards: readonly Shard[];
  #slots: Uint32Array = EMPTY;
  #slot = 0;

  /** @param shards a power of two */
  constructor(shards = 256) {
    this.#shards = Array.from({ length: shards }, () => ({ slots: EMPTY, used: 0 }));
  }

  get size(): number {
    return this.#shards.reduce((sum, { used }) => sum + used, 0);
  }

  get bytes(): number {
    return this.#shards.reduce((sum, { slots }) => sum + slots.byteLength, 0);
  }

  /**
   * @param words names, {@link NAME_WORDS} each; whoever may choose them freely must not know where they come to lie
   * @param at index of the first word of the name
   */
  find(words: Uint32Array, at = 0): boolean {
    this.#slots = this.#shardOf(words, at).slots;
    this.#slot = findSlot(this.#slots, words, at);
    return this.first !== 0;
  }

  /** Of the name that was found, or put, last; 0 where it was not there. */
  get first(): number {
    return this.#slots[this.#slot + 3] ?? 0;
  }

  get second(): number {
    return this.#slots[this.#slot + 4] ?? 0;
  }

  /** In the place of what is there under this name. @param first from 1 to 2³² - 1, as `second`, which may be 0 */
  put(words: Uint32Array, at: number, first: number, second: number): void {
    if (!(first > 0 && first <= 0xffffffff)) throw new RangeError(`${first} is out of range`);
    const shard = this.#shardOf(words, at);
    // At three quarters a search still ends after a few steps.
    if ((shard.used + 1) * SLOT * 4 > shard.slots.length * 3) grow(shard);
    const { slots } = shard;
    const slot = findSlot(slots, words, at);
    if (slots[slot + 3] === 0) {
      shard.used++;
      for (let word = 0; word < 3; word++) slots[slot + word] = words[at + 1 + word] ?? 0;
    }
    slots[slot + 3] = first;
    slots[slot + 4] = second;
    this.#slots = slots;
    this.#slot = slot;
  }

  #shardOf(words: Uint32Array, at: number): Shard {
    return this.#shards[(words[at] ?? 0) & (this.#shards.length - 1)] as Shard;
  }
}

/** The slot with the name, or the empty one where it would be; in words from the beginning. */
function findSlot(slots: Uint32Array, words: Uint32Array, at: number): number {
  const a = words[at + 1] ?? 0;
  const b = words[at + 2] ?? 0;
  const c = words[at + 3] ?? 0;
  const mask = slots.length / SLOT - 1;
  for (let index = a & mask; ; index = (index + 1) & mask) {
    const slot = index * SLOT;
    if (slots[slot + 3] === 0 || (slots[slot] === a && slots[slot + 1] === b && slots[slot + 2] === c)) return slot;
  }
}

function grow(shard: Shard): void {
  const { slots } = shard;
  const grown = new Uint32Array(Math.max(slots.length * 2, FIRST_CAPACITY * SLOT));
  const mask = grown.length / SLOT - 1;
  for (let slot = 0; slot < slots.length; slot += SLOT) {
    if (slots[slot + 3] === 0) continue;
    let index = (slots[slot] ?? 0) & mask;
    while (grown[index * SLOT + 3] !== 0) index = (index + 1) & mask;
    grown.set(slots.subarray(slot, slot + SLOT), index * SLOT);
  }
  shard.slots = grown;
}

const DIGEST_BYTES = 32;
const DIGEST_LENGTH = 43;
const digest = Buffer.alloc(DIGEST_BYTES);
const digestWords = new Uint32Array(digest.buffer, digest.byteOffset, DIGEST_BYTES / 4);
/** Of this process alone: who makes names until many lie in one place cannot know which do. */
const seed = new Uint32Array(new Uint8Array(randomBytes(2 * DIGEST_BYTES)).buffer);

/**
 * The words of a SHA-256 in base64url, or of a text that is hashed for it. Equal names have equal words in this process only.
 * @returns the same array each time
 */
export function nameWords(name: string): Uint32Array {
  const written = name.length === DIGEST_LENGTH ? digest.write(name, 0, 'base64url') : 0;
  if (written !== DIGEST_BYTES) digest.set(hash('sha256', name, 'buffer'));
  let place = 0;
  for (let at = 0; at < digestWords.length; at++)
    place = (place + Math.imul((digestWords[at] ?? 0) ^ (seed[at] ?? 0), (seed[at + 8] ?? 0) | 1)) >>> 0;
  words[0] = place >>> 24;
  words[1] = place ^ (digestWords[0] ?? 0);
  words[2] = digestWords[1] ?? 0;
  words[3] = digestWords[2] ?? 0;
  return words;
}
const words = new Uint32Array(NAME_WORDS);

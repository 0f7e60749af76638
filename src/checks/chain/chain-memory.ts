// What is kept of chains that verified, by their tokens: bounded, the oldest goes first. Long chains take the place of several, so that
// an agent that makes chains as long as they may be takes up no more memory than one that does not.

import { hash } from 'node:crypto';
import { ownCopy } from '../../request.ts';

/** Characters of a chain that take one place. */
const PLACE = 4096;
/** V8 finds a longer key by its length alone, among all that are as long. */
const LONGEST_KEY = 16_000;

export class ChainMemory<T> {
  readonly #places: number;
  readonly #kept = new Map<string, { readonly value: T; readonly places: number }>();
  #taken = 0;

  /** @param places 0 keeps nothing */
  constructor(places: number) {
    this.#places = places;
  }

  /** @param name all tokens of the chain */
  get(name: string): T | undefined {
    return this.#kept.get(keyOf(name))?.value;
  }

  keep(name: string, value: T): void {
    this.forget(name);
    const places = Math.ceil(name.length / PLACE);
    if (places > this.#places) return;
    for (const oldest of this.#kept.keys()) {
      if (this.#taken + places <= this.#places) break;
      this.#drop(oldest);
    }
    this.#kept.set(ownCopy(keyOf(name)), { value, places });
    this.#taken += places;
  }

  forget(name: string): void {
    this.#drop(keyOf(name));
  }

  #drop(key: string): void {
    this.#taken -= this.#kept.get(key)?.places ?? 0;
    this.#kept.delete(key);
  }
}

function keyOf(name: string): string {
  return name.length > LONGEST_KEY ? hash('sha256', name, 'base64url') : name;
}

// Every revocation under its name: which it is, and which roots it covers.
// Measured with a million: 42 MB here, 190 MB in a Map by name (test/bench/restrictions.ts).

import { FlatTable, NAME_WORDS } from '../flat-table.ts';

/** In `before`: whenever the root was issued. */
export const ALWAYS = 0xffffffff;
/** Words of a name as {@link RevocationTable} takes it. */
export const ENTRY_WORDS = NAME_WORDS;

export class RevocationTable {
  readonly #table = new FlatTable();

  get size(): number {
    return this.#table.size;
  }

  get bytes(): number {
    return this.#table.bytes;
  }

  /**
   * @param words names, {@link ENTRY_WORDS} each
   * @param at index of the first word of the name
   * @param sequence from 1; where a name is there already, the one that covers more stays
   * @param before seconds since the epoch, or {@link ALWAYS}
   */
  add(words: Uint32Array, at: number, sequence: number, before: number): void {
    const table = this.#table;
    if (table.find(words, at) && table.second >= before) return;
    table.put(words, at, sequence, before);
  }

  /** @returns the sequence of the revocation under this name that covers a root issued at `iat`; 0 for none */
  find(words: Uint32Array, at: number, iat: number): number {
    const table = this.#table;
    if (!table.find(words, at)) return 0;
    const { first: sequence, second: before } = table;
    return before === ALWAYS || iat < before ? sequence : 0;
  }
}

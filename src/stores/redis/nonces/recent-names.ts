// Names that are kept for one window at least and two at most, by the monotonic clock. Two generations, each let go of as a whole.

import { FlatTable, nameWords } from '../../../flat-table.ts';

export class RecentNames {
  readonly #windowMillis: number;
  readonly #monotonic: () => number;
  #recent = new FlatTable();
  #lessRecent = new FlatTable();
  #since: number;

  constructor(windowMillis: number, monotonic: () => number) {
    this.#windowMillis = windowMillis;
    this.#monotonic = monotonic;
    this.#since = monotonic();
  }

  add(name: string): void {
    const now = this.#monotonic();
    if (now >= this.#since + this.#windowMillis) {
      // After a long silence the older generation is as old as the newer one: both may go, and one more round does no harm.
      this.#lessRecent = this.#recent;
      this.#recent = new FlatTable();
      this.#since = now;
    }
    this.#recent.put(nameWords(name), 0, 1, 0);
  }

  has(name: string): boolean {
    const words = nameWords(name);
    return this.#recent.find(words) || this.#lessRecent.find(words);
  }
}

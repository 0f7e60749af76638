// Names that are kept for one window at least and two at most, by the monotonic clock. Two generations, each let go of as a whole.

export class RecentNames {
  readonly #windowMillis: number;
  readonly #monotonic: () => number;
  #recent = new Set<string>();
  #lessRecent = new Set<string>();
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
      this.#recent = new Set();
      this.#since = now;
    }
    this.#recent.add(name);
  }

  has(name: string): boolean {
    return this.#recent.has(name) || this.#lessRecent.has(name);
  }
}

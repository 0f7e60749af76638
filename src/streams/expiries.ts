// Tells when things expire, with one timer for the next of them, however many there are.

export interface ExpiriesSettings<T> {
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Each thing is told once. */
  readonly onExpired: (expired: readonly T[]) => void;
}

/** The clock may be set, and a timer takes 24 days at most: a moment that is far away is looked at again after this time. */
const LONGEST_MILLIS = 30_000;

export class Expiries<T> {
  readonly #settings: ExpiriesSettings<T>;
  readonly #bySecond = new Map<number, Set<T>>();
  #timer: NodeJS.Timeout | undefined;
  /** The second that the timer is for. */
  #next = Number.POSITIVE_INFINITY;

  constructor(settings: ExpiriesSettings<T>) {
    this.#settings = settings;
  }

  /** @param second since the epoch, as a token's `exp` */
  add(thing: T, second: number): void {
    const there = this.#bySecond.get(second);
    if (there === undefined) this.#bySecond.set(second, new Set([thing]));
    else there.add(thing);
    if (second < this.#next) this.#wait(second);
  }

  delete(thing: T, second: number): void {
    const there = this.#bySecond.get(second);
    if (there?.delete(thing) && there.size === 0) this.#bySecond.delete(second);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#bySecond.clear();
  }

  #wait(second: number): void {
    clearTimeout(this.#timer);
    this.#next = second;
    if (second === Number.POSITIVE_INFINITY) return;
    const millis = Math.min(Math.max(0, second * 1000 - this.#settings.clock()), LONGEST_MILLIS);
    this.#timer = setTimeout(() => this.#look(), Math.ceil(millis)).unref();
  }

  #look(): void {
    const now = this.#settings.clock() / 1000;
    const expired: T[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [second, things] of this.#bySecond) {
      if (second > now) next = Math.min(next, second);
      else {
        expired.push(...things);
        this.#bySecond.delete(second);
      }
    }
    this.#wait(next);
    if (expired.length > 0) this.#settings.onExpired(expired);
  }
}

// How many events a transmitter may send: a token bucket, of events whose signature verified, so that strangers cannot empty it.

export class TooManyEvents extends Error {
  override readonly name = 'TooManyEvents';
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super('more events than are accepted in a minute');
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export class EventRate {
  readonly #perMinute: number;
  readonly #monotonic: () => number;
  #tokens: number;
  #at: number;

  /** @param monotonic milliseconds */
  constructor(perMinute: number, monotonic: () => number) {
    this.#perMinute = perMinute;
    this.#monotonic = monotonic;
    this.#tokens = perMinute;
    this.#at = monotonic();
  }

  /** @throws {TooManyEvents} */
  take(): void {
    const now = this.#monotonic();
    this.#tokens = Math.min(this.#perMinute, this.#tokens + ((now - this.#at) * this.#perMinute) / 60_000);
    this.#at = now;
    if (this.#tokens < 1) throw new TooManyEvents(Math.ceil(((1 - this.#tokens) * 60) / this.#perMinute));
    this.#tokens--;
  }
}

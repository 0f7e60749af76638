// How many events a transmitter may send: token buckets, of events whose signature verified, so that strangers cannot empty it.

export class TooManyEvents extends Error {
  override readonly name = 'TooManyEvents';
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super('more events than are accepted in a minute');
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Two buckets: however much of what concerns nobody here is told, there is room for what revokes. */
export class EventRate {
  readonly #perMinute: number;
  readonly #monotonic: () => number;
  readonly #revoking: Bucket;
  readonly #informing: Bucket;

  /** @param monotonic milliseconds */
  constructor(perMinute: number, monotonic: () => number) {
    this.#perMinute = perMinute;
    this.#monotonic = monotonic;
    this.#revoking = { tokens: perMinute, at: monotonic() };
    this.#informing = { ...this.#revoking };
  }

  /** @throws {TooManyEvents} */
  take(revokes: boolean): void {
    const bucket = revokes ? this.#revoking : this.#informing;
    const now = this.#monotonic();
    bucket.tokens = Math.min(this.#perMinute, bucket.tokens + ((now - bucket.at) * this.#perMinute) / 60_000);
    bucket.at = now;
    if (bucket.tokens < 1) throw new TooManyEvents(Math.ceil(((1 - bucket.tokens) * 60) / this.#perMinute));
    bucket.tokens--;
  }
}

interface Bucket {
  tokens: number;
  at: number;
}

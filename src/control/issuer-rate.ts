// How much the holders of issuers' keys may have kept. They are many, a key is made in a moment, and what is kept is kept for good on
// every gateway: so they share by the agent whose capability their chain began with, and by their depth in it, so that nobody keeps
// those above from ending it.

import { EventRate, TooManyEvents } from '../events/event-rate.ts';
import { Problem } from './problem.ts';

/** Of each kind, revocations and others, in each share. */
const PER_MINUTE = 60;
/** Beyond that the one that was seen least lately begins anew. */
const MOST_SHARES = 10_000;

export class IssuerRate {
  readonly #monotonic: () => number;
  readonly #rates = new Map<string, EventRate>();

  /** @param monotonic milliseconds */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** @throws {Problem} */
  take(share: string, revokes: boolean): void {
    const rate = this.#rates.get(share) ?? new EventRate(PER_MINUTE, this.#monotonic);
    this.#rates.delete(share);
    for (const oldest of this.#rates.keys()) {
      if (this.#rates.size < MOST_SHARES) break;
      this.#rates.delete(oldest);
    }
    this.#rates.set(share, rate);
    try {
      rate.take(revokes);
    } catch (error) {
      if (!(error instanceof TooManyEvents)) throw error;
      throw new Problem(
        'too-many-requests',
        'The keys of this depth below the agent may post no more for now: send it again later.',
        {
          headers: { 'retry-after': String(error.retryAfterSeconds) },
        },
      );
    }
  }
}

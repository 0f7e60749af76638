// A link to a key of our own that is there whenever it is asked for: opened on first use, and opened anew once 80 % of its lifetime
// are over, while the one before still serves (profile section 9).

import { type HeldChain, type LinkTerms, openLink } from './held-chain.ts';

export interface RenewalSettings {
  /** Asked at each renewal, so that each link can have an id of its own. */
  readonly terms: () => LinkTerms;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly onOpened?: (held: HeldChain) => void;
  /** The next use after a pause tries again. */
  readonly onFailed: (error: unknown) => void;
}

const SHARE = 0.8;
const RETRY_MILLIS = 5000;
/** A link with less than this left might end on its way to the gateway: the next one is waited for. */
const TRANSIT_MILLIS = 5000;

export class RenewedLink {
  readonly above: HeldChain;
  readonly #settings: RenewalSettings;
  #held: HeldChain | undefined;
  /** Milliseconds since the epoch. */
  #renewAt = 0;
  #opening: Promise<void> | undefined;

  constructor(above: HeldChain, settings: RenewalSettings) {
    this.above = above;
    this.#settings = settings;
  }

  /** @returns `undefined` where there is none and none can be opened */
  async current(): Promise<HeldChain | undefined> {
    const now = this.#settings.clock();
    if (now >= this.#renewAt) {
      this.#opening ??= this.#open(now).finally(() => {
        this.#opening = undefined;
      });
    }
    if (this.#opening !== undefined && !isGood(this.#held, now)) await this.#opening;
    return this.#held !== undefined && this.#held.expiresAt > now ? this.#held : undefined;
  }

  async #open(now: number): Promise<void> {
    const { terms, onOpened, onFailed } = this.#settings;
    try {
      const held = await openLink(this.above, terms(), now);
      this.#held = held;
      // The next one would end no later.
      const isLast = held.expiresAt >= this.above.expiresAt;
      this.#renewAt = isLast ? Number.POSITIVE_INFINITY : now + SHARE * (held.expiresAt - now);
      onOpened?.(held);
    } catch (error) {
      this.#renewAt = now + RETRY_MILLIS;
      onFailed(error);
    }
  }
}

function isGood(held: HeldChain | undefined, now: number): boolean {
  return held !== undefined && held.expiresAt - now > TRANSIT_MILLIS;
}

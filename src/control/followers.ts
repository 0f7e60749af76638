// The gateways that follow the restrictions, and how far each has come: what `revoke --wait` waits for. One that was not heard of for
// longer than it takes to deny everything by itself need not be waited for.

import { hash } from 'node:crypto';

interface Follower {
  readonly applied: number;
  /** Monotonic milliseconds until which it counts as live. */
  readonly liveUntil: number;
}

export interface Acknowledged {
  readonly followers: number;
  /** Names of those that have not come as far. */
  readonly missing: readonly string[];
}

const LEAST_LIVE_SECONDS = 5;
/** Beyond that nothing is acknowledged until some have gone: better a wait without an end than one that ends too early. */
const MOST = 1000;

export class Followers {
  readonly #monotonic: () => number;
  readonly #known = new Map<string, Follower>();
  readonly #local = new Map<string, () => number>();
  #overflowUntil = 0;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** A gateway in this process. @returns to be called when it ends */
  addLocal(name: string, applied: () => number): () => void {
    this.#local.set(name, applied);
    return () => void this.#local.delete(name);
  }

  /** @param secret the gateway's own name, which is told to nobody: another could speak for it */
  report(secret: string, applied: number, boundSeconds: number): void {
    const name = hash('sha256', secret, 'base64url').slice(0, 12);
    const liveUntil = this.#monotonic() + Math.max(LEAST_LIVE_SECONDS, boundSeconds) * 1000;
    if (!this.#known.has(name) && this.#known.size >= MOST) this.#forgetGone();
    if (!this.#known.has(name) && this.#known.size >= MOST) this.#overflowUntil = Math.max(this.#overflowUntil, liveUntil);
    else this.#known.set(name, { applied, liveUntil });
  }

  acknowledged(sequence: number): Acknowledged {
    this.#forgetGone();
    const local = [...this.#local].filter(([, applied]) => applied() < sequence).map(([name]) => name);
    const remote = [...this.#known].filter(([, { applied }]) => applied < sequence).map(([name]) => name);
    const others = this.#monotonic() < this.#overflowUntil ? ['others'] : [];
    return { followers: this.#local.size + this.#known.size + others.length, missing: [...local, ...remote, ...others] };
  }

  #forgetGone(): void {
    const now = this.#monotonic();
    for (const [name, { liveUntil }] of this.#known) if (liveUntil < now) this.#known.delete(name);
  }
}

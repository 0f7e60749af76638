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

export const LEAST_LIVE_SECONDS = 5;
/** Beyond that nothing is acknowledged until some have gone: better a wait without an end than one that ends too early. */
const MOST = 1000;

export class Followers {
  readonly #monotonic: () => number;
  readonly #known = new Map<string, Follower>();
  readonly #listeners = new Set<() => void>();
  readonly #local = new Map<string, () => number>();
  #overflowUntil = 0;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Called with each report. @returns to be called to end it */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A gateway in this process. @returns to be called when it ends */
  addLocal(name: string, applied: () => number): () => void {
    this.#local.set(name, applied);
    return () => void this.#local.delete(name);
  }

  /** @param secret the gateway's own name, which is told to nobody: another could speak for it */
  report(secret: string, applied: number, boundSeconds: number): void {
    const name = nameOf(secret);
    const liveUntil = this.#liveUntil(boundSeconds);
    if (!this.#known.has(name) && this.#known.size >= MOST) this.#forgetGone();
    if (!this.#known.has(name) && this.#known.size >= MOST) this.#overflowUntil = Math.max(this.#overflowUntil, liveUntil);
    else this.#known.set(name, { applied, liveUntil });
    for (const listener of this.#listeners) listener();
  }

  /** One that has reported relies on an answer of now. */
  relies(secret: string, boundSeconds: number): void {
    const name = nameOf(secret);
    const known = this.#known.get(name);
    if (known) this.#known.set(name, { ...known, liveUntil: this.#liveUntil(boundSeconds) });
  }

  /** It answers nothing any more. */
  forget(secret: string): void {
    this.#known.delete(nameOf(secret));
    for (const listener of this.#listeners) listener();
  }

  /** There may be some that are not known yet: nothing is acknowledged before they have had the time to report. */
  expectOthers(seconds: number): void {
    this.#overflowUntil = Math.max(this.#overflowUntil, this.#monotonic() + seconds * 1000);
  }

  acknowledged(sequence: number): Acknowledged {
    this.#forgetGone();
    const local = [...this.#local].filter(([, applied]) => applied() < sequence).map(([name]) => name);
    const remote = [...this.#known].filter(([, { applied }]) => applied < sequence).map(([name]) => name);
    const others = this.#monotonic() < this.#overflowUntil ? ['others'] : [];
    return { followers: this.#local.size + this.#known.size + others.length, missing: [...local, ...remote, ...others] };
  }

  #liveUntil(boundSeconds: number): number {
    return this.#monotonic() + Math.max(LEAST_LIVE_SECONDS, boundSeconds) * 1000;
  }

  #forgetGone(): void {
    const now = this.#monotonic();
    for (const [name, { liveUntil }] of this.#known) if (liveUntil < now) this.#known.delete(name);
  }
}

function nameOf(secret: string): string {
  return hash('sha256', secret, 'base64url').slice(0, 12);
}

// What a replica hears of the others. A nonce that was heard of stays taken here, whatever becomes of its key in Redis; whoever
// does not hear, or notices that something is missing, lets nothing pass that could be what it missed.

import type { FleetMac } from '../mac.ts';
import { RecentNames } from './recent-names.ts';
import { openBatch } from './told-nonces.ts';

export interface HearingSettings {
  /** This replica's own, which it has to hear as well. */
  readonly replica: string;
  readonly mac: FleetMac;
  readonly key: string;
  readonly windowMillis: number;
  readonly monotonic: () => number;
  /** Whether this replica took the nonce itself. */
  readonly isOwn: (name: string) => boolean;
  /** Two replicas took the same nonce: somebody removed its key in between. */
  readonly onTwice: () => void;
  /** Another replica asks for a word. */
  readonly onCall: () => void;
  /** Something is missing, or is not of the fleet: nothing that was signed until now may pass any more. */
  readonly onMissing: (why: string) => void;
}

/** Longest time in which a replica hears nothing of itself, which it tells every second. */
export const SILENCE_MILLIS = 3000;
/** A replica that is heard of for the first time after that has just started, and begins with its first batch. */
const NEWCOMER_MILLIS = 5000;

export class HeardNonces {
  readonly #settings: HearingSettings;
  readonly #names: RecentNames;
  readonly #numbers = new Map<string, number>();
  readonly #since: number;
  /** Others by when they were last heard. */
  readonly #others = new Map<string, number>();
  /** Those that were there before the connection was gone, and have not said anything since it is back. */
  readonly #awaited = new Set<string>();
  #awaitedSince = 0;
  #ownAt = Number.NEGATIVE_INFINITY;
  #ownNumber = Number.POSITIVE_INFINITY;

  constructor(settings: HearingSettings) {
    this.#settings = settings;
    this.#names = new RecentNames(settings.windowMillis, settings.monotonic);
    this.#since = settings.monotonic();
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /**
   * `false` from the moment that the connection is gone until this replica has heard itself again, and after itself each one that was
   * there before: what one of them told meanwhile may have been removed, and only its next number shows that.
   */
  get isCurrent(): boolean {
    return this.hearsItself && this.#awaited.size === 0;
  }

  get hearsItself(): boolean {
    return this.#settings.monotonic() - this.#ownAt < SILENCE_MILLIS;
  }

  /** From now on; what this replica told up to `ownNumber` may come out of the past. */
  listening(ownNumber: number): void {
    this.#ownNumber = ownNumber;
    this.#awaitedSince = this.#settings.monotonic();
  }

  /** To be called now and then: one that is not heard again is gone, and with it perhaps what it told last. */
  giveUp(): void {
    const { monotonic, onMissing } = this.#settings;
    if (this.#awaited.size === 0 || !this.hearsItself || monotonic() - this.#awaitedSince < SILENCE_MILLIS) return;
    for (const replica of this.#awaited) this.#others.delete(replica);
    this.#awaited.clear();
    onMissing('a replica that was there before');
  }

  /** The connection is gone. */
  deaf(): void {
    const now = this.#settings.monotonic();
    for (const [replica, heardAt] of this.#others) {
      if (heardAt > now - SILENCE_MILLIS) this.#awaited.add(replica);
      else if (!this.#awaited.has(replica)) this.#others.delete(replica);
    }
    this.#ownAt = Number.NEGATIVE_INFINITY;
    this.#ownNumber = Number.POSITIVE_INFINITY;
  }

  hear(sealed: string): void {
    const { mac, key, replica: own, monotonic, isOwn, onTwice, onMissing, onCall } = this.#settings;
    const batch = openBatch(mac, key, sealed);
    if (batch === undefined) {
      onMissing('an entry that is not of the fleet');
      return;
    }
    const { replica, number, names, calls } = batch;
    const last = this.#numbers.get(replica);
    if (last !== undefined && number <= last) return;
    this.#numbers.set(replica, number);
    if (last === undefined ? number !== 1 && monotonic() - this.#since > NEWCOMER_MILLIS : number !== last + 1)
      onMissing('an entry of another replica');
    if (replica === own) {
      if (number > this.#ownNumber) this.#ownAt = monotonic();
      return;
    }
    this.#others.set(replica, monotonic());
    // What came before this replica's own word may be older than what was removed.
    if (this.hearsItself) this.#awaited.delete(replica);
    if (calls) onCall();
    for (const name of names) {
      if (isOwn(name)) onTwice();
      this.#names.add(name);
    }
  }
}

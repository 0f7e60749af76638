// Nonces of one process, in memory: the set-once register behind row 9. What must outlive the process is written by the
// store together with the decision's record; here it is loaded again at start.
//
// Entries leave by the monotonic clock, so that setting the wall clock neither forgets a nonce early nor keeps it for ever.
// What left is remembered as one number: a signature that could have been among the forgotten is refused.

import { FlatTable, nameWords } from '../../flat-table.ts';
import type { NonceStore, NonceUse, NonceVerdict } from './check-nonce.ts';

/** Of a window, and at least so many milliseconds: what is accepted in one slice is forgotten with it, as a whole. */
const SLICES = 16;
const LEAST_SLICE_MILLIS = 1000;
/** A slice of some seconds is small, and there are two tables in each. */
const SHARDS = 64;
/** Keys below a root cost their holder nothing: so many times one key's share is what they have together. */
const KEYS_PER_ROOT = 4;
/** Profile section 4: a Check repeated within this time gets the same answer. */
export const REPEAT_MILLIS = 2000;

interface Slice {
  readonly closesAt: number;
  latestRetained: number;
  size: number;
  readonly entries: FlatTable;
  /** Of each key, how many of them it has, and one more; and how many all keys have whose root is bound to it. */
  readonly keys: FlatTable;
}

interface RecentUse {
  readonly streamId: string;
  readonly signature: string;
  readonly decisionId: string;
  readonly at: number;
}

export interface NonceMemorySettings {
  readonly perKeyLimit: number;
  /** Longest time in milliseconds from acceptance to the end of a signature's window, both skews included. */
  readonly windowMillis: number;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
  /** Milliseconds since the epoch through which an earlier process forgot nonces. */
  readonly forgottenThrough: number;
  /** Seconds since the epoch before which nothing is known: the store did not exist, or its predecessor was lost. */
  readonly bornAt: number;
}

export class NonceMemory implements NonceStore {
  readonly #settings: NonceMemorySettings;
  readonly #slices: Slice[] = [];
  readonly #sliceMillis: number;
  // Two generations, each let go of as a whole: one Map would be walked from its first entry each time, past all that left it.
  #recent = new Map<string, RecentUse>();
  #lessRecent = new Map<string, RecentUse>();
  #recentSince = 0;
  #forgottenThrough: number;

  constructor(settings: NonceMemorySettings) {
    this.#settings = settings;
    this.#forgottenThrough = settings.forgottenThrough;
    this.#sliceMillis = Math.max(LEAST_SLICE_MILLIS, settings.windowMillis / SLICES);
  }

  get size(): number {
    return this.#slices.reduce((sum, { size }) => sum + size, 0);
  }

  /** Takes up a nonce that an earlier process accepted. */
  load(entry: string, jkt: string, retainUntil: number): void {
    // Whose root it was is not known any more, for the rest of a window.
    if (!this.#has(entry)) this.#add(entry, jkt, jkt, retainUntil, this.#settings.monotonic());
  }

  consume(use: NonceUse): NonceVerdict {
    const known = this.look(use);
    if (known !== undefined) return known;
    const { entry, jkt, rootJkt = jkt, retainUntil, streamId, signature, decisionId } = use;
    const now = this.#settings.monotonic();
    this.#add(entry, jkt, rootJkt, retainUntil, now);
    this.#recent.set(entry, { streamId, signature, decisionId, at: now });
    return 'first';
  }

  /** The verdict if it is any but `first`; nothing is taken. */
  look(use: NonceUse): Exclude<NonceVerdict, 'first'> | undefined {
    const now = this.#settings.monotonic();
    this.#forget(now);
    if (use.retainUntil <= this.#forgottenThrough || use.created < this.#settings.bornAt) return 'forgotten';
    const { entry } = use;
    if (this.#has(entry)) {
      const first = this.#recent.get(entry) ?? this.#lessRecent.get(entry);
      const repeated =
        first !== undefined &&
        first.at + REPEAT_MILLIS > now &&
        first.streamId === use.streamId &&
        first.signature === use.signature &&
        use.streamId !== '';
      return repeated ? { repeated: first.decisionId } : 'replayed';
    }
    const { perKeyLimit } = this.#settings;
    const { jkt, rootJkt = jkt } = use;
    const its = this.#countOf(jkt);
    const { below } = rootJkt === jkt ? its : this.#countOf(rootJkt);
    return its.own >= perKeyLimit || below >= perKeyLimit * KEYS_PER_ROOT ? 'quota' : undefined;
  }

  #has(entry: string): boolean {
    const words = nameWords(entry);
    return this.#slices.some(({ entries }) => entries.find(words));
  }

  #countOf(jkt: string): { own: number; below: number } {
    const words = nameWords(jkt);
    const count = { own: 0, below: 0 };
    for (const { keys } of this.#slices) {
      if (!keys.find(words)) continue;
      count.own += keys.first - 1;
      count.below += keys.second;
    }
    return count;
  }

  #add(entry: string, jkt: string, rootJkt: string, retainUntil: number, now: number): void {
    let slice = this.#slices.at(-1);
    if (slice === undefined || slice.closesAt <= now) {
      const tables = { entries: new FlatTable(SHARDS), keys: new FlatTable(SHARDS) };
      slice = { closesAt: now + this.#sliceMillis, latestRetained: 0, size: 0, ...tables };
      this.#slices.push(slice);
    }
    slice.latestRetained = Math.max(slice.latestRetained, retainUntil);
    slice.size++;
    slice.entries.put(nameWords(entry), 0, 1, 0);
    count(slice.keys, jkt, 1, jkt === rootJkt ? 1 : 0);
    if (rootJkt !== jkt) count(slice.keys, rootJkt, 0, 1);
  }

  #forget(now: number): void {
    if (this.#recentSince + REPEAT_MILLIS <= now) {
      this.#lessRecent = this.#recent;
      this.#recent = new Map();
      this.#recentSince = now;
    }
    for (let slice = this.#slices[0]; slice !== undefined; slice = this.#slices[0]) {
      if (slice.closesAt + this.#settings.windowMillis > now) return;
      this.#slices.shift();
      this.#forgottenThrough = Math.max(this.#forgottenThrough, slice.latestRetained);
    }
  }
}

function count(keys: FlatTable, jkt: string, own: number, below: number): void {
  const words = nameWords(jkt);
  const [before, belowBefore] = keys.find(words) ? [keys.first, keys.second] : [1, 0];
  keys.put(words, 0, before + own, belowBefore + below);
}

// Nonces of one process, in memory: the set-once register behind row 9. What must outlive the process is written by the
// store together with the decision's record; here it is loaded again at start.
//
// Entries leave by the monotonic clock, so that setting the wall clock neither forgets a nonce early nor keeps it for ever.
// What left is remembered as one number: a signature that could have been among the forgotten is refused.

import type { NonceStore, NonceUse, NonceVerdict } from './check-nonce.ts';

const BUCKET_MILLIS = 1000;
/** Profile section 4: a Check repeated within this time gets the same answer. */
export const REPEAT_MILLIS = 2000;

interface Bucket {
  readonly closesAt: number;
  latestRetained: number;
  readonly entries: string[];
  readonly keys: string[];
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
  readonly #seen = new Set<string>();
  readonly #perKey = new Map<string, number>();
  // Two generations, each let go of as a whole: one Map would be walked from its first entry each time, past all that left it.
  #recent = new Map<string, RecentUse>();
  #lessRecent = new Map<string, RecentUse>();
  #recentSince = 0;
  readonly #buckets: Bucket[] = [];
  #forgottenThrough: number;

  constructor(settings: NonceMemorySettings) {
    this.#settings = settings;
    this.#forgottenThrough = settings.forgottenThrough;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Takes up a nonce that an earlier process accepted. */
  load(entry: string, jkt: string, retainUntil: number): void {
    if (!this.#seen.has(entry)) this.#add(entry, jkt, retainUntil, this.#settings.monotonic());
  }

  consume(use: NonceUse): NonceVerdict {
    const known = this.look(use);
    if (known !== undefined) return known;
    const { entry, jkt, retainUntil, streamId, signature, decisionId } = use;
    const now = this.#settings.monotonic();
    this.#add(entry, jkt, retainUntil, now);
    this.#recent.set(entry, { streamId, signature, decisionId, at: now });
    return 'first';
  }

  /** The verdict if it is any but `first`; nothing is taken. */
  look(use: NonceUse): Exclude<NonceVerdict, 'first'> | undefined {
    const now = this.#settings.monotonic();
    this.#forget(now);
    if (use.retainUntil <= this.#forgottenThrough || use.created < this.#settings.bornAt) return 'forgotten';
    const { entry } = use;
    if (this.#seen.has(entry)) {
      const first = this.#recent.get(entry) ?? this.#lessRecent.get(entry);
      const repeated =
        first !== undefined &&
        first.at + REPEAT_MILLIS > now &&
        first.streamId === use.streamId &&
        first.signature === use.signature &&
        use.streamId !== '';
      return repeated ? { repeated: first.decisionId } : 'replayed';
    }
    return (this.#perKey.get(use.jkt) ?? 0) >= this.#settings.perKeyLimit ? 'quota' : undefined;
  }

  #add(entry: string, jkt: string, retainUntil: number, now: number): void {
    let bucket = this.#buckets.at(-1);
    if (bucket === undefined || bucket.closesAt <= now) {
      bucket = { closesAt: now + BUCKET_MILLIS, latestRetained: 0, entries: [], keys: [] };
      this.#buckets.push(bucket);
    }
    bucket.entries.push(entry);
    bucket.keys.push(jkt);
    bucket.latestRetained = Math.max(bucket.latestRetained, retainUntil);
    this.#seen.add(entry);
    this.#perKey.set(jkt, (this.#perKey.get(jkt) ?? 0) + 1);
  }

  #forget(now: number): void {
    if (this.#recentSince + REPEAT_MILLIS <= now) {
      this.#lessRecent = this.#recent;
      this.#recent = new Map();
      this.#recentSince = now;
    }
    for (let bucket = this.#buckets[0]; bucket !== undefined; bucket = this.#buckets[0]) {
      if (bucket.closesAt + this.#settings.windowMillis > now) return;
      this.#buckets.shift();
      this.#forgottenThrough = Math.max(this.#forgottenThrough, bucket.latestRetained);
      for (const entry of bucket.entries) this.#seen.delete(entry);
      for (const jkt of bucket.keys) this.#release(jkt);
    }
  }

  #release(jkt: string): void {
    const left = (this.#perKey.get(jkt) ?? 1) - 1;
    if (left === 0) this.#perKey.delete(jkt);
    else this.#perKey.set(jkt, left);
  }
}

// Follows the restrictions of a vault in another process, over HTTPS or in a store that gateways share. The vault orders and keeps
// them; what they say, the gateway verifies itself, keeps in a copy of its own, and never forgets: a feed that was taken back is not
// followed, and what it lost stays in force.

import { hash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { EMPTY_HEAD } from './feed-head.ts';
import type { FeedPlace } from './feed-segment.ts';
import type { FeedSource, VouchedSegment } from './feed-source.ts';
import { type ReadFeedSettings, RefusedFeed, readFeed } from './read-feed.ts';
import type { FeedPosition, RestrictionStore } from './restriction-store.ts';

export interface FollowRestrictionsSettings extends Omit<ReadFeedSettings, 'store' | 'authors'> {
  readonly source: FeedSource;
  /** The copy. */
  readonly store: RestrictionStore;
  /** DIDs whose restrictions can count for a chain here: trusted operators and administrators. */
  readonly authors: () => readonly string[];
  readonly maxStaleSeconds: number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  /** `refused`: someone at the source is lying, or put back a backup without saying so. Told once for each change. */
  readonly onState: (state: 'following' | 'interrupted' | 'refused', error: unknown) => void;
  /** A new history of the feed lacks so many that are known here. They stay in force here, and should be put back there. */
  readonly onMissing: (count: number) => void;
}

export interface FollowedRestrictions {
  /** Everything has been read, and not longer ago than the bound. */
  isFresh(): boolean;
  /** The sequence of the feed everything up to which is in force here. */
  readonly highWaterMark: number;
  /** The authors are others now: resolves when what was passed over is in force. */
  reread(): Promise<void>;
  stop(): void;
}

const LEAST_PAUSE_MILLIS = 100;

/** The longest time in seconds for which the feed is asked to hold an answer back. */
export function feedWaitSeconds(maxStaleSeconds: number): number {
  return Math.min(20, Math.floor(maxStaleSeconds / 2));
}

export function followRestrictions(settings: FollowRestrictionsSettings): FollowedRestrictions {
  const follower = new Follower(settings);
  void follower.run();
  return follower;
}

class Follower implements FollowedRestrictions {
  readonly #settings: FollowRestrictionsSettings;
  readonly #name = randomBytes(16).toString('base64url');
  readonly #ended = new AbortController();
  #position: FeedPosition;
  #complete = false;
  #heardAt = Number.NEGATIVE_INFINITY;
  #state: 'following' | 'interrupted' | 'refused' | undefined;
  /** Of a complete reading that is under way; `undefined` when what was read before goes on. */
  #reading: { known: number; readonly newHistory: boolean; readonly atLeast: number } | undefined;
  #waiting: (() => void)[] = [];

  constructor(settings: FollowRestrictionsSettings) {
    this.#settings = settings;
    const kept = settings.store.position();
    const authors = digestOf(settings.authors());
    this.#position = kept?.authors === authors ? kept : start(kept?.epoch ?? '', authors);
    if (this.#position !== kept) this.#reading = { known: 0, newHistory: false, atLeast: kept?.sequence ?? 0 };
  }

  get highWaterMark(): number {
    return this.#position.sequence;
  }

  isFresh(): boolean {
    const { maxStaleSeconds, monotonic, store } = this.#settings;
    return this.#complete && store.failure === undefined && monotonic() - this.#heardAt <= maxStaleSeconds * 1000;
  }

  reread(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  stop(): void {
    this.#ended.abort();
  }

  async run(): Promise<void> {
    let pause = LEAST_PAUSE_MILLIS;
    while (!this.#ended.signal.aborted) {
      try {
        const news = await this.#ask();
        if (this.#ended.signal.aborted) return;
        this.#tell('following', undefined);
        pause = LEAST_PAUSE_MILLIS;
        // A feed that does not hold answers back would be asked without end.
        if (!news) await this.#sleep(LEAST_PAUSE_MILLIS);
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        this.#tell(error instanceof RefusedFeed ? 'refused' : 'interrupted', error);
        await this.#sleep(pause * (0.5 + Math.random()));
        pause = Math.min(pause * 2, this.#settings.source.mostPauseMillis);
      }
    }
  }

  /** @returns whether there is more to ask for at once */
  async #ask(): Promise<boolean> {
    const { source, store, keys, monotonic, maxStaleSeconds, authors } = this.#settings;
    const wanted = authors();
    if (digestOf(wanted) !== this.#position.authors) this.#startOver(this.#position.epoch, wanted, false);
    const from = this.#position;
    // Whoever comes while the question is under way waits for the next one.
    const waiting = [...this.#waiting];
    const askedAt = monotonic();
    const feed = await source.ask({
      after: from.sequence,
      epoch: from.epoch || undefined,
      wait: this.#complete && this.#reading === undefined ? feedWaitSeconds(maxStaleSeconds) : 0,
      follower: this.#name,
      applied: from.sequence,
      bound: Math.ceil(maxStaleSeconds),
    });
    if (feed.epoch !== from.epoch) {
      // Nothing of it is in force before all of it is known.
      if (from.epoch !== '') this.#complete = false;
      this.#startOver(feed.epoch, wanted, from.epoch !== '');
      return true;
    }
    const { atLeast = 0 } = this.#reading ?? {};
    if (feed.last < atLeast) throw new RefusedFeed(`it ends at ${feed.last}, but ${atLeast} was read before: it was taken back`);
    if ('segment' in feed) return this.#import(feed, from);
    const page = await readFeed(feed, from, { store, keys, authors: new Set(wanted) });
    if (page.position.sequence !== from.sequence) await this.#keep(page.restrictions, page.position);
    if (this.#reading) this.#reading.known += page.known;
    this.#position = page.position;
    if (page.position.sequence < feed.last) {
      if (feed.restrictions.length === 0) throw new RefusedFeed(`number ${page.position.sequence + 1} is missing`);
      return true;
    }
    this.#finish();
    this.#heardAt = feed.heardAt;
    this.#waiting = this.#waiting.filter((resolve) => !waiting.includes(resolve));
    for (const resolve of waiting) resolve();
    return feed.restrictions.length > 0 || monotonic() - askedAt >= LEAST_PAUSE_MILLIS;
  }

  async #import({ segment, last }: VouchedSegment, from: FeedPlace): Promise<true> {
    const { sequence } = segment.end;
    if (last < sequence) throw new RefusedFeed(`it ends at ${last}, but has a segment up to ${sequence}`);
    const position = { ...this.#position, ...segment.end };
    await this.#settings.store.import(segment, { sequence: from.sequence, head: from.head }, position);
    if (this.#reading) this.#reading.known += sequence - from.sequence;
    this.#position = position;
    return true;
  }

  async #keep(restrictions: Parameters<RestrictionStore['append']>[0], position: FeedPosition): Promise<void> {
    const appended = await this.#settings.store.append(restrictions, position);
    if (appended.some(({ outcome }) => outcome === 'taken')) throw new RefusedFeed('it gives one id to two restrictions');
  }

  #startOver(epoch: string, authors: readonly string[], newHistory: boolean): void {
    const atLeast = newHistory ? 0 : Math.max(this.#position.sequence, this.#reading?.atLeast ?? 0);
    this.#position = start(epoch, digestOf(authors));
    this.#reading = { known: 0, newHistory, atLeast };
  }

  #finish(): void {
    const reading = this.#reading;
    this.#complete = true;
    this.#reading = undefined;
    const missing = reading?.newHistory ? this.#settings.store.lastSequence() - reading.known : 0;
    if (missing > 0) this.#settings.onMissing(missing);
  }

  #tell(state: 'following' | 'interrupted' | 'refused', error: unknown): void {
    if (this.#state !== state) this.#settings.onState(state, error);
    this.#state = state;
  }

  async #sleep(millis: number): Promise<void> {
    await sleep(millis, undefined, { signal: this.#ended.signal, ref: false }).catch(() => {});
  }
}

function start(epoch: string, authors: string): FeedPosition {
  return { epoch, sequence: 0, head: EMPTY_HEAD, authors };
}

function digestOf(authors: readonly string[]): string {
  return hash('sha256', [...new Set(authors)].sort().join('\n'), 'base64url');
}

// The feed of restrictions as a gateway reads it from Redis. What is fresh follows from the vault's last statement, which names this
// gateway, is never older than the one before, and is as old as its time says: one that is held back or put back counts for nothing.

import { hash } from 'node:crypto';
import type { FeedSegment } from '../../../restrictions/feed-segment.ts';
import type { FeedPage, FeedSource, VouchedSegment } from '../../../restrictions/feed-source.ts';
import { RefusedFeed } from '../../../restrictions/read-feed.ts';
import type { FeedQuestion } from '../../../restrictions/restriction-feed.ts';
import type { RedisConnection } from '../connection.ts';
import type { AnnouncedPresence } from './announce-presence.ts';
import type { HeadStatement, RestrictionKeys, SnapshotManifest } from './statements.ts';
import { type RawEntry, readEntry, type StreamEntry, streamId } from './stream.ts';

export interface RedisFeedSettings {
  /** Its own, since commands block on it for {@link BLOCK_MILLIS}. */
  readonly connection: RedisConnection;
  readonly keys: RestrictionKeys;
  readonly maxStaleSeconds: number;
  /** Tells the vault how far this gateway is. */
  readonly presence: Pick<AnnouncedPresence, 'report' | 'repeat'>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

/** The longest time for which a command blocks: after that the statement is looked at all the same. */
export const BLOCK_MILLIS = 250;
const ANSWER_MILLIS = 2000;
const SEGMENT_MILLIS = 10_000;
const ROWS = 500;
/** Restrictions whose signatures take longer to verify than a segment to take over. */
const FAR = 1000;

interface Fetched {
  readonly to: number;
  readonly segment: Promise<FeedSegment>;
}

/** After this time without a statement that names this gateway the next one is looked for, and no news waited for. */
const UNNAMED_MILLIS = 1500;

export class RedisFeed implements FeedSource {
  /** Without a connection a question costs nothing. */
  readonly mostPauseMillis = 100;
  readonly #settings: RedisFeedSettings;
  /** Of the newest statement. */
  #at = Number.NEGATIVE_INFINITY;
  /** When the newest statement that names this gateway was true for the last time. */
  #heardAt = Number.NEGATIVE_INFINITY;
  #manifest: SnapshotManifest | undefined;
  #next: Fetched | undefined;

  constructor(settings: RedisFeedSettings) {
    this.#settings = settings;
  }

  async ask(question: FeedQuestion): Promise<FeedPage | VouchedSegment> {
    const { after, epoch } = question;
    if (epoch !== undefined) this.#settings.presence.report(question);
    // Who is complete waits for news; who is not first learns how far there is to go.
    const isNamed = this.#settings.monotonic() - this.#heardAt < UNNAMED_MILLIS;
    const waitMillis = isNamed ? question.wait * 1000 : 0;
    let entries = epoch !== undefined && waitMillis > 0 ? await this.#readStream(epoch, after, waitMillis) : [];
    const statement = await this.#readStatement(question.follower);
    const { last, first } = statement;
    const heard = { epoch: statement.epoch, last, heardAt: this.#heardAt };
    if (epoch !== statement.epoch) return { ...heard, restrictions: [], head: '' };
    const segment = after + 1 < first || last - after > FAR ? await this.#readSegment(statement, after) : undefined;
    if (segment) return { ...heard, segment };
    if (after + 1 < first) throw new Error(`no snapshot reaches from ${after} to the stream yet`);
    // It may have come after the stream was read, but before the statement was.
    if (entries.length === 0 && after < last) entries = await this.#readStream(epoch, after, 0);
    const restrictions = entries.map(({ sequence, compact }) => ({ sequence, restriction: compact }));
    return { ...heard, restrictions, head: this.#headOf(statement, entries.at(-1)) };
  }

  #headOf({ epoch, last, head }: HeadStatement, end: StreamEntry | undefined): string {
    if (end === undefined || end.sequence === last) return head;
    const sealed = this.#settings.keys.openHead(epoch, end.sequence, end.head);
    if (sealed === undefined) throw new RefusedFeed(`number ${end.sequence} of the stream is none of the vault`);
    return sealed;
  }

  async #readStream(epoch: string, after: number, waitMillis: number): Promise<StreamEntry[]> {
    const { connection, keys } = this.#settings;
    const key = keys.stream(epoch);
    const block = Math.min(waitMillis, BLOCK_MILLIS);
    const found = await connection.run(
      (client) =>
        block > 0
          ? client.xread('COUNT', ROWS, 'BLOCK', block, 'STREAMS', key, streamId(after))
          : client.xread('COUNT', ROWS, 'STREAMS', key, streamId(after)),
      ANSWER_MILLIS,
    );
    return ((found?.[0]?.[1] ?? []) as RawEntry[]).map(readEntry);
  }

  async #readStatement(follower: string): Promise<HeadStatement> {
    const { connection, keys, clock, monotonic, maxStaleSeconds } = this.#settings;
    const sealed = await connection.run((client) => client.get(keys.key('head')), ANSWER_MILLIS);
    if (sealed === null) throw new Error('the vault has said nothing in this Redis');
    const statement = keys.open('head', sealed);
    if (statement === undefined) throw new RefusedFeed('what it says is not sealed by the fleet');
    const { at, followers } = statement;
    const age = clock() - at;
    if (Math.abs(age) > maxStaleSeconds * 1000)
      throw new Error(`what the vault said last it said ${(age / 1000).toFixed(1)} s ago, by the clock here`);
    if (at < this.#at) throw new Error('what the vault says is older than what it said before');
    if (at > this.#at) {
      if (followers.some(([name]) => name === follower)) this.#heardAt = monotonic() - Math.max(0, age);
      else this.#settings.presence.repeat();
    }
    this.#at = at;
    return statement;
  }

  /** `undefined` when no snapshot goes beyond. */
  async #readSegment({ epoch, last }: HeadStatement, after: number): Promise<FeedSegment | undefined> {
    const { connection, keys } = this.#settings;
    const covers = (manifest: SnapshotManifest | undefined) =>
      manifest?.epoch === epoch && (manifest.segments.at(-1)?.to ?? 0) > after;
    if (!covers(this.#manifest)) {
      const sealed = await connection.run((client) => client.get(keys.key('snapshot')), ANSWER_MILLIS);
      this.#manifest = sealed === null ? undefined : keys.open('snapshot', sealed);
      if (sealed !== null && this.#manifest === undefined) throw new RefusedFeed('its snapshot is not sealed by the fleet');
    }
    const manifest = this.#manifest;
    if (manifest === undefined || !covers(manifest)) return undefined;
    const index = manifest.segments.findIndex(({ to }) => to > after);
    const fetched = this.#next;
    this.#next = undefined;
    const to = manifest.segments[index]?.to ?? 0;
    if (to > last) throw new Error(`the snapshot goes to ${to} already, and the statement to ${last}`);
    try {
      const segment = await (fetched?.to === to ? fetched.segment : this.#fetch(manifest, index));
      // The next one comes while this one is put in force.
      const next = manifest.segments[index + 1];
      if (next) this.#next = { to: next.to, segment: this.#fetch(manifest, index + 1) };
      this.#next?.segment.catch(() => {});
      return segment;
    } catch (error) {
      this.#manifest = undefined;
      throw error;
    }
  }

  async #fetch({ epoch, segments }: SnapshotManifest, index: number): Promise<FeedSegment> {
    const { connection, keys } = this.#settings;
    const wanted = segments[index];
    const before = segments[index - 1];
    if (wanted === undefined) throw new RangeError('no such segment');
    const key = keys.segment(epoch, wanted.to, wanted.sha256);
    const bytes = await connection.run((client) => client.getBuffer(key), SEGMENT_MILLIS);
    if (bytes === null) throw new Error(`the segment of the snapshot up to ${wanted.to} is not there`);
    if (hash('sha256', bytes, 'base64url') !== wanted.sha256)
      throw new RefusedFeed(`the segment of the snapshot up to ${wanted.to} is not the vault’s`);
    const start = { sequence: before?.to ?? 0, head: before?.head ?? '' };
    return { bytes, start, end: { sequence: wanted.to, head: wanted.head } };
  }
}

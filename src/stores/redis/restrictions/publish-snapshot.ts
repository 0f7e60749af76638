// The snapshot for gateways that have a long way to catch up: segments that stay as they are once made, and a list of them. Each runs
// out by itself an hour after the vault has last looked at it.

import type { RestrictionStore } from '../../../restrictions/restriction-store.ts';
import type { RedisConnection } from '../connection.ts';
import type { RestrictionKeys, SnapshotManifest } from './statements.ts';

export interface PublishSnapshotSettings {
  readonly connection: RedisConnection;
  readonly keys: RestrictionKeys;
  readonly store: Pick<RestrictionStore, 'epoch' | 'headAt' | 'lastSequence'>;
  /** The segment that begins after a sequence; `undefined` while there are not enough for a whole one. */
  readonly makeSegment: (after: number) => Promise<MadeSegment | undefined>;
}

interface MadeSegment {
  readonly to: number;
  readonly head: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

type Segment = SnapshotManifest['segments'][number];

const LIVE_MILLIS = 3_600_000;
const ANSWER_MILLIS = 10_000;

export class PublishedSnapshot {
  readonly #settings: PublishSnapshotSettings;
  #segments: Segment[] | undefined;

  constructor(settings: PublishSnapshotSettings) {
    this.#settings = settings;
  }

  /** Sequence up to which it goes. */
  get covered(): number {
    return this.#segments?.at(-1)?.to ?? 0;
  }

  /** Makes what is missing, one segment after the other; ends early when `ended` says so. */
  async update(ended: () => boolean): Promise<void> {
    this.#segments ??= await this.#find();
    const missing = await this.#renew(this.#segments);
    for (const index of missing) {
      if (ended()) return;
      await this.#put(index);
    }
    while (!ended() && (await this.#put(this.#segments.length)));
  }

  /** What a vault of this history, this one before a restart, has left. */
  async #find(): Promise<Segment[]> {
    const { connection, keys, store } = this.#settings;
    const sealed = await connection.run((client) => client.get(keys.key('snapshot')), ANSWER_MILLIS);
    const manifest = sealed === null ? undefined : keys.open('snapshot', sealed);
    if (manifest === undefined || manifest.epoch !== store.epoch) return [];
    const isKnown = manifest.segments.every(({ to, head }) => store.headAt(to) === head);
    return isKnown ? manifest.segments : [];
  }

  /** @returns indexes of those that are gone */
  async #renew(segments: readonly Segment[]): Promise<number[]> {
    if (segments.length === 0) return [];
    const { connection, keys, store } = this.#settings;
    const renewed = await connection.run((client) => {
      const pipeline = client.pipeline();
      for (const { to, sha256 } of segments) pipeline.pexpire(keys.segment(store.epoch, to, sha256), LIVE_MILLIS);
      pipeline.pexpire(keys.key('snapshot'), LIVE_MILLIS);
      return pipeline.exec();
    }, ANSWER_MILLIS);
    const listed = renewed?.at(-1)?.[1] === 1;
    if (!listed) await this.#list(segments);
    return segments.flatMap((_, index) => (renewed?.[index]?.[1] === 1 ? [] : [index]));
  }

  async #put(index: number): Promise<boolean> {
    const { connection, keys, store, makeSegment } = this.#settings;
    const segments = this.#segments ?? [];
    const made = await makeSegment(segments[index - 1]?.to ?? 0);
    if (made === undefined) return false;
    const { to, head, sha256, bytes } = made;
    const key = keys.segment(store.epoch, to, sha256);
    await connection.run((client) => client.set(key, Buffer.from(bytes), 'PX', LIVE_MILLIS), ANSWER_MILLIS);
    const changed = [...segments.slice(0, index), { to, head, sha256 }, ...segments.slice(index + 1)];
    await this.#list(changed);
    this.#segments = changed;
    return true;
  }

  async #list(segments: readonly Segment[]): Promise<void> {
    const { connection, keys, store } = this.#settings;
    const sealed = keys.seal('snapshot', { epoch: store.epoch, segments: [...segments] });
    await connection.run((client) => client.set(keys.key('snapshot'), sealed, 'PX', LIVE_MILLIS), ANSWER_MILLIS);
  }
}

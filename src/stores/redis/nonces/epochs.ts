// The epochs of all buckets, as this replica knows them, and how a new one is made: by whoever first finds a bucket without one
// that fits the server that holds it. Nothing is consumed in a bucket whose epoch in Redis is another than the one known here.

import { RedisError } from '../connection.ts';
import type { FleetMac } from '../mac.ts';
import { Script } from '../script.ts';
import { type Epoch, newEpoch, openEpoch } from './epoch.ts';

/** Looks at a bucket; puts a new epoch in the place of the one that was seen, on the server that it is meant for, and nowhere else. */
const LOOK = new Script(`
  local info = redis.call('INFO')
  local current = redis.call('GET', KEYS[1]) or ''
  if ARGV[2] ~= '' and current == ARGV[1] and string.find(info, 'run_id:' .. ARGV[3], 1, true) then
    redis.call('SET', KEYS[1], ARGV[2])
    current = ARGV[2]
  end
  local time = redis.call('TIME')
  return {current, info, time[1] * 1000 + math.floor(time[2] / 1000)}
`);
const MOST_ATTEMPTS = 5;

export interface EpochSettings {
  readonly buckets: number;
  readonly mac: FleetMac;
  readonly keyOf: (bucket: number) => string;
  readonly run: (script: Script, keys: readonly string[], values: readonly string[]) => Promise<unknown>;
  /** Of every look: INFO, and Redis's time in milliseconds. @returns the run id @throws where nonces cannot be trusted to it */
  readonly onLook: (info: string, time: number) => string;
  readonly onNew: (bucket: number, epoch: Epoch) => void;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

export class Epochs {
  readonly #settings: EpochSettings;
  readonly #known: (Epoch | undefined)[];
  /** Latest `created`, in seconds, of a signature whose nonce this replica took, or may have: clocks of clients may be ahead. */
  readonly #latestCreated: number[];
  readonly #adopting = new Map<number, Promise<Epoch>>();
  #lookingAtOthers = false;

  constructor(settings: EpochSettings) {
    this.#settings = settings;
    this.#known = Array.from({ length: settings.buckets });
    this.#latestCreated = Array.from({ length: settings.buckets }, () => 0);
  }

  known(bucket: number): Epoch | undefined {
    return this.#known[bucket];
  }

  /** A nonce was taken, or Redis did not say: no fence that this replica comes upon later may lie below it. */
  taken(bucket: number, created: number): void {
    this.#latestCreated[bucket] = Math.max(this.#latestCreated[bucket] ?? 0, created);
  }

  /** The bucket's epoch as it is in Redis now, or a new one. @throws when Redis does not say, or is not fit */
  adopt(bucket: number): Promise<Epoch> {
    let adopting = this.#adopting.get(bucket);
    if (adopting === undefined) {
      adopting = this.#adopt(bucket, 0).finally(() => this.#adopting.delete(bucket));
      this.#adopting.set(bucket, adopting);
    }
    return adopting;
  }

  /** @throws when one of them cannot be had */
  async adoptAll(): Promise<void> {
    await Promise.all(this.#known.map((_, bucket) => this.adopt(bucket)));
  }

  /** From now on nothing that was signed before counts, anywhere. @throws when it cannot be done */
  async fenceAll(): Promise<void> {
    const bornAt = this.#now();
    for (const adopting of this.#adopting.values()) await adopting.catch(() => {});
    await Promise.all(this.#known.map((_, bucket) => this.#adopt(bucket, bornAt)));
  }

  /** One bucket of each server. */
  get samples(): readonly number[] {
    const byRunId = new Map(this.#known.map((epoch, bucket) => [epoch?.runId, bucket]));
    return [...byRunId.values()];
  }

  async #adopt(bucket: number, leastBornAt: number): Promise<Epoch> {
    const { mac, keyOf, onLook, onNew } = this.#settings;
    const key = keyOf(bucket);
    let made: Epoch | undefined;
    let seen = '';
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const reply = await this.#settings.run(LOOK, [key], [seen, made?.sealed ?? '', made?.runId ?? '']);
      const [current, info, time] = readReply(reply);
      const runId = onLook(info, time);
      const found = openEpoch(mac, key, current);
      if (found !== undefined && found.runId === runId && found.bornAt >= this.#least(bucket, found, made, leastBornAt)) {
        if (found.id === made?.id) onNew(bucket, found);
        const changed = this.#known[bucket] !== undefined && this.#known[bucket]?.id !== found.id;
        this.#known[bucket] = found;
        if (changed) this.#lookAtOthers();
        return found;
      }
      seen = current;
      const former = Math.max(found?.bornAt ?? 0, this.#known[bucket]?.bornAt ?? 0);
      const bornAt = Math.max(this.#now(), afterMillis(time), leastBornAt, this.#afterTaken(bucket), former);
      made = newEpoch(mac, key, bornAt, runId);
    }
    throw new RedisError('the epoch of a bucket of nonces keeps changing');
  }

  /** What became of one bucket became of others: their fences begin now, not with the first request to each. */
  #lookAtOthers(): void {
    if (this.#lookingAtOthers) return;
    this.#lookingAtOthers = true;
    // Whoever asks about a bucket that could not be looked at looks again.
    setImmediate(() => {
      this.adoptAll()
        .catch(() => {})
        .finally(() => {
          this.#lookingAtOthers = false;
        });
    });
  }

  /** An epoch that is older than the one known was put back; a new one must lie behind whatever this replica took. */
  #least(bucket: number, found: Epoch, made: Epoch | undefined, leastBornAt: number): number {
    const known = this.#known[bucket];
    if (found.id === made?.id) return 0;
    if (known === undefined || found.id === known.id) return leastBornAt;
    return Math.max(leastBornAt, known.bornAt, this.#afterTaken(bucket));
  }

  #afterTaken(bucket: number): number {
    return (this.#latestCreated[bucket] ?? 0) + 1;
  }

  /** The second that is running may have seen nonces that are lost: the fence begins with the next. */
  #now(): number {
    return afterMillis(this.#settings.clock());
  }
}

function afterMillis(time: number): number {
  return Math.floor(time / 1000) + 1;
}

function readReply(reply: unknown): [current: string, info: string, time: number] {
  const [current, info, time] = Array.isArray(reply) ? (reply as unknown[]) : [];
  if (typeof current !== 'string' || typeof info !== 'string' || typeof time !== 'number')
    throw new RedisError('Redis answered what was not asked');
  return [current, info, time];
}

// Nonces of all replicas, in Redis: the set-once register behind row 9 for a fleet. One step of Redis looks at the fence, at the
// clock and at the nonce, and takes it. What it cannot tell is never an allow: there is no falling back to this replica alone.

import { hash } from 'node:crypto';
import type { NonceStore, NonceUse, NonceVerdict } from '../../../checks/nonce/check-nonce.ts';
import { type NonceMemory, REPEAT_MILLIS } from '../../../checks/nonce/nonce-memory.ts';
import type { RedisConfiguration } from '../configuration.ts';
import { type RedisConnection, RedisError } from '../connection.ts';
import { lengthPrefixed, redisKey } from '../keys.ts';
import { FleetMac } from '../mac.ts';
import { Script } from '../script.ts';
import { Epochs } from './epochs.ts';
import { readNodeState } from './node-state.ts';

/** Each in a slot of its own, so that the nodes of a Cluster share the work. A power of two, at most 64. */
const BUCKETS = 64;
/** Most that the clocks of a replica and of Redis may differ. */
export const MOST_APART_MILLIS = 30_000;
/** Between reading the clock for a request and asking Redis about its nonce. */
const SLACK_MILLIS = 10_000;
const MOST_ATTEMPTS = 3;
const UNHEARD = 'Redis: the other replicas are not heard of';

/**
 * A key lives by Redis's clock. Both when it was set and when it is looked for again that clock was within MOST_APART of the
 * replica's which checked the times of the signature: so, however clocks are set, a key outlives its signature if it is kept for
 * the window and twice that long. INFO comes last, being the dearest.
 */
const CONSUME = new Script(`
  local time = redis.call('TIME')
  local apart = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[5])
  if math.abs(apart) > ${MOST_APART_MILLIS} then return {'clock', apart} end
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'epoch'} end
  if not string.find(redis.call('INFO', 'server'), 'run_id:' .. ARGV[2], 1, true) then return {'epoch'} end
  local held = redis.call('GET', KEYS[2])
  if held then return {'held', held, redis.call('PTTL', KEYS[2])} end
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
  return {'taken'}
`);

/** What replicas tell each other, by the name that a nonce has in Redis. */
export interface OtherReplicas {
  /** Whether what they took is known here, but for the last milliseconds. */
  readonly isCurrent: boolean;
  /** Seconds since the epoch: what was signed before may have been taken before this replica listened. */
  readonly hearsFrom: number;
  isHeard(name: string): boolean;
  /** This replica took it. */
  taken(name: string): void;
}

export interface SharedNonceSettings {
  readonly connection: RedisConnection;
  readonly configuration: RedisConfiguration;
  readonly secret: string;
  /** This replica's own: asked first, and it keeps what it took whatever becomes of Redis. */
  readonly own: NonceMemory;
  readonly others: OtherReplicas;
  /** As NonceMemory has it. */
  readonly windowMillis: number;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** A fence: what was signed before `bornAt` (seconds) is refused on all replicas. */
  readonly onFence: (buckets: number, bornAt: number) => void;
  /** What is wrong with Redis or with its clock, or that nothing is any more. */
  readonly onFitness: (problem: string | undefined) => void;
  /** How far Redis's clock is ahead of this one, each time that it was looked at. */
  readonly onClock: (aheadMillis: number) => void;
}

export class SharedNonces implements NonceStore {
  readonly #settings: SharedNonceSettings;
  readonly #names: FleetMac;
  readonly #values: FleetMac;
  readonly #epochs: Epochs;
  readonly #keepMillis: number;
  #fences: { count: number; bornAt: number } | undefined;
  #problem: string | undefined;

  constructor(settings: SharedNonceSettings) {
    this.#settings = settings;
    const { secret, clock, connection } = settings;
    this.#names = new FleetMac(secret, 'nonce-name');
    this.#values = new FleetMac(secret, 'nonce');
    this.#keepMillis = settings.windowMillis + 2 * MOST_APART_MILLIS + SLACK_MILLIS;
    this.#epochs = new Epochs({
      buckets: BUCKETS,
      mac: new FleetMac(secret, 'nonce-epoch'),
      keyOf: (bucket) => this.#key(bucket, 'epoch'),
      run: (script, keys, values) => connection.run((client) => script.run(client, keys, values)),
      onLook: (info, time) => this.#judge(info, time),
      onNew: (_, { bornAt }) => this.#tellOfFence(bornAt),
      clock,
    });
  }

  /** Finds or makes the epoch of every bucket. @throws where Redis is not fit to be trusted with nonces */
  async establish(): Promise<void> {
    await this.#lookAt((epochs) => epochs.adoptAll());
  }

  /** Looks at each server's configuration and clock again. @throws as {@link establish} */
  async inspect(): Promise<void> {
    await this.#lookAt((epochs) => Promise.all(epochs.samples.map((bucket) => epochs.adopt(bucket))));
  }

  /** Whatever was signed before now is refused from now on, by all replicas. @throws when it cannot be done */
  async fence(): Promise<void> {
    await this.#epochs.fenceAll();
  }

  async consume(use: NonceUse): Promise<NonceVerdict> {
    const { own, clock, others } = this.#settings;
    const known = own.look(use);
    if (known !== undefined) return known;
    if (this.#problem !== undefined) throw new RedisError(`Redis: ${this.#problem}`);
    if (!others.isCurrent) throw new RedisError(UNHEARD);
    // A key that somebody removed before this replica was there would be missing here without anyone having told.
    if (use.created < others.hearsFrom) return 'forgotten';
    const name = this.#names.tag(use.entry);
    const bucket = Buffer.from(name.slice(0, 2), 'base64url').readUInt8(0) % BUCKETS;
    const key = this.#key(bucket, 'nonce', name);
    const asker = hash('sha256', lengthPrefixed(use.streamId, use.signature), 'base64url');
    const value = this.#values.seal(key, `${asker}${use.decisionId}`);
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const epoch = (attempt === 0 && this.#epochs.known(bucket)) || (await this.#epochs.adopt(bucket));
      if (use.created < epoch.bornAt) return 'forgotten';
      const values = [epoch.sealed, epoch.runId, value, this.#keepMillis, clock()];
      const [answer, held, leftMillis] = await this.#ask(bucket, use.created, [this.#key(bucket, 'epoch'), key], values);
      if (answer === 'taken') {
        this.#epochs.taken(bucket, use.created);
        // Its key was removed, by whomever: it is known all the same.
        if (others.isHeard(name)) return 'replayed';
        if (!others.isCurrent) throw new RedisError(UNHEARD);
        const verdict = own.consume(use);
        if (verdict === 'first') others.taken(name);
        return verdict;
      }
      if (answer === 'held') return this.#whoHolds(key, String(held), Number(leftMillis), asker, use.streamId);
      if (answer === 'clock') {
        this.#setProblem(apartBy(Number(held)));
        throw new RedisError(apartBy(Number(held)));
      }
    }
    throw new RedisError('the epoch of a bucket of nonces keeps changing');
  }

  async #ask(bucket: number, created: number, keys: string[], values: (string | number)[]): Promise<unknown[]> {
    try {
      const reply = await this.#settings.connection.run((client) => CONSUME.run(client, keys, values));
      return Array.isArray(reply) ? reply : [];
    } catch (error) {
      this.#epochs.taken(bucket, created);
      throw error;
    }
  }

  /** By Redis's clock alone: those of two replicas differ by more than the time in which a Check is repeated. */
  #whoHolds(key: string, held: string, leftMillis: number, asker: string, streamId: string): NonceVerdict {
    const value = this.#values.open(key, held);
    const isRecent = leftMillis > this.#keepMillis - REPEAT_MILLIS && leftMillis <= this.#keepMillis;
    if (value === undefined || !isRecent || streamId === '' || !value.startsWith(asker)) return 'replayed';
    return { repeated: value.slice(asker.length) };
  }

  #key(bucket: number, ...parts: readonly string[]): string {
    return redisKey(this.#settings.configuration.prefix, `n${bucket}`, ...parts);
  }

  #judge(info: string, time: number): string {
    const { configuration, clock, onClock } = this.#settings;
    const { runId, problem } = readNodeState(info, configuration.url === undefined);
    const ahead = time - clock();
    onClock(ahead);
    const found = problem ?? (Math.abs(ahead) > MOST_APART_MILLIS ? apartBy(ahead) : undefined);
    if (found === undefined) return runId;
    this.#setProblem(found);
    throw new RedisError(`Redis: ${found}`);
  }

  /** A problem is over when every server was looked at and none has one. */
  async #lookAt(look: (epochs: Epochs) => Promise<unknown>): Promise<void> {
    await look(this.#epochs);
    this.#setProblem(undefined);
  }

  #setProblem(problem: string | undefined): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#settings.onFitness(problem);
  }

  /** Told once for the buckets of one moment. */
  #tellOfFence(bornAt: number): void {
    if (this.#fences !== undefined) {
      this.#fences = { count: this.#fences.count + 1, bornAt: Math.max(bornAt, this.#fences.bornAt) };
      return;
    }
    this.#fences = { count: 1, bornAt };
    setTimeout(() => {
      const { count, bornAt: latest } = this.#fences ?? { count: 0, bornAt };
      this.#fences = undefined;
      this.#settings.onFence(count, latest);
    }, 100).unref();
  }
}

function apartBy(aheadMillis: number): string {
  const seconds = (Math.abs(aheadMillis) / 1000).toFixed(1);
  return `its clock is ${seconds} s ${aheadMillis > 0 ? 'ahead of' : 'behind'} this machine's: set whichever is wrong`;
}

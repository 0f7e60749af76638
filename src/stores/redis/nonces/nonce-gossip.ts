// Replicas tell each other which nonces they took, over one stream in Redis that each of them reads all the time.

import { randomBytes } from 'node:crypto';
import type { RedisConnection } from '../connection.ts';
import { redisKey } from '../keys.ts';
import { FleetMac } from '../mac.ts';
import { HeardNonces, SILENCE_MILLIS } from './heard-nonces.ts';
import { RecentNames } from './recent-names.ts';
import { NonceTeller, sealBatch } from './told-nonces.ts';

export interface GossipSettings {
  /** For commands. */
  readonly connection: RedisConnection;
  /** Its own, for a command that blocks. */
  readonly listening: RedisConnection;
  readonly prefix: string;
  readonly secret: string;
  readonly windowMillis: number;
  readonly monotonic: () => number;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** @throws when it could not be done: it is asked for again. */
  readonly fence: () => Promise<void>;
  readonly onMissing: (why: string) => void;
  readonly onTwice: () => void;
}

/** How long one read waits in Redis. */
export const BLOCK_MILLIS = 1000;
/** Some seconds of a large fleet. */
const MOST_ENTRIES = 50_000;
const MOST_READ = 1000;
const RETRY_MILLIS = 50;
const ANSWER_MILLIS = 1000;

export class NonceGossip {
  readonly #settings: GossipSettings;
  readonly #key: string;
  readonly #own: RecentNames;
  readonly #heard: HeardNonces;
  readonly #teller: NonceTeller;
  #lastId: string | undefined;
  #hearsFrom: number | undefined;
  #misses = 0;
  #fenced = 0;
  #stopped = false;
  readonly #reading: Promise<void>;

  constructor(settings: GossipSettings) {
    this.#settings = settings;
    const { connection, prefix, secret, windowMillis, monotonic, onTwice } = settings;
    const key = redisKey(prefix, 'gossip', 'nonces');
    const mac = new FleetMac(secret, 'nonce-gossip');
    const replica = randomBytes(12).toString('base64url');
    this.#key = key;
    this.#own = new RecentNames(windowMillis, monotonic);
    this.#heard = new HeardNonces({
      ...{ replica, mac, key, windowMillis, monotonic, onTwice },
      isOwn: (name) => this.#own.has(name),
      onMissing: (why) => this.#miss(why),
      onCall: () => this.#teller.beat(),
    });
    this.#teller = new NonceTeller({
      replica,
      send: async (batch) => {
        const sealed = sealBatch(mac, key, batch);
        await connection.run((client) => client.xadd(key, 'MAXLEN', '~', MOST_ENTRIES, '*', 'batch', sealed));
      },
    });
    this.#reading = this.#read();
  }

  /** This replica took the nonce with this name. */
  taken(name: string): void {
    this.#own.add(name);
    this.#teller.tell(name);
  }

  isHeard(name: string): boolean {
    return this.#heard.has(name);
  }

  /** Whether what the others took is known here, but for the last milliseconds. */
  get isCurrent(): boolean {
    return this.#heard.isCurrent && this.#fenced === this.#misses;
  }

  get hearsFrom(): number {
    return this.#hearsFrom ?? Number.POSITIVE_INFINITY;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#teller.stop();
    this.#settings.listening.close();
    await this.#reading;
  }

  async #read(): Promise<void> {
    const { listening, monotonic, clock, windowMillis } = this.#settings;
    let listensSince: number | undefined;
    while (!this.#stopped) {
      try {
        // What is there of the last window: a client's clock may be ahead of the moment from which on all is heard.
        this.#lastId ??= `${Math.max(0, Math.floor(clock() - windowMillis))}-0`;
        const from = this.#lastId;
        // The first one after a pause does not wait: what came meanwhile is there already.
        const block = listensSince === undefined ? 1 : BLOCK_MILLIS;
        const reply = await listening.run(
          (client) => client.xread('COUNT', MOST_READ, 'BLOCK', block, 'STREAMS', this.#key, from),
          block + ANSWER_MILLIS,
        );
        this.#take(reply);
        this.#heard.giveUp();
        if (listensSince === undefined) {
          listensSince = monotonic();
          this.#hearsFrom ??= Math.floor(clock() / 1000) + 1;
          this.#heard.listening(this.#teller.number);
          this.#teller.call();
        } else if (monotonic() - listensSince > SILENCE_MILLIS && !this.#heard.hearsItself) {
          // A stream that begins anew, behind the place where this one is waiting.
          this.#lastId = undefined;
          listensSince = undefined;
          this.#miss('what this replica told itself');
        }
      } catch {
        // Said by the connection already.
        listensSince = undefined;
        this.#heard.deaf();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MILLIS));
      }
    }
  }

  #take(reply: readonly [key: string, entries: readonly [id: string, fields: readonly string[]][]][] | null): void {
    for (const [id, fields] of reply?.[0]?.[1] ?? []) {
      this.#lastId = id;
      this.#heard.hear(fields[1] ?? '');
    }
  }

  #miss(why: string): void {
    this.#misses++;
    if (this.#misses > this.#fenced + 1) return;
    this.#settings.onMissing(why);
    void this.#fence();
  }

  /** Until it is done nothing is consumed; what is missed meanwhile needs another one. */
  async #fence(): Promise<void> {
    while (this.#fenced < this.#misses && !this.#stopped) {
      const misses = this.#misses;
      try {
        await this.#settings.fence();
        this.#fenced = misses;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MILLIS));
      }
    }
  }
}

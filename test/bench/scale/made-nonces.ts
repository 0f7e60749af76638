// Many live nonces, made quickly: into the embedded store's file as its writer has them, or taken in Redis by the store's own code, as
// one more replica would.

import { hash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { NonceStore } from '../../../src/checks/nonce/check-nonce.ts';
import { NonceMemory } from '../../../src/checks/nonce/nonce-memory.ts';
import { startSharedNonces } from '../../../src/serve/shared-nonces.ts';
import { redisConfiguration } from '../../../src/stores/redis/configuration.ts';
import { RedisError } from '../../../src/stores/redis/connection.ts';
import { openDatabase } from '../../../src/stores/sqlite/database.ts';
import { startProgress } from '../vault/progress.ts';

/** What a gateway of this bench has under `verify.signature`: the longest there is, so that nonces live until all is measured. */
export const SIGNATURE = { maxLifetimeSeconds: 300, clockSkewSeconds: 60 };
export const WINDOW_MILLIS = (SIGNATURE.maxLifetimeSeconds + 2 * SIGNATURE.clockSkewSeconds) * 1000;

/** The witness is one that is really sent later, and must be refused then. */
export interface MadeNonces {
  readonly count: number;
  readonly witness: { readonly entry: string; readonly jkt: string };
}

/** As many keys as agents would have. */
const KEYS = 1000;
const digest = (what: string) => hash('sha256', what, 'base64url');
const nonceOf = (number: number) => ({ entry: digest(`nonce ${number}`), jkt: digest(`key ${number % KEYS}`) });

/** Into a store that is not there yet. Its records are as short as can be: nothing reads them here. */
export function writeNonces(file: string, { count, witness }: MadeNonces): void {
  const database = openDatabase(file);
  const retainUntil = Date.now() + WINDOW_MILLIS;
  database.exec('PRAGMA synchronous = OFF; BEGIN');
  const insert = database.prepare('INSERT INTO decisions (record, nonce, jkt, retain_until) VALUES (?, ?, ?, ?)');
  for (let number = 0; number < count; number++) {
    const { entry, jkt } = number === 0 ? witness : nonceOf(number);
    insert.run('{}', entry, jkt, retainUntil);
  }
  database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}

/** Of the store's commands that wait for Redis. */
const AT_ONCE = 200;
/** At this pace a replica may not hear itself in time, and denies until it does. */
const MOST_ATTEMPTS = 100;
const AGAIN_MILLIS = 100;
/** A fence begins with the next second, and whoever listens to others with its start. */
const FENCE_MILLIS = 2500;

/** @param section `redis` of a gateway @throws where one is not the first with its name */
export async function takeNonces(section: object, { count, witness }: MadeNonces): Promise<void> {
  const monotonic = () => performance.now();
  const own = new NonceMemory({
    perKeyLimit: Number.POSITIVE_INFINITY,
    windowMillis: WINDOW_MILLIS,
    monotonic,
    forgottenThrough: 0,
    bornAt: 0,
  });
  const log = pino({ level: 'warn' }, process.stderr);
  const configuration = redisConfiguration.parse(section);
  const { store, stop } = await startSharedNonces({ configuration, own, windowMillis: WINDOW_MILLIS, clock: Date.now, log });
  try {
    await sleep(FENCE_MILLIS);
    const progress = startProgress('nonces', count);
    let next = 0;
    const takeOn = async () => {
      for (let number = next++; number < count; number = next++) {
        await take(store, number === 0 ? witness : nonceOf(number));
        progress(number);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, takeOn));
    // What it took is told to the gateways in the next milliseconds.
    await sleep(FENCE_MILLIS);
  } finally {
    await stop();
  }
}

async function take(store: NonceStore, { entry, jkt }: { entry: string; jkt: string }): Promise<void> {
  const decisionId = randomUUID();
  for (let attempt = 1; ; attempt++) {
    const now = Date.now();
    const use = {
      created: Math.floor(now / 1000),
      retainUntil: now + WINDOW_MILLIS,
      streamId: entry,
      signature: entry,
      decisionId,
    };
    try {
      const verdict = await store.consume({ entry, jkt, ...use });
      // Repeated: it was taken by an attempt before, of which that was not known.
      if (verdict === 'first' || typeof verdict === 'object') return;
      throw new Error(`a nonce that is new was ${JSON.stringify(verdict)}`);
    } catch (error) {
      if (!(error instanceof RedisError) || attempt === MOST_ATTEMPTS) throw error;
      await sleep(AGAIN_MILLIS);
    }
  }
}

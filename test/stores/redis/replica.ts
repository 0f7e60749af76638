/** Replicas in this program: shared nonces over a memory of their own, what they logged, and whether they are fit. */
import { randomBytes, randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { pino } from 'pino';
import type { NonceUse } from '../../../src/checks/nonce/check-nonce.ts';
import { NonceMemory } from '../../../src/checks/nonce/nonce-memory.ts';
import { type StartedNonces, startSharedNonces } from '../../../src/serve/shared-nonces.ts';
import { redisConfiguration } from '../../../src/stores/redis/configuration.ts';

export const WINDOW = 120_000;
export const seconds = () => Math.floor(Date.now() / 1000);

export interface Replica extends StartedNonces {
  readonly log: string[];
  readonly fit: boolean;
}

/** Patient, since the machine is shared; where time is the subject it is the default. */
const PATIENT = { commandTimeoutMillis: 3000 };

export async function startReplica(section: object, clock: () => number = Date.now, perKeyLimit = 1000): Promise<Replica> {
  const log: string[] = [];
  const own = new NonceMemory({
    perKeyLimit,
    windowMillis: WINDOW,
    monotonic: () => performance.now(),
    forgottenThrough: 0,
    bornAt: 0,
  });
  const started = await startSharedNonces({
    configuration: redisConfiguration.parse({ ...PATIENT, ...section }),
    own,
    windowMillis: WINDOW,
    clock,
    log: pino({ base: null }, { write: (line: string) => void log.push(line) }),
  });
  let fit = true;
  started.onFitness((now) => {
    fit = now;
  });
  return {
    ...started,
    log,
    get fit() {
      return fit;
    },
  };
}

export function use(change: Partial<NonceUse> = {}): NonceUse {
  return {
    entry: randomBytes(32).toString('base64url'),
    jkt: 'key',
    created: seconds(),
    retainUntil: Date.now() + 90_000,
    streamId: randomUUID(),
    signature: randomBytes(64).toString('base64'),
    decisionId: randomUUID(),
    ...change,
  };
}

export const until = async (what: () => boolean | Promise<boolean>, millis = 10_000) => {
  for (const end = Date.now() + millis; Date.now() < end; ) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it did not come about');
};
const isFirst = async (replica: Replica) =>
  (await Promise.resolve(replica.store.consume(use({ jkt: randomUUID() }))).catch(() => 'none')) === 'first';
export const serves = (replica: Replica) => until(() => isFirst(replica));
/** No bucket is fenced any more. */
export const settled = (...replicas: Replica[]) =>
  until(async () => {
    const each = await Promise.all(replicas.flatMap((replica) => Array.from({ length: 300 }, () => isFirst(replica))));
    return each.every(Boolean);
  });

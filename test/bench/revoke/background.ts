// The steady load beside the revocations, sent from a thread of its own.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { VoidRun } from '../load.ts';

export interface BackgroundOrder {
  /** Of the gateways. */
  readonly ports: readonly number[];
  readonly perSecond: number;
  /** Private JWK as JSON. */
  readonly key: string;
  readonly chain: readonly string[];
}

export interface BackgroundResult {
  readonly requests: number;
  readonly perSecond: number;
  /** By how much it was behind its own plan, p99 in milliseconds. */
  readonly lateP99Ms: number;
  /** Of good requests that were sent once. */
  readonly good: { readonly sent: number; readonly refused: number; readonly p50Ms: number; readonly p99Ms: number };
  /** Copies of requests at this or another gateway, and requests that were tampered with or ask for too much. */
  readonly attacks: number;
  /** What must be 0: allowed beyond the once that each nonce is good for, or with a bad signature, or beyond the grant. */
  readonly wronglyAllowed: number;
  /** Nonces of which no copy was allowed. */
  readonly neverAllowed: number;
}

/** Below that share of the wanted rate, or of good requests allowed, a run says nothing. */
const LEAST_SHARE = 0.95;
const LEAST_ALLOWED = 0.99;

export interface Background {
  /** Ends it. @returns what became of it @throws what it failed with */
  end(): Promise<BackgroundResult>;
  /** At once, whatever it does. */
  stop(): Promise<unknown>;
}

export function startBackground(order: BackgroundOrder): Background {
  const thread = new Worker(new URL('./background-thread.ts', import.meta.url), { workerData: order });
  const failed = new Promise<never>((_, reject) => thread.once('error', reject));
  // Heard of when it is ended.
  failed.catch(() => {});
  return {
    end: async () => {
      const said = once(thread, 'message');
      thread.postMessage('end');
      const [result] = (await Promise.race([said, failed])) as [BackgroundResult];
      return result;
    },
    stop: () => thread.terminate(),
  };
}

/** @throws {VoidRun} for a load that was not what it was meant to be, or {Error} for one that was allowed too much */
export function judgeBackground(result: BackgroundResult, wanted: number): void {
  const { perSecond, good, wronglyAllowed } = result;
  if (wronglyAllowed > 0) throw new Error(`${wronglyAllowed} attacks of the background were allowed`);
  if (perSecond < wanted * LEAST_SHARE)
    throw new VoidRun(`${wanted} requests per second were wanted, and ${perSecond.toFixed(0)} sent`);
  if (good.sent - good.refused < good.sent * LEAST_ALLOWED)
    throw new VoidRun(`${good.refused} of ${good.sent} good requests were not allowed`);
}

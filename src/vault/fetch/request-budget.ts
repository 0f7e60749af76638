// How much may go out: a token bucket and a number of places for all hosts together, and a share of both for any one of them, so
// that neither a flood of DIDs nor one slow host becomes a flood of requests. Nothing queues: what does not fit is told so.

import { FailedFetch } from './fetch-error.ts';

export interface RequestBudgetSettings {
  /** Of all hosts together; as many at once after a second of rest. */
  readonly requestsPerSecond: number;
  /** Requests under way. */
  readonly maxConcurrent: number;
  /** Part of both that one host may take, above 0 up to 1; at least one request. */
  readonly sharePerHost: number;
  /** Milliseconds. */
  readonly monotonic: () => number;
}

export interface RequestBudget {
  /** @returns to be called once when the request has ended. @throws {FailedFetch} */
  take(host: string): () => void;
  /** Hosts that something is remembered of. */
  readonly hosts: number;
}

interface Bucket {
  tokens: number;
  at: number;
  underWay: number;
}

export function makeRequestBudget(settings: RequestBudgetSettings): RequestBudget {
  const { requestsPerSecond, maxConcurrent, sharePerHost, monotonic } = settings;
  const hostRate = requestsPerSecond * sharePerHost;
  const hostConcurrent = Math.max(1, Math.floor(maxConcurrent * sharePerHost));
  const capacity = (rate: number) => Math.max(1, rate);
  const total = full(requestsPerSecond);
  const hosts = new Map<string, Bucket>();
  let sweepAt = monotonic();

  function full(rate: number): Bucket {
    return { tokens: capacity(rate), at: monotonic(), underWay: 0 };
  }

  function refill(bucket: Bucket, rate: number, now: number): Bucket {
    bucket.tokens = Math.min(capacity(rate), bucket.tokens + ((now - bucket.at) * rate) / 1000);
    bucket.at = now;
    return bucket;
  }

  /** A bucket that is full again says no more than none; new ones come no faster than requests may go out. */
  function sweep(now: number): void {
    if (now < sweepAt) return;
    sweepAt = now + 1000;
    for (const [host, bucket] of hosts)
      if (bucket.underWay === 0 && refill(bucket, hostRate, now).tokens >= capacity(hostRate)) hosts.delete(host);
  }

  return {
    take(host) {
      const now = monotonic();
      sweep(now);
      const own = refill(hosts.get(host) ?? full(hostRate), hostRate, now);
      if (total.underWay >= maxConcurrent) throw new FailedFetch(`${host}: ${maxConcurrent} requests are under way already`);
      if (own.underWay >= hostConcurrent)
        throw new FailedFetch(`${host}: ${hostConcurrent} requests to this host are under way already`);
      if (refill(total, requestsPerSecond, now).tokens < 1)
        throw new FailedFetch(`${host}: more than ${requestsPerSecond} requests per second`);
      if (own.tokens < 1) throw new FailedFetch(`${host}: more than ${hostRate} requests per second to this host`);
      hosts.set(host, own);
      for (const bucket of [total, own]) {
        bucket.tokens--;
        bucket.underWay++;
      }
      return () => {
        total.underWay--;
        own.underWay--;
      };
    },
    get hosts() {
      return hosts.size;
    },
  };
}

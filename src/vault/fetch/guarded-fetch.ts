// Fetches a file from a host that a DID names, and so from anyone: over https only, from permitted addresses only, of bounded size
// and within bounded time, at a bounded rate, each URL once at a time.

import type { LookupAddress } from 'node:dns';
import { getOver } from './get-over.ts';
import { checkUrl, type Lookup, lookUp, makeConnectionRules, withConnection } from './guarded-connection.ts';
import { makeRequestBudget } from './request-budget.ts';
import { systemLookup } from './system-lookup.ts';

export type { Lookup };

export interface GuardedFetchSettings {
  /** CIDR ranges that may be connected to although they are not public. */
  readonly allowedAddresses: readonly string[];
  /** PEM of the only authorities that are trusted; `undefined` for those that Node.js trusts. */
  readonly trustedCa: string | undefined;
  /** From the call to the last byte. Default 1500. */
  readonly timeoutMillis?: number;
  /** Default 65536. */
  readonly maxBytes?: number;
  readonly requestsPerSecond: number;
  readonly maxConcurrent: number;
  /** Part of these two that one host may take, above 0 up to 1. Default 0.5. */
  readonly sharePerHost?: number;
  /** Whether a URL may have a query: none that comes from a DID does. Default false. */
  readonly queries?: boolean;
  readonly lookup?: Lookup;
  /** Milliseconds. */
  readonly monotonic: () => number;
}

export interface GuardedFetch {
  /**
   * The body as it was sent, shared by those who asked for it meanwhile.
   * @param accept media types without parameters; an answer that names none is `application/octet-stream`
   * @throws {RefusedFetch | NotFound | FailedFetch}
   */
  fetch(url: URL, accept: readonly string[]): Promise<Buffer>;
}

/** @throws {RangeError} for a range that is none, and what OpenSSL says of certificates that are none. */
export function makeGuardedFetch(settings: GuardedFetchSettings): GuardedFetch {
  const { timeoutMillis = 1500, maxBytes = 65_536, sharePerHost = 0.5 } = settings;
  const { queries = false, lookup = systemLookup } = settings;
  const rules = makeConnectionRules(settings);
  const budget = makeRequestBudget({ ...settings, sharePerHost });
  const underWay = new Map<string, Promise<Buffer>>();

  function start(url: URL, accept: readonly string[]): Promise<Buffer> {
    const release = budget.take(url.hostname);
    const addresses = lookUp(url.hostname, lookup);
    const body = get(url, accept, addresses);
    // The system's lookup cannot be called off, and while it lasts it takes a thread: it keeps its place until it has ended.
    void Promise.allSettled([addresses, body]).then(release);
    return body;
  }

  function get(url: URL, accept: readonly string[], lookedUp: Promise<LookupAddress[]>): Promise<Buffer> {
    return withConnection(url, lookedUp, { ...rules, timeoutMillis }, (socket) => getOver(socket, { url, accept, maxBytes }));
  }

  return {
    async fetch(url, accept) {
      checkUrl(url, queries);
      const name = [url.href, ...accept].join(' ');
      const shared = underWay.get(name);
      if (shared !== undefined) return shared;
      const body = start(url, accept).finally(() => underWay.delete(name));
      underWay.set(name, body);
      return body;
    },
  };
}

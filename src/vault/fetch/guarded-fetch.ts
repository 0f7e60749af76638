// Fetches a file from a host that a DID names, and so from anyone: over https only, from permitted addresses only, of bounded size
// and within bounded time, at a bounded rate, each URL once at a time.

import { X509Certificate } from 'node:crypto';
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { makeAddressPolicy } from './address-policy.ts';
import { connectPermitted } from './connect-permitted.ts';
import { FailedFetch, RefusedFetch } from './fetch-error.ts';
import { getOver } from './get-over.ts';
import { makeRequestBudget } from './request-budget.ts';

/** The part of `dns.lookup` that is used. */
export type Lookup = (
  hostname: string,
  options: { readonly all: true },
  found: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

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
  const { trustedCa: ca, timeoutMillis = 1500, maxBytes = 65_536, sharePerHost = 0.5 } = settings;
  const { queries = false, lookup = systemLookup } = settings;
  const permitted = makeAddressPolicy({ allowed: settings.allowedAddresses });
  // Text without a certificate would be taken for an empty list.
  if (ca !== undefined) new X509Certificate(ca);
  const secureContext = createSecureContext({ minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) });
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

  async function get(url: URL, accept: readonly string[], lookedUp: Promise<LookupAddress[]>): Promise<Buffer> {
    const deadline = new AbortController();
    const { signal } = deadline;
    const tooSlow = () => deadline.abort(new FailedFetch(`${url.host}: took longer than ${timeoutMillis} ms`));
    const timer = setTimeout(tooSlow, timeoutMillis);
    try {
      const addresses = await Promise.race([lookedUp, rejectionOf(signal)]);
      const port = Number(url.port || 443);
      const socket = await connectPermitted({ hostname: url.hostname, port, addresses, permitted, secureContext, signal });
      signal.addEventListener('abort', () => socket.destroy(signal.reason as Error));
      try {
        return await getOver(socket, { url, accept, maxBytes });
      } finally {
        socket.destroy();
      }
    } finally {
      clearTimeout(timer);
    }
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

function checkUrl(url: URL, queries: boolean): void {
  if (url.protocol !== 'https:') throw new RefusedFetch(`${url.host}: not https`);
  if (url.username !== '' || url.password !== '' || (url.search !== '' && !queries) || url.hash !== '')
    throw new RefusedFetch(`${url.host}: more than a host and a path`);
  if (url.hostname.startsWith('[') || isIP(url.hostname) !== 0) throw new RefusedFetch(`${url.host}: not the name of a host`);
}

function lookUp(hostname: string, lookup: Lookup): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(hostname, { all: true }, (error, addresses) => {
      if (error) reject(new FailedFetch(`${hostname}: not found by name: ${error.code}`));
      else resolve(addresses);
    });
  });
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

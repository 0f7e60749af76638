// The way to a host under closed rules, whatever is asked there: https, a name and no address, permitted addresses only, and an end
// of the time.

import { X509Certificate } from 'node:crypto';
import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { type AddressPolicy, makeAddressPolicy } from './address-policy.ts';
import { connectPermitted } from './connect-permitted.ts';
import { FailedFetch, RefusedFetch } from './fetch-error.ts';

/** The part of `dns.lookup` that is used. */
export type Lookup = (
  hostname: string,
  options: { readonly all: true },
  found: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export interface ConnectionRules {
  readonly permitted: AddressPolicy;
  readonly secureContext: SecureContext;
}

export interface ConnectionRuleSettings {
  /** CIDR ranges that may be connected to although they are not public. */
  readonly allowedAddresses: readonly string[];
  /** PEM of the only authorities that are trusted; `undefined` for those that Node.js trusts. */
  readonly trustedCa: string | undefined;
}

/** @throws {RangeError} for a range that is none, and what OpenSSL says of certificates that are none. */
export function makeConnectionRules({ allowedAddresses, trustedCa: ca }: ConnectionRuleSettings): ConnectionRules {
  // Text without a certificate would be taken for an empty list.
  if (ca !== undefined) new X509Certificate(ca);
  return {
    permitted: makeAddressPolicy({ allowed: allowedAddresses }),
    secureContext: createSecureContext({ minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) }),
  };
}

/** Over a connection that ends with what it is used for, or when the time is over. @throws {RefusedFetch | FailedFetch} */
export async function withConnection<T>(
  url: URL,
  lookedUp: Promise<LookupAddress[]>,
  { permitted, secureContext, timeoutMillis }: ConnectionRules & { readonly timeoutMillis: number },
  use: (socket: TLSSocket) => Promise<T>,
): Promise<T> {
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
      return await use(socket);
    } finally {
      socket.destroy();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** @throws {RefusedFetch} */
export function checkUrl(url: URL, queries: boolean): void {
  if (url.protocol !== 'https:') throw new RefusedFetch(`${url.host}: not https`);
  if (url.username !== '' || url.password !== '' || (url.search !== '' && !queries) || url.hash !== '')
    throw new RefusedFetch(`${url.host}: more than a host and a path`);
  if (url.hostname.startsWith('[') || isIP(url.hostname) !== 0) throw new RefusedFetch(`${url.host}: not the name of a host`);
}

/** Rejects with {@link FailedFetch}. */
export function lookUp(hostname: string, lookup: Lookup): Promise<LookupAddress[]> {
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

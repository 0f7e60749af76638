// Posts to a host that the configuration names, under the rules of guarded-fetch.ts: https, permitted addresses, no redirect, bounded
// time and a bounded answer. The answer is its status and what it says, whatever the status.

import { lookup as systemLookup } from 'node:dns';
import { request } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { FailedFetch } from './fetch-error.ts';
import { checkUrl, type Lookup, lookUp, makeConnectionRules, withConnection } from './guarded-connection.ts';

export interface GuardedPostSettings {
  /** CIDR ranges that may be connected to although they are not public. */
  readonly allowedAddresses: readonly string[];
  /** PEM of the only authorities that are trusted; `undefined` for those that Node.js trusts. */
  readonly trustedCa: string | undefined;
  /** From the call to the last byte. */
  readonly timeoutMillis: number;
  readonly lookup?: Lookup;
}

export interface Posted {
  readonly status: number;
  /** `Retry-After` in seconds, where it is a number. */
  readonly retryAfter: number | undefined;
  /** At most 16 KiB of it. */
  readonly body: Buffer;
}

/** @throws {RefusedFetch | FailedFetch} */
export type GuardedPost = (url: URL, headers: Readonly<Record<string, string>>, body: string) => Promise<Posted>;

const MOST_BYTES = 16 * 1024;

/** @throws {RangeError} for a range that is none, and what OpenSSL says of certificates that are none. */
export function makeGuardedPost(settings: GuardedPostSettings): GuardedPost {
  const { timeoutMillis, lookup = systemLookup } = settings;
  const rules = { ...makeConnectionRules(settings), timeoutMillis };
  return async (url, headers, body) => {
    checkUrl(url, true);
    return withConnection(url, lookUp(url.hostname, lookup), rules, (socket) => postOver(socket, url, headers, body));
  };
}

function postOver(socket: TLSSocket, url: URL, headers: Readonly<Record<string, string>>, body: string): Promise<Posted> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error & { readonly code?: string }) => {
      reject(error instanceof FailedFetch ? error : new FailedFetch(`${url.host}: broke off: ${error.code ?? 'closed'}`));
      socket.destroy();
    };
    const sent = request({
      createConnection: () => socket,
      method: 'POST',
      host: url.hostname,
      port: url.port || 443,
      path: url.pathname + url.search,
      headers: {
        host: url.host,
        ...headers,
        'content-length': Buffer.byteLength(body),
        'accept-encoding': 'identity',
        'user-agent': 'hermesbridge',
        connection: 'close',
      },
      insecureHTTPParser: false,
    });
    sent.on('error', fail);
    socket.on('error', fail);
    sent.on('close', () => fail(new FailedFetch(`${url.host}: no whole answer`)));
    sent.on('response', (response) => {
      const { statusCode: status = 0, headers: fields } = response;
      const seconds = Number(fields['retry-after'] ?? Number.NaN);
      const retryAfter = seconds >= 0 ? seconds : undefined;
      const chunks: Buffer[] = [];
      let length = 0;
      const done = () => resolve({ status, retryAfter, body: Buffer.concat(chunks) });
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= MOST_BYTES) chunks.push(chunk);
        else {
          // The status says what is to be known.
          done();
          socket.destroy();
        }
      });
      response.on('error', fail);
      response.on('end', () => {
        if (response.complete) done();
      });
    });
    sent.end(body);
  });
}

// One GET over a connection that is there already, and its answer, of which nothing is taken that was not asked for: no redirect,
// no encoding, no other kind of file, and no more bytes than are wanted. The connection is not used again.

import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { FailedFetch, NotFound, RefusedFetch } from './fetch-error.ts';

export interface Wanted {
  readonly url: URL;
  /** Media types without parameters. */
  readonly accept: readonly string[];
  /** Longest body taken. */
  readonly maxBytes: number;
}

/** Bytes beyond the body that an answer may consist of: header fields, interim answers, chunk sizes. */
const FRAMING = 64 * 1024;
const TRANSIENT = new Set([408, 425, 429]);

/** Ends with the socket: destroying it with an error rejects with that error. @throws {RefusedFetch | NotFound | FailedFetch} */
export function getOver(socket: TLSSocket, { url, accept, maxBytes }: Wanted): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error & { readonly code?: string }) => {
      const ours = error instanceof RefusedFetch || error instanceof NotFound || error instanceof FailedFetch;
      reject(ours ? error : new FailedFetch(`${url.host}: the answer broke off: ${error.code ?? 'closed'}`));
      socket.destroy();
    };
    const sent = request({
      createConnection: () => socket,
      host: url.hostname,
      port: url.port || 443,
      path: url.pathname + url.search,
      headers: {
        host: url.host,
        accept: accept.join(', '),
        'accept-encoding': 'identity',
        // A log that has grown is fetched because it has grown.
        'cache-control': 'no-cache',
        'user-agent': 'hermesbridge',
        connection: 'close',
      },
      insecureHTTPParser: false,
    });
    sent.on('error', fail);
    socket.on('error', fail);
    sent.on('socket', () => {
      let received = 0;
      socket.on('data', (bytes: Buffer) => {
        received += bytes.length;
        if (received > 2 * maxBytes + FRAMING) fail(new RefusedFetch(`${url.host}: an answer without an end`));
      });
    });
    sent.on('close', () => fail(new FailedFetch(`${url.host}: no whole answer`)));
    sent.on('response', (response) => {
      const error = faultOf(response, { url, accept, maxBytes });
      if (error !== undefined) return fail(error);
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxBytes) fail(new RefusedFetch(`${url.host}: more than ${maxBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () => {
        if (response.complete) resolve(Buffer.concat(chunks));
      });
    });
    sent.end();
  });
}

/** By status and header fields. */
function faultOf({ statusCode = 0, headers }: IncomingMessage, { url, accept, maxBytes }: Wanted): Error | undefined {
  const refused = (rule: string) => new RefusedFetch(`${url.host}: ${rule}`);
  if (statusCode === 404 || statusCode === 410) return new NotFound(`${url.host}: status ${statusCode}`);
  if (statusCode >= 500 || TRANSIENT.has(statusCode)) return new FailedFetch(`${url.host}: status ${statusCode}`);
  if (statusCode >= 300 && statusCode < 400) return refused(`redirects (status ${statusCode}), which are not followed`);
  if (statusCode !== 200) return refused(`status ${statusCode} where 200 is needed`);
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') return refused('an encoded body');
  const length = headers['content-length'];
  if (length !== undefined && !(Number(length) <= maxBytes)) return refused(`more than ${maxBytes} bytes`);
  // Without either a body that was cut short looks whole, and a log that was cut short is one of before a rotation.
  if (length === undefined && headers['transfer-encoding']?.toLowerCase() !== 'chunked')
    return refused('a body that does not say where it ends');
  // RFC 9110 section 8.3: what says nothing of itself may be taken for bytes.
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? 'application/octet-stream';
  return accept.includes(type) ? undefined : refused('another media type than was asked for');
}

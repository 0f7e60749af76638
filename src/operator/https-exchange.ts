// One HTTPS request and its answer, bounded in time and size.

import { request } from 'node:https';
import type { LookupFunction } from 'node:net';

export interface HttpsRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** PEM; the system's CA certificates otherwise. */
  readonly ca: string | undefined;
  readonly lookup: LookupFunction;
  readonly timeoutMillis: number;
}

export interface HttpsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

const LARGEST_ANSWER = 16 * 1024 * 1024;

/** @throws the error of the connection: whether the request was carried out is then not known, unless it was refused */
export function exchange({ method, url, headers, body, ca, lookup, timeoutMillis }: HttpsRequest): Promise<HttpsAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method,
      headers: { ...headers, ...(body && { 'content-length': String(body.length) }) },
      ...(ca !== undefined && { ca }),
      lookup,
      agent: false,
      signal: AbortSignal.timeout(timeoutMillis),
    });
    sent.on('error', (error) => reject(error.name === 'AbortError' ? new Error(`no answer within ${timeoutMillis} ms`) : error));
    sent.on('response', (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > LARGEST_ANSWER) sent.destroy(new Error(`the answer is larger than ${LARGEST_ANSWER} bytes`));
      });
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }));
    });
    sent.end(body);
  });
}

// A captured request for `sign` and `verify`: JSON, or HTTP/1.1 as it stands on the wire.

import type { CheckedHttpRequest } from '../ext-authz/decode-check-request.ts';
import { CommandError } from './output.ts';

export interface RequestParts {
  readonly method: string;
  readonly url: URL;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** @throws {CommandError} */
export function parseHeader(line: string): [string, string] {
  const at = line.indexOf(':');
  if (at < 1) throw new CommandError('a header is written NAME: VALUE');
  return [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()];
}

/**
 * @param bytes `{"method","url","headers":[["name","value"],…],"body" or "bodyBase64"}` as JSON, or an HTTP/1.1 request
 * @throws {CommandError} that says what is missing
 */
export function parseCapturedRequest(bytes: Buffer): RequestParts {
  return bytes.toString('latin1').trimStart().startsWith('{') ? fromJson(bytes) : fromHttp(bytes);
}

function fromJson(bytes: Buffer): RequestParts {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  } catch {
    throw new CommandError('the captured request is not JSON');
  }
  const { method, url, headers, body, bodyBase64 } = value;
  if (typeof method !== 'string' || typeof url !== 'string')
    throw new CommandError('the captured request needs "method" and "url"');
  if (body !== undefined && body !== null && typeof body !== 'string')
    throw new CommandError('"body" of the captured request must be the text as it was sent, or "bodyBase64" its bytes');
  const content = typeof bodyBase64 === 'string' ? Buffer.from(bodyBase64, 'base64') : Buffer.from(body ?? '');
  return {
    method,
    url: parseUrl(url),
    headers: headerPairs(headers),
    body: content,
  };
}

/** From `[["name","value"],…]`, or `{"name":"value"}`, where a list of values is a line each. */
function headerPairs(headers: unknown): [string, string][] {
  const pairs: unknown[] = Array.isArray(headers) ? headers : Object.entries(headers ?? {});
  return pairs.flatMap((pair) => {
    const [name, lines] = Array.isArray(pair) ? pair : [];
    const values: unknown[] = Array.isArray(lines) ? lines : [lines];
    if (typeof name !== 'string' || values.some((value) => typeof value !== 'string'))
      throw new CommandError('"headers" of the captured request must be [["name","value"],…] or {"name":"value"}');
    return values.map((value): [string, string] => [name.toLowerCase(), String(value)]);
  });
}

function fromHttp(bytes: Buffer): RequestParts {
  const text = bytes.toString('latin1');
  const end = /\r?\n\r?\n/.exec(text);
  const [start = '', ...lines] = text.slice(0, end?.index ?? text.length).split(/\r?\n/);
  const [method, target] = start.split(' ');
  const headers = lines.filter((line) => line !== '').map(parseHeader);
  const host = headers.find(([name]) => name === 'host')?.[1];
  if (method === undefined || target === undefined || host === undefined)
    throw new CommandError('the captured request needs a request line and a Host header');
  return {
    method,
    url: parseUrl(`https://${host}${target}`),
    headers,
    body: bytes.subarray(end === null ? bytes.length : end.index + end[0].length),
  };
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw new CommandError('the URL of the captured request does not parse');
  return new URL(text);
}

/** The request as Envoy would show it. */
export function asChecked({ method, url, headers, body }: RequestParts): CheckedHttpRequest {
  const fields = headers.filter(([name]) => name !== 'host').map(([name, value]): [string, string] => [name, value]);
  return {
    id: 'captured',
    method,
    path: url.pathname + url.search,
    host: url.host,
    scheme: url.protocol.slice(0, -1),
    body: '',
    rawBody: body,
    headers: [...fields, ['x-envoy-auth-partial-body', 'false']],
  };
}

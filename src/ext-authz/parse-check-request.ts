// From Envoy's CheckRequest to an InboundRequest: what Envoy says about the message is held to what the message shows,
// and whatever could be read in two ways is refused here (profile section 4, row 2).

import { CAPABILITY_MISSING } from '../checks/form/check-form.ts';
import { denied, type Outcome, passed } from '../outcome.ts';
import type { InboundRequest } from '../request.ts';
import type { CheckedHttpRequest } from './decode-check-request.ts';

/** Envoy says with this header whether the body it passes on is whole; it overwrites a client's own. */
const PARTIAL_BODY = 'x-envoy-auth-partial-body';
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const TARGET = /^\/[\x21-\x7e]*$/;

/** Envoy is not configured as it must be: no conclusion about the request is possible. */
export class GatewayMisconfigured extends Error {
  override readonly name = 'GatewayMisconfigured';
}

/** @throws {GatewayMisconfigured} when Envoy withholds the body. */
export function parseCheckRequest(http: CheckedHttpRequest | undefined): Outcome<InboundRequest> {
  if (http === undefined) return denied('malformed', 'The check holds no HTTP request.');
  const fields = new Map<string, string[]>();
  let problem = findMalformed(http);
  for (const [name, raw] of http.headers) {
    if (name.startsWith(':')) continue;
    if (!FIELD_NAME.test(name)) problem ??= 'A header name is not one.';
    // One character for each byte: a signature is over bytes, and no second decoding can change what it says.
    const value = trimWhiteSpace(raw);
    const lines = fields.get(name);
    if (lines === undefined) fields.set(name, [value]);
    else lines.push(value);
  }
  const partial = fields.get(PARTIAL_BODY);
  if (partial?.some((value) => value !== 'false')) problem ??= 'The body did not arrive whole.';
  if (problem !== undefined) {
    // Row 1 answers before row 2.
    return fields.has('agent-capability') ? denied('malformed', problem) : CAPABILITY_MISSING;
  }
  const at = http.path.indexOf('?');
  return passed({
    streamId: http.id,
    method: http.method,
    authority: normaliseAuthority(http.host, http.scheme) ?? '',
    path: at === -1 ? http.path : http.path.slice(0, at),
    query: at === -1 ? '?' : http.path.slice(at),
    fields,
    body: wholeBody(http, fields, partial !== undefined),
  });
}

function findMalformed({ path, method, host, scheme }: CheckedHttpRequest): string | undefined {
  if (!TARGET.test(path) || path.includes('#')) return 'The request target is not an absolute path.';
  if (!/^[A-Z]{1,20}$/.test(method)) return 'The method is not one.';
  if (normaliseAuthority(host, scheme) === undefined) return 'The authority is not a host with an optional port.';
  return undefined;
}

/**
 * Optional white space only (RFC 9110 section 5.6.3): String.trim would take the byte 0xA0 for a space.
 * By index: a pattern for the trailing part looks at a run of blanks once from each of them.
 */
function trimWhiteSpace(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value.charCodeAt(start))) start++;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--;
  return end - start === value.length ? value : value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** RFC 9421 section 2.2.3. Refused: userinfo, a trailing dot, and the comma with which Envoy joins two Host lines. */
function normaliseAuthority(host: string, scheme: string): string | undefined {
  const match = /^([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$/.exec(host);
  if (match?.[1] === undefined) return undefined;
  const name = match[1].toLowerCase();
  const port = match[2];
  return port === undefined || port === (scheme === 'http' ? '80' : '443') ? name : `${name}:${port}`;
}

function wholeBody(http: CheckedHttpRequest, fields: ReadonlyMap<string, readonly string[]>, saidWhole: boolean): Uint8Array {
  if (http.body !== '') throw new GatewayMisconfigured('Envoy sends the body as text: set with_request_body.pack_as_bytes');
  const body = http.rawBody ?? new Uint8Array();
  const length = fields.get('content-length')?.at(-1) ?? '0';
  // An upgraded request has no body to wait for; the capability check refuses it by name.
  if (saidWhole || fields.has('upgrade') || (length === String(body.length) && !fields.has('transfer-encoding'))) return body;
  throw new GatewayMisconfigured('Envoy does not send the whole body: set with_request_body on this route');
}

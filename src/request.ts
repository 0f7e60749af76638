// InboundRequest: one HTTP request as it reached Envoy, parsed and immutable, with nothing of Envoy in it.

/** Field names in lower case to their field lines in order, trimmed, one character for each byte (ISO 8859-1). */
export type HeaderFields = ReadonlyMap<string, readonly string[]>;

export interface InboundRequest {
  /** The proxy's own id of the HTTP stream; the same for a Check that it repeats. Never the client's `x-request-id`. */
  readonly streamId: string;
  readonly method: string;
  /** As RFC 9421 section 2.2.3 normalises it: lower case, without the default port. */
  readonly authority: string;
  /** Absolute path as it is sent on, without the query. */
  readonly path: string;
  /** From `?` on; `?` alone where the target has no query (RFC 9421 section 2.2.7). */
  readonly query: string;
  readonly fields: HeaderFields;
  /** Bytes as received; empty where the request has no content. */
  readonly body: Uint8Array;
}

/** The single line of a field, `undefined` where there is none, `repeated` where there is more than one. */
export function singleLine(fields: HeaderFields, name: string): string | undefined | typeof repeated {
  const lines = fields.get(name);
  if (lines === undefined) return undefined;
  return lines.length === 1 ? lines[0] : repeated;
}

export const repeated = Symbol('repeated');

/** To be kept: cut out of a request's header section, a text would keep all of it in memory. */
export function ownCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

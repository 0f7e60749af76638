// The signature base of RFC 9421 section 2.5, for the components that a request through Envoy can prove.
// Text is one character for each byte (ISO 8859-1), as header fields are held, so what is hashed is what was sent.

import type { InboundRequest } from '../request.ts';

/** Derived components (RFC 9421 section 2.2). `@scheme` and `@target-uri` are not here: over clear text HTTP/2 the client chooses the scheme. */
const DERIVED: ReadonlyMap<string, (request: SignableRequest) => string> = new Map([
  ['@method', ({ method }) => method],
  ['@authority', ({ authority }) => authority],
  ['@path', ({ path }) => path],
  ['@query', ({ query }) => query],
  ['@request-target', ({ path, query }) => (query === '?' ? path : path + query)],
] satisfies [string, (request: SignableRequest) => string][]);

export type SignableRequest = Pick<InboundRequest, 'method' | 'authority' | 'path' | 'query' | 'fields'>;

export function isSupportedComponent(name: string): boolean {
  return name.startsWith('@') ? DERIVED.has(name) : true;
}

/**
 * @param components names of covered components without parameters, in order, each one supported
 * @param signatureParams the serialised value of `@signature-params` (section 2.3)
 * @returns the base, or the name of the component that the message does not carry exactly once
 */
export function signatureBase(
  request: SignableRequest,
  components: readonly string[],
  signatureParams: string,
): { base: Buffer } | { missing: string } {
  let base = '';
  for (const name of components) {
    const value = componentValue(request, name);
    if (value === undefined) return { missing: name };
    base += `"${name}": ${value}\n`;
  }
  return { base: Buffer.from(`${base}"@signature-params": ${signatureParams}`, 'latin1') };
}

function componentValue(request: SignableRequest, name: string): string | undefined {
  const derived = DERIVED.get(name);
  if (derived !== undefined) return derived(request);
  const lines = request.fields.get(name);
  return lines?.length === 1 ? lines[0] : undefined;
}

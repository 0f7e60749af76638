// Reads what a request wants in the way the service does: match, query, body, then the operation's reader.

import {
  type Json,
  type JsonObject,
  type ProviderApi,
  Undetermined,
  type WantedAccess,
} from '../../../src/checks/capability/provider-api.ts';
import { readMultipart } from '../../../src/checks/capability/read-multipart.ts';
import { matchOperation, parseQuery } from '../../../src/checks/capability/read-operation.ts';
import { parseStrictJson } from '../../../src/crypto/strict-json.ts';

export function wantsOf(
  api: ProviderApi,
  method: string,
  target: string,
  body: Json | Uint8Array,
  contentType = 'application/json',
): WantedAccess {
  const mark = target.indexOf('?');
  const matched = matchOperation(api, method, mark < 0 ? target : target.slice(0, mark));
  if (matched === undefined) throw new Error(`no operation for ${method} ${target}`);
  const { operation, path } = matched;
  const query = parseQuery(mark < 0 ? '' : target.slice(mark), operation.query ?? []);
  return operation.wants({ path, query, body: content(operation.body, body, contentType) });
}

function content(kind: 'json' | 'multipart' | 'none', body: Json | Uint8Array, contentType: string): JsonObject {
  if (kind === 'none') return {};
  if (kind === 'multipart') {
    if (!(body instanceof Uint8Array)) throw new Error('bytes are due');
    return readMultipart(contentType, body);
  }
  // Through JSON text, so that the members are those of a parsed body (an own `__proto__` for one).
  return parseStrictJson(body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body))) as JsonObject;
}

/** The message of the {@link Undetermined} that the call throws; anything else fails the test. */
export function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof Undetermined) return error.message;
    throw error;
  }
  throw new Error('was not refused');
}

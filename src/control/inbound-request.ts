// An HTTP request as it came in, in the form that signatures are verified over.

import type { IncomingMessage } from 'node:http';
import type { InboundRequest } from '../request.ts';
import { Problem } from './problem.ts';

/**
 * @param body bytes as received; empty where the request has no content
 * @throws {Problem} for a target or Host that can be read in two ways
 */
export function inboundRequest(raw: IncomingMessage, body: Uint8Array): InboundRequest {
  const target = raw.url ?? '';
  if (!target.startsWith('/')) throw new Problem('malformed-request', 'The request target must be a path.');
  const fields = fieldsOf(raw.rawHeaders);
  const hosts = fields.get('host') ?? [];
  if (hosts.length !== 1) throw new Problem('malformed-request', 'The request must have one Host.');
  const question = target.indexOf('?');
  return {
    streamId: '',
    method: raw.method ?? '',
    // The vault is an https origin, whatever speaks TLS for it.
    authority: (hosts[0] ?? '').toLowerCase().replace(/:443$/, ''),
    path: question === -1 ? target : target.slice(0, question),
    query: question === -1 ? '?' : target.slice(question),
    fields,
    body,
  };
}

function fieldsOf(rawHeaders: readonly string[]): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const line = (rawHeaders[at + 1] ?? '').trim();
    const lines = fields.get(name);
    if (lines === undefined) fields.set(name, [line]);
    else lines.push(line);
  }
  return fields;
}

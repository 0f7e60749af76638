// A ProcessingRequest off the wire (field numbers in protos/envoy/service/ext_proc/v3): what it is about, and what ext_authz said of
// the request whose response it is. The headers themselves are skipped.

import { Fields } from '../ext-authz/message-fields.ts';

export type ProcessingPart = 'response_headers' | 'response_trailers' | 'other';

export interface ProcessingMessage {
  readonly part: ProcessingPart;
  /** Of the flat string members of ext_authz's dynamic metadata, those that were asked for. */
  readonly metadata: ReadonlyMap<string, string>;
}

const NAMESPACE = 'envoy.filters.http.ext_authz';

/** @throws when the bytes are no ProcessingRequest, or one that can be read in two ways */
export function decodeProcessingRequest(bytes: Buffer, wanted: readonly string[]): ProcessingMessage {
  const parts: ProcessingPart[] = [];
  const metadata = new Map<string, string>();
  for (const message = new Fields(bytes, 0, bytes.length); message.next(); ) {
    if (message.number >= 2 && message.number <= 7) parts.push(partOf(message.number));
    else if (message.number === 8) readMetadata(message.nested(), wanted, metadata);
  }
  const [part] = parts;
  if (part === undefined || parts.length > 1) throw new Error('the message is about nothing, or about more than one thing');
  return { part, metadata };
}

function partOf(number: number): ProcessingPart {
  if (number === 3) return 'response_headers';
  return number === 7 ? 'response_trailers' : 'other';
}

/** Metadata.filter_metadata: namespaces, and in each a Struct. */
function readMetadata(metadata: Fields, wanted: readonly string[], found: Map<string, string>): void {
  while (metadata.next()) {
    if (metadata.number !== 1) continue;
    const { key, value } = readEntry(metadata.nested());
    if (key !== NAMESPACE || value === undefined) continue;
    while (value.next()) if (value.number === 1) readMember(value.nested(), wanted, found);
  }
}

/** A member of the Struct; what is no string is none of ours. */
function readMember(entry: Fields, wanted: readonly string[], found: Map<string, string>): void {
  const { key, value } = readEntry(entry);
  if (!wanted.includes(key) || value === undefined) return;
  if (found.has(key)) throw new Error(`the metadata has ${key} twice`);
  while (value.next()) if (value.number === 3) found.set(key, value.bytes.toString('utf8', value.start, value.end));
}

/** An entry of a map. */
function readEntry(entry: Fields): { key: string; value: Fields | undefined } {
  let key = '';
  let value: Fields | undefined;
  while (entry.next()) {
    if (entry.number === 1) key = entry.text();
    else if (entry.number === 2) value = entry.nested();
  }
  return { key, value };
}

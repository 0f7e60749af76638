// CheckResponse, built once, as bytes. To Envoy an empty CheckResponse is ALLOW, and so is any reply whose status code is 0,
// so the codec here is typed and a deny always begins with the same constant bytes; tests look at the bytes.

import protobuf from 'protobufjs';
import type { DenyStatus } from '../reason.ts';

export interface AllowReply {
  /** Overwrites every line of these names. Values are printable ASCII. */
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
  /** A serialised google.protobuf.Struct, see {@link metadataStruct}; Envoy files it under its ext_authz filter's name. */
  readonly metadata: Uint8Array;
}

export interface DenyReply {
  readonly status: DenyStatus;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** google.rpc.Code PERMISSION_DENIED: any code but 0 denies, and Envoy answers with `denied_response.status`. */
const DENIED_STATUS = Buffer.of(0x0a, 0x02, 0x08, 0x07);
const OK_STATUS = Buffer.of(0x0a, 0x02, 0x08, 0x00);
const ALLOWED_DENY_STATUSES: ReadonlySet<number> = new Set([400, 401, 403, 429, 503]);

const FIELD = (number: number) => ((number << 3) | 2) >>> 0;

export function encodeDeny({ status, headers, body }: DenyReply): Buffer {
  // Envoy passes a 2xx or 3xx on to the client as it stands, so a slip here would read as success.
  const code = ALLOWED_DENY_STATUSES.has(status) ? status : 503;
  const response = protobuf.Writer.create();
  response.uint32(FIELD(1)).fork().uint32(8).int32(code).ldelim();
  for (const [name, value] of headers) writeHeader(response, name, value);
  response.uint32(FIELD(3)).string(body);
  const reply = protobuf.Writer.create().uint32(FIELD(2)).bytes(response.finish()).finish();
  return Buffer.concat([DENIED_STATUS, reply]);
}

export function encodeAllow({ set, remove, metadata }: AllowReply): Buffer {
  const removed = encodeRemove(remove);
  const headers = protobuf.Writer.create();
  for (const [name, value] of set) writeHeader(headers, name, value);
  const written = headers.finish();
  const writer = protobuf.Writer.create();
  writer.uint32(FIELD(3)).uint32(written.length + removed.length);
  const prefix = writer.finish();
  const suffix = protobuf.Writer.create().uint32(FIELD(4)).uint32(metadata.length).finish();
  return Buffer.concat([OK_STATUS, prefix, written, removed, suffix, metadata]);
}

// Clients of one kind send the same headers every time; the bound is for those that do not.
const encodedRemovals = new Map<string, Uint8Array>();
const MOST_REMOVALS = 1000;

function encodeRemove(names: readonly string[]): Uint8Array {
  const key = names.join();
  let encoded = encodedRemovals.get(key);
  if (encoded === undefined) {
    const writer = protobuf.Writer.create();
    for (const name of names) writer.uint32(FIELD(5)).string(name);
    encoded = writer.finish();
    if (encodedRemovals.size >= MOST_REMOVALS) encodedRemovals.clear();
    encodedRemovals.set(key, encoded);
  }
  return encoded;
}

/** A flat google.protobuf.Struct of strings and numbers. Two of them concatenated are one with the members of both. */
export function metadataStruct(members: Readonly<Record<string, string | number | undefined>>): Uint8Array {
  const writer = protobuf.Writer.create();
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue;
    writer.uint32(FIELD(1)).fork().uint32(FIELD(1)).string(name).uint32(FIELD(2)).fork();
    if (typeof value === 'number') writer.uint32((2 << 3) | 1).double(value);
    else writer.uint32(FIELD(3)).string(value);
    writer.ldelim().ldelim();
  }
  return writer.finish();
}

/** HeaderValueOption without `append`, in field 2 of both kinds of response. */
function writeHeader(writer: protobuf.Writer, name: string, value: string): void {
  writer
    .uint32(FIELD(2))
    .fork()
    .uint32(FIELD(1))
    .fork()
    .uint32(FIELD(1))
    .string(name)
    .uint32(FIELD(2))
    .string(value)
    .ldelim()
    .ldelim();
}

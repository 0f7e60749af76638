// CheckRequest off the wire, field by field: only what is used of it becomes an object, straight from the bytes.
// Reflection (proto-loader's decode and its copy to a plain object) costs more than the rest of the gRPC message;
// test/ext-authz holds this reader to the full protos. Field numbers: protos/envoy/service/auth/v3.

import protobuf from 'protobufjs';

/** envoy.service.auth.v3.AttributeContext.HttpRequest, as far as it is used. Everything in it is as the client sent it. */
export interface CheckedHttpRequest {
  id: string;
  method: string;
  path: string;
  host: string;
  scheme: string;
  /** Content as text, set only by an Envoy without `pack_as_bytes`. */
  body: string;
  rawBody: Uint8Array | undefined;
  /** Name and raw value of each line, from `header_map`, or from `headers` where Envoy sends no raw ones. */
  headers: [name: string, value: Buffer][];
}

type FieldReader = (reader: protobuf.Reader, field: number) => boolean;

/** @returns `undefined` when the message holds no HTTP request. @throws when the bytes are no CheckRequest. */
export function decodeCheckRequest(bytes: Uint8Array): CheckedHttpRequest | undefined {
  let found: CheckedHttpRequest | undefined;
  const reader = protobuf.Reader.create(bytes);
  readMessage(
    reader,
    reader.len,
    (_, attributes) =>
      attributes === 1 &&
      readNested(
        reader,
        (_, request) =>
          request === 4 &&
          readNested(reader, (_, http) => {
            if (http !== 2) return false;
            // A message that is there twice is merged by protobuf; no sender does that, and merging is where parsers disagree.
            if (found !== undefined) throw new Error('the CheckRequest holds two HTTP requests');
            found = readHttpRequest(reader);
            return true;
          }),
      ),
  );
  return found;
}

function readHttpRequest(reader: protobuf.Reader): CheckedHttpRequest {
  const http: CheckedHttpRequest = {
    id: '',
    method: '',
    path: '',
    host: '',
    scheme: '',
    body: '',
    rawBody: undefined,
    headers: [],
  };
  const joined: [string, Buffer][] = [];
  readNested(reader, (_, field) => {
    switch (field) {
      case 1:
        http.id = reader.string();
        return true;
      case 2:
        http.method = reader.string();
        return true;
      case 3:
        joined.push(readHeader(reader));
        return true;
      case 4:
        http.path = reader.string();
        return true;
      case 5:
        http.host = reader.string();
        return true;
      case 6:
        http.scheme = reader.string();
        return true;
      case 11:
        http.body = reader.string();
        return true;
      case 12:
        http.rawBody = reader.bytes();
        return true;
      case 13:
        return readNested(reader, (_, line) => line === 1 && http.headers.push(readHeader(reader)) > 0);
      default:
        return false;
    }
  });
  if (http.headers.length === 0) http.headers = joined;
  return http;
}

/** A HeaderValue, or an entry of the `headers` map, whose key and value have the same numbers. */
function readHeader(reader: protobuf.Reader): [string, Buffer] {
  let name = '';
  let value: Uint8Array = EMPTY;
  readNested(reader, (_, field) => {
    if (field === 1) name = reader.string();
    else if (field === 2 || field === 3) value = reader.bytes();
    else return false;
    return true;
  });
  return [name, value as Buffer];
}

const EMPTY = Buffer.alloc(0);

function readNested(reader: protobuf.Reader, read: FieldReader): true {
  const length = reader.uint32();
  if (length > reader.len - reader.pos) throw new Error('a nested message is cut short');
  readMessage(reader, reader.pos + length, read);
  return true;
}

/** `read` takes the field and answers true, or answers false without touching the reader. */
function readMessage(reader: protobuf.Reader, end: number, read: FieldReader): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    // Every field that is read is length-delimited (wire type 2); another type is not the field it claims to be.
    if ((tag & 7) !== 2 || !read(reader, tag >>> 3)) reader.skipType(tag & 7);
  }
  if (reader.pos !== end) throw new Error('a field runs past the end of its message');
}

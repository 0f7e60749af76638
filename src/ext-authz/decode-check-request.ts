// CheckRequest off the wire (Protocol Buffers encoding; field numbers in protos/envoy/service/auth/v3), straight from the bytes to
// what is used of it. Reflection and its copy to a plain object would cost more than all checks but the signature;
// test/ext-authz holds this reader to the full protos.

import { Fields } from './message-fields.ts';

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
  /** Each line's name and value, one character for each byte, from `header_map`, or from `headers` where Envoy sends no raw ones. */
  headers: [name: string, value: string][];
}

/** @returns `undefined` when the message holds no HTTP request. @throws when the bytes are no CheckRequest. */
export function decodeCheckRequest(bytes: Buffer): CheckedHttpRequest | undefined {
  const attributes = new Fields(bytes, 0, bytes.length).only(1);
  const request = attributes?.only(4);
  const http = request?.only(2);
  return http && readHttpRequest(http);
}

function readHttpRequest(fields: Fields): CheckedHttpRequest {
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
  const joined: [string, string][] = [];
  while (fields.next()) {
    switch (fields.number) {
      case 1:
        http.id = fields.text();
        break;
      case 2:
        http.method = fields.text();
        break;
      case 3:
        joined.push(readHeader(fields.nested()));
        break;
      case 4:
        http.path = fields.text();
        break;
      case 5:
        http.host = fields.text();
        break;
      case 6:
        http.scheme = fields.text();
        break;
      case 11:
        http.body = fields.text();
        break;
      case 12:
        http.rawBody = fields.bytes.subarray(fields.start, fields.end);
        break;
      case 13:
        readHeaderMap(fields.nested(), http.headers);
    }
  }
  if (http.headers.length === 0) http.headers = joined;
  return http;
}

/** All lines are cut out of one text: a call into native code for each name and value would cost more than the cutting. */
function readHeaderMap(map: Fields, headers: [string, string][]): void {
  const { bytes, end: origin } = map;
  const text = bytes.latin1Slice(origin, map.limit);
  while (map.next()) {
    if (map.number !== 1) continue;
    let name = '';
    let value = '';
    for (const line = map.nested(); line.next(); ) {
      if (line.number === 1) name = text.slice(line.start - origin, line.end - origin);
      else if (line.number === 2 || line.number === 3) value = text.slice(line.start - origin, line.end - origin);
    }
    headers.push([name, value]);
  }
}

/** An entry of the `headers` map. */
function readHeader(fields: Fields): [string, string] {
  let name = '';
  let value = '';
  while (fields.next()) {
    if (fields.number === 1) name = fields.text();
    else if (fields.number === 2) value = fields.text();
  }
  return [name, value];
}

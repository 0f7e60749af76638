// The reader of ProcessingRequests, held to the full protos.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeProcessingRequest } from '../../src/ext-proc/decode-processing-request.ts';
import { encode, fullProtos, type Message, PROCESSING_REQUEST } from '../protos.ts';

const NAMESPACE = 'envoy.filters.http.ext_authz';
const WANTED = ['decision_id', 'chain'];
const read = (message: Message) => decodeProcessingRequest(encode(fullProtos, PROCESSING_REQUEST, message), WANTED);
const struct = (members: Record<string, string | number>) => ({
  fields: Object.fromEntries(
    Object.entries(members).map(([name, value]) => [
      name,
      typeof value === 'string' ? { stringValue: value } : { numberValue: value },
    ]),
  ),
});
const headers = { headers: { headers: [{ key: ':status', raw_value: Buffer.from('200') }] }, end_of_stream: true };

test('what it is about, and the members that are wanted of ext_authz’s metadata', () => {
  const metadata_context = {
    filter_metadata: {
      other: struct({ decision_id: 'not this one' }),
      [NAMESPACE]: struct({ decision_id: 'd', chain: 'ü{}', agent: 'a', level: 0 }),
    },
  };
  const attributes = { 'envoy.filters.http.ext_proc': struct({ a: 'b' }) };
  expect(read({ response_headers: headers, metadata_context, attributes })).toEqual({
    part: 'response_headers',
    metadata: new Map([
      ['decision_id', 'd'],
      ['chain', 'ü{}'],
    ]),
  });
});

test.each([
  ['response_trailers', { response_trailers: { trailers: { headers: [] } } }],
  ['other', { request_headers: headers }],
  ['other', { request_body: { body: Buffer.of(1) } }],
  ['other', { response_body: { body: Buffer.of(1) } }],
  ['other', { request_trailers: {} }],
])('%s is told apart', (part, message) => {
  expect(read(message)).toEqual({ part, metadata: new Map() });
});

test('a member that is no text is missing', () => {
  const metadata_context = { filter_metadata: { [NAMESPACE]: struct({ decision_id: 1 }) } };
  expect(read({ response_headers: headers, metadata_context }).metadata.size).toBe(0);
});

test('what can be read in two ways is refused', () => {
  const one = encode(fullProtos, PROCESSING_REQUEST, { response_headers: headers });
  const metadata = encode(fullProtos, PROCESSING_REQUEST, {
    metadata_context: { filter_metadata: { [NAMESPACE]: struct({ decision_id: 'd' }) } },
  });
  expect(() => decodeProcessingRequest(metadata, WANTED)).toThrow();
  expect(() => decodeProcessingRequest(Buffer.concat([one, one]), WANTED)).toThrow();
  expect(() => decodeProcessingRequest(Buffer.concat([one, metadata, metadata]), WANTED)).toThrow();
});

test('no bytes make it do anything but answer or throw an Error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeProcessingRequest(Buffer.from(bytes), WANTED);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 2000 },
  );
});

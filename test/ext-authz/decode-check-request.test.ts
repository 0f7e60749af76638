// The reader of CheckRequests, held to the full protos: it reads what they wrote, and nothing makes it do anything but answer or throw.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCheckRequest } from '../../src/ext-authz/decode-check-request.ts';
import { CHECK_REQUEST, decode, encode, fullProtos, type Message } from '../protos.ts';

const text = fc.string({ unit: 'grapheme' });
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const line = fc.oneof(fc.record({ key: text, value: text }), fc.record({ key: text, raw_value: bytes }));
const http = fc.record(
  {
    id: text,
    method: text,
    path: text,
    host: text,
    scheme: text,
    query: text,
    fragment: text,
    size: fc.nat(),
    protocol: text,
    body: text,
    raw_body: bytes,
    headers: fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      text,
      { maxKeys: 5 },
    ),
    header_map: fc.record({ headers: fc.array(line, { maxLength: 5 }) }),
  },
  { requiredKeys: [] },
);
const address = fc.record({ socket_address: fc.record({ address: text, port_value: fc.nat({ max: 65_535 }) }) });
const message = fc.record(
  {
    source: fc.record({ address, principal: text }),
    request: fc.record({ time: fc.record({ seconds: fc.nat(), nanos: fc.nat() }), http }, { requiredKeys: [] }),
    context_extensions: fc.dictionary(fc.constantFrom('a', 'b'), text),
    tls_session: fc.record({ sni: text }),
  },
  { requiredKeys: [] },
);

const latin1 = (value: unknown) => Buffer.from(typeof value === 'string' ? value : '').toString('latin1');

/** What the reader must make of a message, according to the full protos. */
function expected(encoded: Uint8Array): ReturnType<typeof decodeCheckRequest> {
  const { attributes } = decode(fullProtos, CHECK_REQUEST, encoded) as { attributes?: { request?: { http?: Message } } };
  const read = attributes?.request?.http;
  if (read === undefined) return undefined;
  const map =
    (read.header_map as { headers?: { key?: string; value?: string; raw_value?: Buffer }[] } | undefined)?.headers ?? [];
  const joined = Object.entries((read.headers ?? {}) as Record<string, string>);
  return {
    id: latin1(read.id),
    method: latin1(read.method),
    path: latin1(read.path),
    host: latin1(read.host),
    scheme: latin1(read.scheme),
    body: latin1(read.body),
    rawBody: read.raw_body as Buffer | undefined,
    headers:
      map.length > 0
        ? map.map(({ key, value, raw_value }) => [latin1(key), raw_value?.toString('latin1') ?? latin1(value)])
        : joined.map(([name, value]) => [latin1(name), latin1(value)]),
  };
}

/** Members without a value, and an empty body as an absent one: protobuf does not tell them apart. */
function normal(read: ReturnType<typeof decodeCheckRequest>) {
  return read && { ...read, rawBody: read.rawBody?.length ? Buffer.from(read.rawBody) : undefined };
}

test('whatever the full protos write is read alike', () => {
  let withHeaders = 0;
  fc.assert(
    fc.property(message, (attributes) => {
      const encoded = encode(fullProtos, CHECK_REQUEST, { attributes });
      const read = decodeCheckRequest(encoded);
      expect(normal(read)).toEqual(normal(expected(encoded)));
      if (read !== undefined && read.headers.length > 0) withHeaders++;
    }),
    { numRuns: 500 },
  );
  expect(withHeaders).toBeGreaterThan(50);
});

const sample = encode(fullProtos, CHECK_REQUEST, {
  attributes: {
    request: {
      time: { seconds: 1_767_225_600, nanos: 1 },
      http: {
        id: 'stream',
        method: 'POST',
        path: '/a?b',
        host: 'h',
        scheme: 'https',
        raw_body: Buffer.from('body'),
        header_map: { headers: [{ key: 'a', raw_value: Buffer.from('b') }] },
      },
    },
    context_extensions: { c: 'd' },
  },
});

describe('bytes that are no CheckRequest', () => {
  function attempt(encoded: Buffer): 'read' | 'refused' {
    try {
      decodeCheckRequest(encoded);
      return 'read';
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
      return 'refused';
    }
  }

  test('cut short anywhere within are refused', () => {
    for (let length = 1; length < sample.length; length++)
      expect(attempt(sample.subarray(0, length)), `${length} bytes`).toBe('refused');
  });

  test('with any byte changed are read or refused, in bounded time', () => {
    const verdicts = { read: 0, refused: 0 };
    for (let at = 0; at < sample.length; at++) {
      for (const bit of [1, 2, 4, 8, 0x80, 0xff]) {
        const changed = Buffer.from(sample);
        changed[at] = (changed[at] ?? 0) ^ bit;
        verdicts[attempt(changed)]++;
      }
    }
    expect(Math.min(verdicts.read, verdicts.refused)).toBeGreaterThan(10);
  });

  test('of any kind are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        expect(['read', 'refused']).toContain(attempt(Buffer.from(random)));
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    ['a length that runs past the end', '0aff01'],
    ['a length of 2^63', '0affffffffffffffff7f'],
    ['a varint that never ends', `0a${'ff'.repeat(20)}`],
    ['a nested length that runs past its message', '0a042202120a'],
    ['a tag that is cut short', '80'],
    ['a tag beyond 32 bits', 'ffffffffffffffff7f00'],
    ['a fixed64 that runs past the end', '0901'],
    ['a group', '0b0c'],
    ['wire type 7', '0f'],
  ])('refused: %s', (_, hex) => {
    expect(attempt(Buffer.from(hex, 'hex'))).toBe('refused');
  });

  test('two HTTP requests are refused, where protobuf would merge them', () => {
    const one = (method: string) => encode(fullProtos, CHECK_REQUEST, { attributes: { request: { http: { method } } } });
    const both = Buffer.concat([one('GET'), one('DELETE')]);
    expect(decode(fullProtos, CHECK_REQUEST, both)).toMatchObject({ attributes: { request: { http: { method: 'DELETE' } } } });
    expect(() => decodeCheckRequest(both)).toThrow('twice');
  });
});

test('fields of another wire type than their own are no values', () => {
  // attributes { request { http { method as varint 5, method "GET" } } }
  const encoded = Buffer.from([0x0a, 11, 0x22, 9, 0x12, 7, 0x10, 5, 0x12, 3, 0x47, 0x45, 0x54]);
  expect(decodeCheckRequest(encoded)?.method).toBe('GET');
});

test('no bytes hold no request', () => {
  expect(decodeCheckRequest(Buffer.alloc(0))).toBeUndefined();
});

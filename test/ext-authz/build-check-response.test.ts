// The bytes that Envoy gets. To Envoy a reply whose status code is 0 or absent is ALLOW, so the bytes themselves are looked at.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeAllow, encodeDeny, metadataStruct } from '../../src/ext-authz/build-check-response.ts';
import { problem } from '../../src/ext-authz/problem.ts';
import { type DenyStatus, REASONS, type Reason } from '../../src/reason.ts';
import { CHECK_RESPONSE, decode, encode, fullProtos } from '../protos.ts';

const read = (bytes: Uint8Array) => decode(fullProtos, CHECK_RESPONSE, bytes);
const header = ([key, value]: readonly [string, string]) => ({ header: { key, value } });
const reasons = Object.keys(REASONS) as Reason[];
const text = fc.string({ unit: 'grapheme' });
const headers = fc.array(fc.tuple(fc.string({ unit: 'grapheme-ascii', minLength: 1 }), text));

describe('a denial', () => {
  test('begins with PERMISSION_DENIED, whatever it says', () => {
    fc.assert(
      fc.property(fc.constantFrom<DenyStatus>(400, 401, 403, 429, 503), headers, text, (status, lines, body) => {
        const bytes = encodeDeny({ status, headers: lines, body });
        expect(bytes.subarray(0, 4)).toEqual(Buffer.of(0x0a, 0x02, 0x08, 0x07));
        expect(read(bytes)).toEqual({
          status: { code: 7 },
          denied_response: {
            status: { code: status },
            ...(lines.length > 0 && { headers: lines.map(header) }),
            body,
          },
        });
      }),
    );
  });

  test.each([0, 200, 204, 301, 302, 404, 500, Number.NaN, -1, undefined])('a status of %s goes out as 503', (status) => {
    const bytes = encodeDeny({ status: status as DenyStatus, headers: [], body: '' });
    expect(read(bytes)).toMatchObject({ status: { code: 7 }, denied_response: { status: { code: 503 } } });
  });

  test.each(reasons)('%s says what it must and no more', (reason) => {
    const now = 1_767_225_600_000;
    const { status, title } = REASONS[reason];
    const reply = read(encodeDeny(problem(reason, 'the detail', 'decision-1', now)));
    const { denied_response } = reply as {
      denied_response: { headers: { header: { key: string; value: string } }[]; body: string };
    };
    const said = Object.fromEntries(denied_response.headers.map(({ header: { key, value } }) => [key, value]));
    expect(reply).toMatchObject({ status: { code: 7 }, denied_response: { status: { code: status } } });
    expect(said).toMatchObject({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
    expect(said['x-should-retry']).toBe(status === 401 || status === 403 ? 'false' : undefined);
    expect(said['www-authenticate']).toBe(status === 401 ? `AgentCap error="${reason}"` : undefined);
    expect(said['retry-after']).toBe(status === 503 || status === 429 ? '1' : undefined);
    expect(said.date).toBe(reason === 'clock-skew' ? 'Thu, 01 Jan 2026 00:00:00 GMT' : undefined);
    expect('accept-signature' in said).toBe(reason === 'signature-missing');
    expect(JSON.parse(denied_response.body)).toEqual({
      type: `urn:hermesbridge:reason:${reason}`,
      title,
      status,
      detail: 'the detail',
      instance: 'decision-1',
      error: { type: expect.any(String), code: reason, message: 'the detail' },
    });
  });
});

describe('a permit', () => {
  test('says OK in so many bytes, and what to set, to remove and to tell', () => {
    const metadata = metadataStruct({ decision_id: 'd', level: 1 });
    fc.assert(
      fc.property(headers, fc.array(text.filter((name) => name !== '')), (set, remove) => {
        const bytes = encodeAllow({ set, remove, metadata });
        expect(bytes.subarray(0, 4)).toEqual(Buffer.of(0x0a, 0x02, 0x08, 0x00));
        expect(read(bytes)).toEqual({
          status: { code: 0 },
          ok_response: {
            ...(set.length > 0 && { headers: set.map(header) }),
            ...(remove.length > 0 && { headers_to_remove: remove }),
          },
          dynamic_metadata: { fields: { decision_id: { stringValue: 'd' }, level: { numberValue: 1 } } },
        });
      }),
    );
  });

  test('sets without append, so that a header of the client’s own is overwritten', () => {
    const bytes = encodeAllow({ set: [['a', 'b']], remove: [], metadata: new Uint8Array() });
    const { ok_response } = read(bytes) as { ok_response: { headers: object[] } };
    expect(Object.keys(ok_response.headers[0] ?? {})).toEqual(['header']);
  });

  test('two structs behind one another are one', () => {
    const metadata = Buffer.concat([metadataStruct({ a: 'x', n: 1.5, none: undefined }), metadataStruct({ b: 'y' })]);
    const expected = { fields: { a: { stringValue: 'x' }, n: { numberValue: 1.5 }, b: { stringValue: 'y' } } };
    expect(read(encodeAllow({ set: [], remove: [], metadata })).dynamic_metadata).toEqual(expected);
  });
});

test('an empty reply, which would be an allow, is never built', () => {
  const deny = encodeDeny({ status: undefined as unknown as DenyStatus, headers: [], body: '' });
  const allow = encodeAllow({ set: [], remove: [], metadata: new Uint8Array() });
  // What a type slip makes of an object (the very bytes that Envoy would take for OK), beside what is built here.
  expect(encode(fullProtos, CHECK_RESPONSE, {})).toHaveLength(0);
  expect(read(deny).status).toEqual({ code: 7 });
  expect(allow.length).toBeGreaterThan(4);
  expect(read(allow)).toHaveProperty('ok_response');
});

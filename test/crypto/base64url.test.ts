import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64url } from '../../src/crypto/base64url.ts';

test('bytes come back from their one spelling', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(decodeBase64url(Buffer.from(bytes).toString('base64url'))).toEqual(Buffer.from(bytes));
    }),
  );
});

test('no two texts decode to the same bytes', () => {
  const texts = fc.string({ unit: fc.constantFrom(...'AQgw_-Zz09+/= \n'), maxLength: 6 });
  fc.assert(
    fc.property(texts, (text) => {
      const bytes = decodeBase64url(text);
      expect(bytes === undefined || bytes.toString('base64url') === text).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['padding', 'AA=='],
  ['the other alphabet', 'A+A/'],
  ['white space', 'AA AA'],
  ['a line end', 'AAAA\n'],
  ['trailing bits', 'AB'],
  ['a single character', 'A'],
  ['a character beyond ASCII', 'AAAÄ'],
])('refused: %s', (_, text) => {
  expect(decodeBase64url(text)).toBeUndefined();
});

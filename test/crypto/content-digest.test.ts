import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contentDigest, digestMatches, parseContentDigest } from '../../src/crypto/content-digest.ts';

const body = Buffer.from('{"hello": "world"}');
// RFC 9530 appendix B gives both for this body.
const SHA_256 = 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:';
const SHA_512 = 'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:';
const WRONG = 'sha-512=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==:';

const matches = (field: string, content: Uint8Array = body) => digestMatches(parseContentDigest(field), content);

test('the field that is made is the one of RFC 9530', () => {
  expect(contentDigest(body)).toBe(SHA_256);
});

test.each([
  ['sha-256', SHA_256],
  ['sha-512', SHA_512],
  ['both', `${SHA_256}, ${SHA_512}`],
  ['an unknown one beside', `${SHA_256}, md5=:AAAA:`],
  ['an insecure one of another type beside', `unixsum=30637, ${SHA_256}`],
  ['the last of two with one name (RFC 9651 section 4.2.2)', `sha-256=:AAAA:, ${SHA_256}`],
])('matches: %s', (_, field) => {
  expect(matches(field)).toBe(true);
});

test.each([
  ['none that is supported', 'md5=:Sd/dVLAcvNLSq16eXua5uQ==:'],
  ['no member', ''],
  ['a wrong one beside a right one', `${SHA_256}, ${WRONG}`],
  ['the digest of the other algorithm', SHA_256.replace('sha-256', 'sha-512')],
  ['a digest cut short', 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBP==:'.replace('BP==', 'AA==')],
  ['no bytes', 'sha-256=::'],
])('does not match: %s', (_, field) => {
  expect(matches(field)).toBe(false);
});

test.each(['sha-256="text"', 'sha-256', 'sha-256=1', 'sha-512=(:AAAA:)', 'SHA-256=:AAAA:', 'sha-256=:*:', '=', 'sha-256=:AAAA'])(
  'refused as a field: %s',
  (field) => {
    expect(() => parseContentDigest(field)).toThrow();
  },
);

test('any body matches its own digest and no other body’s', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (one, other) => {
      const field = `sha-512=:${createHash('sha512').update(one).digest('base64')}:, ${contentDigest(one)}`;
      expect(matches(field, one)).toBe(true);
      expect(matches(field, other)).toBe(Buffer.from(one).equals(Buffer.from(other)));
    }),
  );
});

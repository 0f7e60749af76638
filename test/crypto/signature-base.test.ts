// RFC 9421 section 2.5.

import { expect, test } from 'vitest';
import { isSupportedComponent, signatureBase } from '../../src/crypto/signature-base.ts';

const request = {
  method: 'POST',
  authority: 'example.com',
  path: '/foo',
  query: '?param=Value&Pet=dog',
  fields: new Map([
    ['content-type', ['application/json']],
    ['twice', ['a', 'b']],
    ['bytes', ['caf\u00e9']],
    ['empty', ['']],
  ]),
};

function baseOf(components: string[], parts: Partial<typeof request> = {}): string {
  const result = signatureBase({ ...request, ...parts }, components, '();tag="t"');
  if ('missing' in result) throw new Error(`missing ${result.missing}`);
  return result.base.toString('latin1');
}

test('each component is a line, in order, and the parameters come last without a line end', () => {
  expect(baseOf(['@method', 'content-type', '@query', '@path', '@authority'])).toBe(
    [
      '"@method": POST',
      '"content-type": application/json',
      '"@query": ?param=Value&Pet=dog',
      '"@path": /foo',
      '"@authority": example.com',
      '"@signature-params": ();tag="t"',
    ].join('\n'),
  );
});

test('an absent query is ?, which is no part of the request target (sections 2.2.5 and 2.2.7)', () => {
  expect(baseOf(['@query', '@request-target'], { query: '?' })).toContain('"@query": ?\n"@request-target": /foo\n');
  expect(baseOf(['@request-target'])).toContain('"@request-target": /foo?param=Value&Pet=dog\n');
});

test('nothing covered leaves the parameters alone', () => {
  expect(baseOf([])).toBe('"@signature-params": ();tag="t"');
});

test('a field’s bytes are signed as they are', () => {
  const result = signatureBase(request, ['bytes'], '()');
  if ('missing' in result) throw new Error('missing');
  expect(result.base.subarray(0, 14)).toEqual(Buffer.from('"bytes": caf\u00e9\n', 'latin1'));
});

test('an empty field is covered as empty', () => {
  expect(baseOf(['empty'])).toBe('"empty": \n"@signature-params": ();tag="t"');
});

test.each(['twice', 'absent', '@status', '@unknown', 'constructor', '__proto__'])('%s is not carried exactly once', (name) => {
  expect(signatureBase(request, ['@method', name], '()')).toEqual({ missing: name });
});

test.each([
  ['@method', true],
  ['@request-target', true],
  ['x-anything', true],
  ['@scheme', false],
  ['@target-uri', false],
  ['@query-param', false],
  ['@status', false],
  ['@toString', false],
])('%s is supported: %s', (name, supported) => {
  expect(isSupportedComponent(name)).toBe(supported);
});

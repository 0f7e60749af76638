// Matching of method and path, and the strict query parser.

import { describe, expect, it } from 'vitest';
import type { Operation, ProviderApi } from '../../../src/checks/capability/provider-api.ts';
import { compileApi, matchOperation, parseQuery } from '../../../src/checks/capability/read-operation.ts';
import { refusal } from './wants.ts';

const operation = (path: string): Operation => ({
  method: 'POST',
  path,
  body: 'json',
  wants: () => ({ action: 'chat', tools: [], outputTokens: 0 }),
});
const api = (...paths: string[]): ProviderApi => ({
  name: 'test',
  credential: { header: 'x', prefix: '' },
  baseUrl: { environment: 'X', suffix: '' },
  operations: paths.map(operation),
});
const table = api('/v1/a', '/v1/{x}', '/v1/{x}/b/{y}', '/m/{model}:go');

describe('matchOperation', () => {
  it.each<[string, Record<string, string> | undefined]>([
    ['/v1/a', {}],
    ['/v1/b', { x: 'b' }],
    ['/v1/%61', { x: 'a' }],
    ['/v1/p/b/q', { x: 'p', y: 'q' }],
    ['/v1/us.x-1%3A0', { x: 'us.x-1:0' }],
    ['/m/gpt:go', { model: 'gpt' }],
    ['/m/a:b:go', undefined],
    ['/v1/a/', undefined],
    ['/v1//b/q', undefined],
    ['/V1/a', undefined],
    ['/v1/a?x', undefined],
    ['/v1/a#x', undefined],
    ['/v1/x%2Fy', undefined],
    ['/v1/x%5Cy', undefined],
    ['/v1/x%00', undefined],
    ['/v1/x%0A', undefined],
    ['/v1/x\n', undefined],
    ['/v1/x%2541', undefined],
    ['/v1/x%zz', undefined],
    ['/v1/x%C3%28', undefined],
    ['/v1/x%20y', undefined],
    ['/v1/%C3%A9', undefined],
    ['/v1/x;y', undefined],
    ['/v1/..', undefined],
    ['/v1/%2e%2E', undefined],
    ['v1/a', undefined],
    ['', undefined],
  ])('%j', (path, expected) => {
    expect(matchOperation(table, 'POST', path)?.path).toEqual(expected);
  });
  it.each(['GET', 'post', 'PATCH', ''])('knows no method %j', (method) => {
    expect(matchOperation(table, method, '/v1/a')).toBeUndefined();
  });
  it('prefers the literal path', () => {
    expect(matchOperation(api('/v1/{x}', '/v1/a'), 'POST', '/v1/a')?.operation.path).toBe('/v1/a');
  });
});

describe('compileApi', () => {
  it.each<[RegExp, string[]]>([
    [/twice/, ['/a', '/a']],
    [/twice/, ['/{a}', '/{b}']],
    [/name twice/, ['/{a}/{a}']],
    [/without text between/, ['/{a}{b}']],
    [/cannot be read/, ['/{a']],
    [/cannot be read/, ['/{}']],
    [/cannot be read/, ['/a?b=c']],
    [/begin with a slash/, ['a']],
  ])('refuses with %s: %j', (message, paths) => {
    expect(() => compileApi(api(...paths))).toThrow(message);
  });
});

describe('parseQuery', () => {
  it.each<[string, [string, string][]]>([
    ['', []],
    ['?', []],
    ['?a=b', [['a', 'b']]],
    [
      '?a=&b=c%20d',
      [
        ['a', ''],
        ['b', 'c d'],
      ],
    ],
    ['?api-version=2025-04-01', [['api-version', '2025-04-01']]],
  ])('%j', (raw, pairs) => {
    expect([...parseQuery(raw)]).toEqual(pairs);
  });
  it.each([
    'a=b',
    '?a',
    '?a=b&',
    '?&a=b',
    '?a=b&&c=d',
    '?=b',
    '?a=b=c',
    '?a=b;c=d',
    '?a=b+c',
    '?a=%zz',
    '?a=b#c',
    '?a=é',
    '?a=b&a=c',
    '?a=b&%61=c',
    '?a=b\n',
    '??a=b',
  ])('refuses %j', (raw) => {
    expect(refusal(() => parseQuery(raw))).toMatch(/query/);
  });
  it('refuses what the operation does not take', () => {
    expect(refusal(() => parseQuery('?a=b', ['c']))).toBe('the query parameter `a` is not known here; leave it out');
  });
});

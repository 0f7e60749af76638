// From what Envoy says of a request to the request, and what is refused on the way because it could be read in two ways.

import { describe, expect, test } from 'vitest';
import { type CheckedHttpRequest, decodeCheckRequest } from '../../src/ext-authz/decode-check-request.ts';
import { GatewayMisconfigured, parseCheckRequest } from '../../src/ext-authz/parse-check-request.ts';
import { CHECK_REQUEST, encode, fullProtos } from '../protos.ts';

const capability: [string, string] = ['agent-capability', '"a.b.c"'];
const whole: [string, string] = ['x-envoy-auth-partial-body', 'false'];

function checked(parts: Partial<CheckedHttpRequest> = {}, headers: [string, string][] = []): CheckedHttpRequest {
  return {
    id: 'stream',
    method: 'POST',
    path: '/openai/v1/chat/completions?a=b',
    host: 'gateway.example',
    scheme: 'https',
    body: '',
    rawBody: Buffer.from('{}'),
    headers: [capability, whole, ...headers],
    ...parts,
  };
}

function parsed(parts?: Partial<CheckedHttpRequest>, headers?: [string, string][]) {
  const outcome = parseCheckRequest(checked(parts, headers));
  if (outcome.denied) throw new Error(outcome.detail);
  return outcome.proof;
}

function refusal(parts?: Partial<CheckedHttpRequest>, headers?: [string, string][]): string {
  const outcome = parseCheckRequest(checked(parts, headers));
  return outcome.denied ? outcome.reason : 'passed';
}

test('a request is taken apart', () => {
  expect(parsed()).toMatchObject({
    streamId: 'stream',
    method: 'POST',
    authority: 'gateway.example',
    path: '/openai/v1/chat/completions',
    query: '?a=b',
    body: Buffer.from('{}'),
  });
  expect(parsed({ path: '/a' })).toMatchObject({ path: '/a', query: '?' });
  expect(parsed({ path: '/a?' })).toMatchObject({ path: '/a', query: '?' });
  expect(parsed({ path: '/a?b?c=/d' })).toMatchObject({ path: '/a', query: '?b?c=/d' });
});

test('no HTTP request in the check is malformed', () => {
  expect(parseCheckRequest(undefined)).toMatchObject({ denied: true, reason: 'malformed' });
});

describe('headers', () => {
  test('lines keep their order and their bytes; only spaces and tabs around them go', () => {
    const { fields } = parsed({}, [
      ['x-a', ' one\t'],
      ['x-a', 'two, three'],
      ['x-b', '\u00a0\u00ff\u00a0'],
      ['x-c', ''],
    ]);
    expect([fields.get('x-a'), fields.get('x-b'), fields.get('x-c')]).toEqual([
      ['one', 'two, three'],
      ['\u00a0\u00ff\u00a0'],
      [''],
    ]);
  });

  test('pseudo headers are no headers', () => {
    expect([...parsed({}, [[':path', '/other']]).fields.keys()]).toEqual(['agent-capability', 'x-envoy-auth-partial-body']);
  });

  test.each(['X-Upper', 'x a', 'x\u00e4', '', 'x:y', 'x\n', 'x\u0000'])('the name %j is malformed', (name) => {
    expect(refusal({}, [[name, 'v']])).toBe('malformed');
  });

  test('a mesh that sends no raw headers sends them joined, and single lines verify as they stand', () => {
    const http = {
      method: 'GET',
      path: '/',
      host: 'gateway.example',
      headers: { 'agent-capability': '"a.b.c"', 'x-envoy-auth-partial-body': 'false', 'x-joined': 'a,b' },
    };
    const outcome = parseCheckRequest(
      decodeCheckRequest(encode(fullProtos, CHECK_REQUEST, { attributes: { request: { http } } })),
    );
    if (outcome.denied) throw new Error(outcome.detail);
    expect(outcome.proof.fields.get('x-joined')).toEqual(['a,b']);
    expect(outcome.proof.fields.get('agent-capability')).toEqual(['"a.b.c"']);
  });

  test('joined headers do not stand in for raw ones', () => {
    const http = {
      method: 'GET',
      path: '/',
      host: 'gateway.example',
      headers: { 'x-only-joined': 'v' },
      header_map: { headers: [{ key: 'x-raw', raw_value: Buffer.from('v') }] },
    };
    const read = decodeCheckRequest(encode(fullProtos, CHECK_REQUEST, { attributes: { request: { http } } }));
    expect(read?.headers).toEqual([['x-raw', 'v']]);
  });
});

describe('the authority (RFC 9421 section 2.2.3)', () => {
  test.each([
    ['gateway.example', 'https', 'gateway.example'],
    ['GateWay.Example', 'https', 'gateway.example'],
    ['gateway.example:443', 'https', 'gateway.example'],
    ['gateway.example:80', 'http', 'gateway.example'],
    ['gateway.example:80', 'https', 'gateway.example:80'],
    ['gateway.example:443', 'http', 'gateway.example:443'],
    ['gateway.example:8443', 'https', 'gateway.example:8443'],
    ['127.0.0.1:8443', 'https', '127.0.0.1:8443'],
    ['[::1]:443', 'https', '[::1]'],
    ['[2001:DB8::1]', 'https', '[2001:db8::1]'],
    // The client chooses the scheme over clear text HTTP/2, so any but http counts as https.
    ['gateway.example:443', 'ftp', 'gateway.example'],
  ])('%s over %s is %s', (host, scheme, authority) => {
    expect(parsed({ host, scheme }).authority).toBe(authority);
  });

  test.each([
    '',
    'a.example,b.example',
    'a.example, b.example',
    'user@a.example',
    'user:pass@a.example',
    'a.example.',
    'a..example',
    '.example',
    'a.example:',
    'a.example:http',
    'a.example:123456',
    'a.example/path',
    'a.example?x',
    'a.example#x',
    'a_b.example\u0000',
    ' a.example',
    'a.example\t',
    '\u0430.example',
    '%61.example',
    '[::1',
    '::1',
  ])('%j is malformed', (host) => {
    expect(refusal({ host })).toBe('malformed');
  });
});

test.each([
  '',
  '*',
  'openai',
  'https://gateway.example/',
  '//evil.example/x#',
  '/a b',
  '/a\u00e9',
  '/a\u0000',
  '/a#b',
  '?a',
  '/a\n',
])('the target %j is malformed', (path) => {
  expect(refusal({ path })).toBe('malformed');
});

test('a target that begins with two slashes is a path and never a host', () => {
  expect(parsed({ path: '//evil.example/v1' })).toMatchObject({ authority: 'gateway.example', path: '//evil.example/v1' });
});

test.each(['', 'get', 'GET ', 'GE-T', 'A'.repeat(21), 'G\u0000T'])('the method %j is malformed', (method) => {
  expect(refusal({ method })).toBe('malformed');
});

describe('the body', () => {
  test.each(['true', 'TRUE', '', 'false,true'])('with a partial-body of %j did not arrive whole', (value) => {
    expect(refusal({ headers: [capability, ['x-envoy-auth-partial-body', value]] })).toBe('malformed');
  });

  test('is not whole when one of two lines says so', () => {
    expect(refusal({}, [['x-envoy-auth-partial-body', 'true']])).toBe('malformed');
  });

  test.each<[string, Partial<CheckedHttpRequest>]>([
    ['a length without a body', { rawBody: undefined, headers: [capability, ['content-length', '5']] }],
    ['a body that is chunked', { rawBody: undefined, headers: [capability, ['transfer-encoding', 'chunked']] }],
    ['less than the length', { rawBody: Buffer.from('{'), headers: [capability, ['content-length', '2']] }],
    ['a body without a length', { rawBody: Buffer.from('{}'), headers: [capability] }],
    ['text instead of bytes', { body: '{}' }],
    ['text beside the bytes', { body: '{}', rawBody: Buffer.from('{}') }],
  ])('%s means that Envoy is misconfigured', (_, parts) => {
    expect(() => parseCheckRequest(checked(parts))).toThrow(GatewayMisconfigured);
  });

  test.each<[string, Partial<CheckedHttpRequest>]>([
    ['no length', { rawBody: undefined, headers: [capability] }],
    ['a length of 0', { rawBody: undefined, headers: [capability, ['content-length', '0']] }],
    ['an empty chunked body', { rawBody: undefined, headers: [capability, whole, ['transfer-encoding', 'chunked']] }],
    ['an upgrade', { rawBody: undefined, headers: [capability, ['upgrade', 'websocket'], ['content-length', '5']] }],
  ])('is empty with %s', (_, parts) => {
    expect(parsed(parts).body).toHaveLength(0);
  });
});

test('without a capability the answer is row 1, however malformed the rest', () => {
  expect(refusal({ path: 'x', headers: [] })).toBe('capability-missing');
});

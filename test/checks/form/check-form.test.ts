// Rows 1 and 2 of profile section 4: the sizes.

import { expect, test } from 'vitest';
import { checkForm } from '../../../src/checks/form/check-form.ts';
import type { InboundRequest } from '../../../src/request.ts';

function request(fields: [string, string[]][], parts: Partial<InboundRequest> = {}): InboundRequest {
  return {
    streamId: 's',
    method: 'POST',
    authority: 'gateway.example',
    path: '/',
    query: '?',
    fields: new Map(fields),
    body: new Uint8Array(),
    ...parts,
  };
}

const list = (bytes: number) => `"${'a'.repeat(bytes - 2)}"`;
const capability: [string, string[]] = ['agent-capability', ['"a.b.c"']];
const outcome = (fields: [string, string[]][], parts?: Partial<InboundRequest>) => {
  const result = checkForm(request(fields, parts));
  return result.denied ? `${result.reason}: ${result.detail}` : 'passed';
};

test('24 KiB of Agent-Capability pass, one byte more does not', () => {
  expect(outcome([['agent-capability', [list(24 * 1024)]]])).toBe('passed');
  expect(outcome([['agent-capability', [list(24 * 1024 + 1)]]])).toBe('malformed: Agent-Capability is too large.');
});

test('six tokens pass, seven do not', () => {
  const tokens = (count: number) => Array.from({ length: count }, () => '"a.b.c"').join(', ');
  expect(outcome([['agent-capability', [tokens(6)]]])).toBe('passed');
  expect(outcome([['agent-capability', [tokens(7)]]])).toContain('1 to 6 tokens');
});

test.each(['signature', 'signature-input', 'content-digest', 'agent-attestation'])(
  '8 KiB of %s are read, more is not',
  (name) => {
    const bytes = (count: number) => (name === 'agent-attestation' ? list(count) : `a="${'x'.repeat(count - 4)}"`);
    expect(outcome([capability, [name, [bytes(8 * 1024)]]])).toBe('passed');
    expect(outcome([capability, [name, [bytes(8 * 1024 + 1)]]])).toBe('malformed: A header is too large.');
  },
);

test('a hundred header lines pass, one more does not, on one name or on many', () => {
  const many = (count: number): [string, string[]][] => Array.from({ length: count }, (_, at) => [`x-${at}`, ['v']]);
  expect(outcome([capability, ...many(99)])).toBe('passed');
  expect(outcome([capability, ...many(100)])).toBe('malformed: The header section is too large.');
  expect(outcome([capability, ['x', Array.from({ length: 100 }, () => 'v')]])).toBe(
    'malformed: The header section is too large.',
  );
});

test('64 KiB of headers altogether', () => {
  const fields = (bytes: number): [string, string[]][] => [capability, ['x', ['v'.repeat(bytes)]], ['y', ['v'.repeat(30_000)]]];
  expect(outcome(fields(30_000))).toBe('passed');
  expect(outcome(fields(40_000))).toBe('malformed: The header section is too large.');
});

test('8 KiB of target', () => {
  expect(outcome([capability], { path: `/${'p'.repeat(8190)}` })).toBe('passed');
  expect(outcome([capability], { path: '/', query: `?${'q'.repeat(8191)}` })).toBe('malformed: The request target is too large.');
});

test('a request without capability is told so even when everything else is too large', () => {
  expect(outcome([['x', ['v'.repeat(100_000)]]])).toContain('capability-missing');
});

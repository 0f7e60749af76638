// The order of profile section 4: of two faults the one in the earlier row answers, for every pair of rows.

import { describe, expect, test } from 'vitest';
import type { Reason } from '../src/reason.ts';
import { run, type Scenario } from './scenario.ts';

/** One fault for each row, none of which makes another. */
const FAULTS: readonly { readonly row: number; readonly reason: Reason; readonly fault: Scenario }[] = [
  { row: 1, reason: 'capability-missing', fault: { after: { headers: { 'agent-capability': null } } } },
  { row: 2, reason: 'malformed', fault: { after: { headers: { 'agent-attestation': '?' } } } },
  { row: 3, reason: 'signature-input', fault: { signing: { uncover: ['@query'] } } },
  { row: 4, reason: 'signature-expired', fault: { after: { seconds: 91 } } },
  { row: 5, reason: 'chain-invalid', fault: { capability: { claims: { aud: 'other.example' } } } },
  { row: 6, reason: 'identity-unknown', fault: { operator: { vouchesForAgents: false } } },
  { row: 7, reason: 'signature-invalid', fault: { signing: { by: 'stranger' } } },
  { row: 8, reason: 'digest-mismatch', fault: { after: { body: '{"model":"gpt-5-mini","messages":[]}' } } },
  { row: 9, reason: 'nonce-replayed', fault: { after: { again: 'other-stream' } } },
  { row: 10, reason: 'revoked', fault: { restrictions: [{ target: { agent: '$agent' } }] } },
  { row: 11, reason: 'attestation-required', fault: { capability: { details: { attestation: 2 } } } },
  { row: 12, reason: 'capability-insufficient', fault: { capability: { details: { models: [] } } } },
  {
    row: 14,
    reason: 'budget-exhausted',
    fault: { capability: { details: { budget: { amount: 1, unit: 'usd', decimals: 2 } } } },
  },
];

test('without a fault the request is allowed', async () => {
  expect((await run({})).decision.effect).toBe('allow');
});

describe.each(FAULTS)('row $row', ({ row, reason, fault }) => {
  test(`alone answers ${reason}`, async () => {
    expect(await reasonOf(fault)).toBe(reason);
  });

  const later = FAULTS.filter((other) => other.row > row);
  test.each(later)(`answers before row $row ($reason)`, async (other) => {
    expect(await reasonOf(combined(other.fault, fault))).toBe(reason);
  });
});

test('row 4 answers for a keyid that is not the leaf’s before row 5 looks at the rest of the chain', async () => {
  const parameters = { keyid: 'another-key' };
  const claims = { aud: 'other.example' };
  expect(await reasonOf({ signing: { parameters }, capability: { claims } })).toBe('signature-key');
});

test('row 1 answers also where the request cannot be read', async () => {
  const path = 'no-path';
  expect(await reasonOf({ after: { path } })).toBe('malformed');
  expect(await reasonOf({ after: { path, headers: { 'agent-capability': null } } })).toBe('capability-missing');
});

test('a request denied after row 9 has used up its nonce, one denied before has not', async () => {
  const again = { again: 'other-stream' } as const;
  expect(await reasonOf({ capability: { details: { actions: [] } }, after: again })).toBe('nonce-replayed');
  expect(await reasonOf({ after: { ...again, body: '{}' } })).toBe('digest-mismatch');
});

test('a tool that is repeated in escapes is refused, whatever bodies came before', async () => {
  const body = (tool: string) => `{"model":"gpt-5-mini","messages":[],"tools":[{"type":"function","function":${tool}}]}`;
  const twice = {
    capability: { details: { tools: ['get_weather'] } },
    request: { body: body(String.raw`{"name":"get_weather","\u006eame":"other"}`) },
  };
  expect(await reasonOf(twice)).toBe('capability-insufficient');
  await run({ request: { body: body(String.raw`{"name":"x","\\u00":1}`) } });
  expect(await reasonOf(twice)).toBe('capability-insufficient');
});

async function reasonOf(scenario: Scenario): Promise<Reason | 'allow'> {
  const { decision } = await run(scenario);
  return decision.effect === 'deny' ? decision.reason : 'allow';
}

function combined<T>(one: T, other: T): T {
  if (!isObject(one) || !isObject(other)) return other;
  const both: Record<string, unknown> = { ...one, ...other };
  for (const name of Object.keys(one)) if (name in other) both[name] = combined(one[name], other[name]);
  return both as T;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// The record (profile section 8): canonical JSON for whatever can be decided, without prompts and without credentials.

import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeRecord } from '../../src/audit/record.ts';
import { indeterminate, refuse } from '../../src/decision.ts';
import { REASONS, type Reason } from '../../src/reason.ts';
import type { InboundRequest } from '../../src/request.ts';
import { PROMPT, run } from '../scenario.ts';

const AT = 1_767_225_600_123;
const reasons = Object.keys(REASONS) as Reason[];

function members(record: string): Record<string, unknown> {
  const written = JSON.parse(record) as Record<string, unknown>;
  expect(canonicalize(written)).toBe(record);
  return written;
}

const request: InboundRequest = {
  streamId: 's',
  method: 'POST',
  authority: 'gateway.example',
  path: '/openai/v1/chat/completions',
  query: '?api_key=SECRET-IN-QUERY',
  fields: new Map([
    ['signature-input', ['cap=()']],
    ['signature', ['cap=:AAAA:']],
    ['authorization', ['Bearer SECRET-KEY']],
  ]),
  body: Buffer.from(PROMPT),
};

describe.each(reasons)('a denial for %s', (reason) => {
  const decision = refuse({ denied: true, reason, detail: 'd"é\\\u2028' }, {});

  test('is canonical, with the request and without one', () => {
    expect(members(writeRecord(decision, request, 'id', AT))).toMatchObject({ effect: 'deny', reason, detail: 'd"é\\\u2028' });
    expect(members(writeRecord(decision, undefined, 'id', AT))).toEqual({
      at: '2026-01-01T00:00:00.123Z',
      decision_id: 'id',
      detail: 'd"é\\\u2028',
      effect: 'deny',
      not_required: ['policy'],
      reason,
      v: 1,
    });
  });
});

test('what nobody verified stands under claimed, and nothing of it beside', () => {
  const written = members(writeRecord(refuse({ denied: true, reason: 'signature-invalid', detail: 'd' }, {}), request, 'id', AT));
  expect(written.claimed).toEqual({ signature: 'cap=:AAAA:', signature_input: 'cap=()' });
  for (const member of ['agents', 'operator', 'keyid', 'jti', 'signature', 'signature_input', 'token_hashes', 'content_digest']) {
    expect(written).not.toHaveProperty(member);
  }
});

test('tools by the thousand do not all stand in it', async () => {
  const tools = Array.from({ length: 5000 }, (_, at) => ({ type: 'function', function: { name: `tool_${at}` } }));
  const body = { model: 'gpt-5-mini', messages: [], tools };
  for (const capability of [{}, { details: { tools: [] } }]) {
    const { record } = await run({ request: { body }, capability });
    const written = members(record);
    expect(written.tools).toHaveLength(256);
    expect(written.tools_omitted).toBe(4744);
  }
});

test('a prompt, a query and a credential never stand in it, allowed or denied', async () => {
  for (const decision of [
    indeterminate(new Error('SECRET-CAUSE')),
    refuse({ denied: true, reason: 'malformed', detail: 'd' }, {}),
  ]) {
    expect(writeRecord(decision, request, 'id', AT)).not.toMatch(/PROMPT|SECRET/);
  }
  const { decision, record, http } = await run({ request: { headers: { authorization: 'Bearer SECRET-KEY' } } });
  expect(decision.effect).toBe('allow');
  expect(Buffer.from(http.rawBody ?? []).toString()).toContain(PROMPT);
  expect(record).not.toMatch(/PROMPT|SECRET/);
  // Hashes of the tokens, so that a record cannot be used as a capability.
  const token = http.headers.find(([name]) => name === 'agent-capability')?.[1].slice(1, -1) ?? '';
  expect(record).not.toContain(token);
});

test('an allow is canonical and says who, what and by which signature', async () => {
  const { record, http } = await run({ capability: { claims: { sid: 's1', task: 't1' } } });
  const value = (name: string) => http.headers.find(([header]) => header === name)?.[1];
  const written = members(record);
  expect(written).toMatchObject({
    signature: value('signature'),
    signature_input: value('signature-input'),
    content_digest: value('content-digest'),
    sid: 's1',
    task: 't1',
  });
  expect(written.agents).toEqual([expect.stringMatching(/^did:key:z6Mk/)]);
  expect(written.operator).toMatch(/^did:key:z6Mk/);
  expect(written.token_hashes).toEqual([expect.stringMatching(/^[\w-]{43}$/)]);
  expect(written.keyid).toMatch(/^[\w-]{43}$/);
});

test('it is canonical whatever a stranger puts into the method, the path and the fields, and bounded', () => {
  const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  fc.assert(
    fc.property(latin1, latin1, latin1, (method, path, field) => {
      const stranger = { ...request, method, path, fields: new Map([['signature', [field]]]) };
      members(writeRecord(refuse({ denied: true, reason: 'malformed', detail: 'd' }, {}), stranger, 'id', AT));
    }),
  );
  const long = { ...request, path: '/'.repeat(100_000), fields: new Map([['signature-input', ['x'.repeat(100_000)]]]) };
  expect(writeRecord(indeterminate(undefined), long, 'id', AT).length).toBeLessThan(10_000);
});

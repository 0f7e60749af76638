// What the sidecar makes the gateway takes: signRequest and the checks, over every kind of request.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALGORITHMS } from '../../src/crypto/public-key.ts';
import type { HeaderFields } from '../../src/request.ts';
import { type RequestToSign, signRequest, UnsignableRequest } from '../../src/sign/sign-request.ts';
import { keyOf } from '../keys.ts';
import { arrive, makeGateChecks, makeToken, partiesOf, type Scenario, START, scenarioSchema } from '../scenario.ts';

const moment = (nonce = 'nonce-of-16-byte') => ({ now: START, lifetimeSeconds: 60, nonce: Buffer.from(nonce) });

function request(changes: Partial<RequestToSign> = {}): RequestToSign {
  return {
    method: 'POST',
    authority: 'gateway.example',
    path: '/openai/v1/chat/completions',
    query: '?',
    fields: new Map([['content-type', ['application/json']]]),
    body: Buffer.from('{"model":"gpt-5-mini","messages":[]}'),
    ...changes,
  };
}

const credentials = { key: keyOf('agent'), chain: ['a.b.c'] };
const signed = (changes?: Partial<RequestToSign>) => new Map(signRequest(request(changes), credentials, moment()));

describe('the headers', () => {
  test('are those of profile section 2, in its order', () => {
    const { publicKey } = keyOf('agent');
    expect([...signed().keys()]).toEqual(['agent-capability', 'content-digest', 'signature-input', 'signature']);
    expect(signed().get('agent-capability')).toBe('"a.b.c"');
    expect(signed().get('signature-input')).toBe(
      `cap=("@method" "@authority" "@path" "@query" "content-type" "content-digest" "agent-capability");created=1767225600;expires=1767225660;nonce="${Buffer.from('nonce-of-16-byte').toString('base64url')}";keyid="${publicKey.jkt}";tag="agent-cap"`,
    );
    expect(signed().get('signature')).toMatch(/^cap=:[A-Za-z0-9+/]{86}==:$/);
  });

  test('cover no content where there is none', () => {
    const headers = signed({ method: 'GET', body: new Uint8Array(), fields: new Map() });
    expect([...headers.keys()]).toEqual(['agent-capability', 'signature-input', 'signature']);
    expect(headers.get('signature-input')).not.toContain('content-');
  });

  test('name the type of content that has none', () => {
    expect(signed({ fields: new Map() }).get('content-type')).toBe('application/octet-stream');
  });

  test('hold a chain root first', () => {
    const headers = new Map(signRequest(request(), { ...credentials, chain: ['a.b.c', 'd.e.f'] }, moment()));
    expect(headers.get('agent-capability')).toBe('"a.b.c", "d.e.f"');
  });

  test.each(['idempotency-key', 'agent-attestation', 'x-http-method-override', 'x-http-method', 'x-method-override'])(
    'cover %s when it is there',
    (name) => {
      const fields = new Map([
        ['content-type', ['application/json']],
        [name, ['v']],
      ]);
      expect(signed({ fields }).get('signature-input')).toContain(`"${name}"`);
    },
  );

  test('are not made for a field that is there twice', () => {
    const fields = new Map([['idempotency-key', ['a', 'b']]]);
    expect(() => signed({ fields })).toThrow(UnsignableRequest);
  });
});

/** Sends what was signed through parsing and every check. */
async function decisionOn(toSign: RequestToSign, scenario: Scenario = {}): Promise<string> {
  const parsed = scenarioSchema.parse(scenario);
  const parties = partiesOf(parsed);
  const added = signRequest(toSign, { key: parties.agent, chain: [await makeToken(parsed, parties)] }, moment());
  const fields = new Map<string, readonly string[]>([
    ...toSign.fields,
    ...added.map(([name, value]) => [name, [value]] as const),
  ]);
  const { decision } = await arrive(
    {
      id: 'stream',
      method: toSign.method,
      path: toSign.path + (toSign.query === '?' ? '' : toSign.query),
      host: toSign.authority,
      scheme: 'https',
      body: '',
      rawBody: toSign.body,
      headers: [...lines(fields), ['x-envoy-auth-partial-body', 'false']],
    },
    makeGateChecks(parsed, parties, { now: START }),
    START,
  );
  return decision.effect === 'allow' ? 'allow' : `${decision.reason}: ${decision.detail}`;
}

function lines(fields: HeaderFields): [string, string][] {
  return [...fields].flatMap(([name, values]) => values.map((value): [string, string] => [name, value]));
}

test.each(ALGORITHMS)('a request signed with %s is allowed', async (algorithm) => {
  // did:jwk names each of the four algorithms.
  expect(await decisionOn(request(), { agent: { algorithm, did: 'jwk' } })).toBe('allow');
});

test('any bytes in any covered or uncovered field verify as they were signed', async () => {
  const byte = fc
    .integer({ min: 0x20, max: 0xff })
    .filter((code) => code !== 0x7f)
    .map((code) => String.fromCharCode(code));
  const value = fc.string({ unit: byte, minLength: 1, maxLength: 40 }).map((text) => `v${text}v`);
  const content = fc.string({ unit: 'grapheme', maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(value, value, content, async (key, other, prompt) => {
      const fields = new Map([
        ['content-type', ['application/json']],
        ['idempotency-key', [key]],
        ['x-other', [other, other]],
      ]);
      const body = Buffer.from(JSON.stringify({ model: 'gpt-5-mini', messages: [{ role: 'user', content: prompt }] }));
      expect(await decisionOn(request({ fields, body }))).toBe('allow');
    }),
    { numRuns: 60 },
  );
});

test('a query as it stands verifies as it was signed, and the capability check alone judges it', async () => {
  const list = { method: 'GET', path: '/openai/v1/models', body: new Uint8Array(), fields: new Map() };
  expect(await decisionOn(request(list))).toBe('allow');
  expect(await decisionOn(request({ ...list, query: '?a=%2F&b=c%20d' }))).toContain('capability-insufficient');
});

test('two signatures with one nonce are one request to the gateway', async () => {
  const parsed = scenarioSchema.parse({});
  const parties = partiesOf(parsed);
  const checks = makeGateChecks(parsed, parties, { now: START });
  const chain = [await makeToken(parsed, parties)];
  const reasons: string[] = [];
  for (const body of ['{"model":"gpt-5-mini","messages":[]}', '{"model":"gpt-5-mini","messages":[] }']) {
    const toSign = request({ body: Buffer.from(body) });
    const added = signRequest(toSign, { key: parties.agent, chain }, moment());
    const fields = new Map<string, readonly string[]>([
      ...toSign.fields,
      ...added.map(([name, value]) => [name, [value]] as const),
    ]);
    const { decision } = await arrive(
      {
        id: 'stream',
        method: 'POST',
        path: toSign.path,
        host: toSign.authority,
        scheme: 'https',
        body: '',
        rawBody: toSign.body,
        headers: [...lines(fields), ['x-envoy-auth-partial-body', 'false']],
      },
      checks,
      START,
    );
    reasons.push(decision.effect === 'allow' ? 'allow' : decision.reason);
  }
  expect(reasons).toEqual(['allow', 'nonce-replayed']);
});

import canonicalize from 'canonicalize';
import { compactVerify } from 'jose';
import { expect, test } from 'vitest';
import type { AuthorizationDetails } from '../../src/token/authorization-details.ts';
import { covers } from '../../src/token/authorization-details.ts';
import { parseRootToken } from '../../src/token/capability-token.ts';
import { issueRootToken, type RootGrant } from '../../src/token/issue-root.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { keyOf } from '../keys.ts';

function grant(changes: Partial<RootGrant> = {}): RootGrant {
  const operatorKey = keyOf('operator', 'ES256');
  const operator = didKeyOf(operatorKey.publicKey);
  return {
    operatorKey,
    operator,
    operatorKeyId: `${operator}#key`,
    agent: didKeyOf(keyOf('agent').publicKey),
    agentKey: keyOf('agent').publicKey,
    agentAlgorithm: 'Ed25519',
    audience: ['gateway.example'],
    details: { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'] },
    issuedAt: 1_767_225_600,
    lifetimeSeconds: 3600,
    maxDepth: 0,
    ...changes,
  };
}

test('an independent JOSE implementation verifies what was issued', async () => {
  const token = await issueRootToken(grant());
  const { payload, protectedHeader } = await compactVerify(token, keyOf('operator', 'ES256').publicKey.keyObject);
  expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'agent-cap+jwt', kid: grant().operatorKeyId });
  const claims = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
  expect(claims).toMatchObject({
    iat: 1_767_225_600,
    exp: 1_767_229_200,
    aud: 'gateway.example',
    del_depth: 0,
    del_max_depth: 0,
  });
  expect(canonicalize(claims)).toBe(Buffer.from(payload).toString());
  expect(JSON.stringify(claims)).not.toContain('"d":');
});

test('each token has an id of its own with 128 bits', async () => {
  const ids = await Promise.all([1, 2, 3].map(async () => parseRootToken(await issueRootToken(grant())).untrustedClaims.jti));
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) expect(Buffer.from(id, 'base64url')).toHaveLength(16);
});

test('several audiences are an array', async () => {
  const token = parseRootToken(await issueRootToken(grant({ audience: ['a.example', 'b.example'] })));
  expect(token.untrustedClaims.aud).toEqual(['a.example', 'b.example']);
});

test.each<[string, Partial<RootGrant>]>([
  ['details that no gateway knows', { details: { type: 'llm_access', actions: ['chat'], images: 1 } as AuthorizationDetails }],
  ['an agent that is no DID', { agent: 'agent' }],
  ['an empty audience', { audience: [] }],
  ['a chain deeper than five', { maxDepth: 6 }],
  ['a lifetime of part of a second', { lifetimeSeconds: 0.5 }],
])('not issued: %s', async (_, changes) => {
  await expect(issueRootToken(grant(changes))).rejects.toThrow();
});

test.each([
  ['openai/gpt-5*', 'openai/gpt-5', true],
  ['openai/gpt-5*', 'openai/gpt-5-mini', true],
  ['openai/gpt-5*', 'openai/gpt-4', false],
  ['openai/gpt-5', 'openai/gpt-5-mini', false],
  ['openai/gpt-5-mini', 'openai/gpt-5', false],
  ['openai/*', 'openai/', true],
  ['openai/*', 'openai-eu/gpt-5', false],
  ['openai/gpt.5', 'openai/gpt-5', false],
  ['mcp:github/*', 'mcp:github/create_issue', true],
  ['mcp:github/*', 'mcp:github-admin/x', false],
])('%s covers %s: %s', (pattern, name, covered) => {
  expect(covers(pattern, name)).toBe(covered);
});

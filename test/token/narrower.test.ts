// Narrower (profile section 3): nothing is allowed under a child that its parent does not allow. Any parent, any child that is
// accepted, any request; held by the very function that decides about requests.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkAttestation } from '../../src/checks/attestation/check-attestation.ts';
import { type Asked, checkCapability, findBeyond } from '../../src/checks/capability/check-capability.ts';
import { loadProviders } from '../../src/checks/capability/provider-registry.ts';
import type { VerifiedChain } from '../../src/checks/chain/check-chain.ts';
import type { VerifiedBody } from '../../src/checks/digest/check-digest.ts';
import type { UnrestrictedChain } from '../../src/checks/restriction/check-restriction.ts';
import type { VerifiedSignature } from '../../src/checks/signature/check-signature.ts';
import type { InboundRequest } from '../../src/request.ts';
import { type AuthorizationDetails, authorizationDetailsSchema } from '../../src/token/authorization-details.ts';
import { findBroader } from '../../src/token/narrower.ts';
import { ACTION_NAMES, anyDetails, MODEL_NAMES, narrowed, type Pick, picker, TOOL_NAMES, widened } from './any-details.ts';

const PARSED_CASES = 80_000;
const BODY_CASES = 10_000;

const picks = fc.array(fc.nat(), { minLength: 24, maxLength: 24 });

/** A parent, and a child that takes some members from below it and others from anywhere. */
const pairs = fc.tuple(anyDetails, anyDetails, picks, fc.nat(63)).map(([parent, other, numbers, mask]) => {
  const members = { ...narrowed(parent, picker(numbers)) } as Record<string, unknown>;
  for (const [bit, name] of ['actions', 'models', 'tools', 'max', 'budget', 'attestation'].entries()) {
    // One member in four comes from anywhere.
    if ((mask >> bit) & 1 && (numbers[bit] ?? 0) % 2 === 1) members[name] = (other as Record<string, unknown>)[name];
  }
  const child = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
  return { parent, child: child as AuthorizationDetails };
});

/** A request made to fit the details in most parts, as it stands after its body was read, and the length of that body. */
function askedUnder(
  { actions, models = [], tools, max = {} }: AuthorizationDetails,
  pick: Pick,
): { asked: Asked; bytes: number } {
  const oneOf = <T>(some: readonly T[], all: readonly T[]) => {
    const from = some.length > 0 && pick(8) > 0 ? some : all;
    return from[pick(from.length)];
  };
  const named = (pattern = '') => pattern.replace(/\*$/, () => ['', '5', '-mini', '5-mini'][pick(4)] ?? '');
  const limit = (most: number | undefined) =>
    (most === undefined || pick(6) === 0 ? [0, 5, 100, 5000][pick(4)] : most + (pick(8) ? 0 : 1)) ?? 0;
  const declared = Array.from({ length: Math.min(pick(3), max.tools ?? 3) }, () => named(oneOf(tools ?? [], TOOL_NAMES)));
  const outputTokens = max.output_tokens === undefined && pick(2) ? ('unstated' as const) : limit(max.output_tokens);
  const action = oneOf(actions, ACTION_NAMES) ?? 'chat';
  const qualifiedModel = action === 'models' ? undefined : named(oneOf(models, MODEL_NAMES));
  return { asked: { action, qualifiedModel, tools: declared, outputTokens }, bytes: limit(max.input_bytes) };
}

describe('for any parent and child', { timeout: 120_000 }, () => {
  test('what passes under the child passes under its parent', () => {
    const seen = { accepted: 0, refused: 0, permitted: 0 };
    fc.assert(
      fc.property(pairs, picks, ({ parent, child }, numbers) => {
        if (findBroader(child, parent) !== undefined) {
          seen.refused++;
          return;
        }
        seen.accepted++;
        const { asked, bytes } = askedUnder(child, picker(numbers));
        if (findBeyond(asked, bytes, child, 'child') !== undefined) return;
        seen.permitted++;
        expect(findBeyond(asked, bytes, parent, 'parent')).toBeUndefined();
      }),
      { numRuns: PARSED_CASES },
    );
    // Else nothing was shown.
    expect(seen.accepted).toBeGreaterThan(PARSED_CASES / 4);
    expect(seen.refused).toBeGreaterThan(PARSED_CASES / 20);
    expect(seen.permitted).toBeGreaterThan(PARSED_CASES / 10);
  });

  test('and so with requests as they come: path and body through the whole check of row 12', async () => {
    const apis = await loadProviders();
    const providers = new Map(
      ['openai', 'anthropic'].flatMap((name) => {
        const api = apis.get(name);
        return api ? [[name, { name, api, aliases: new Map<string, string>() }] as const] : [];
      }),
    );
    const routes = { authorities: new Set(['gateway.example']), providers };
    const unrestricted = { narrowed: [], highWaterMark: 0 } as unknown as UnrestrictedChain;
    const permits = (details: AuthorizationDetails, request: InboundRequest) => {
      const chain = { details, operator: { ceiling: undefined } } as unknown as VerifiedChain;
      const attested = checkAttestation(chain, {} as VerifiedSignature, unrestricted);
      return (
        !attested.denied && !checkCapability(request, chain, { bytes: request.body } as VerifiedBody, unrestricted, routes).denied
      );
    };
    let permitted = 0;
    fc.assert(
      fc.property(pairs, picks, ({ parent, child }, numbers) => {
        if (findBroader(child, parent) !== undefined) return;
        const request = requestFor(askedUnder(child, picker(numbers)).asked);
        if (!permits(child, request)) return;
        permitted++;
        expect(permits(parent, request)).toBe(true);
      }),
      { numRuns: BODY_CASES },
    );
    expect(permitted).toBeGreaterThan(BODY_CASES / 25);
  });

  test('what is below is accepted, and any step beyond is refused by the name of its member', () => {
    let steps = 0;
    fc.assert(
      fc.property(anyDetails, picks, (parent, numbers) => {
        const pick = picker(numbers);
        expect(findBroader(parent, parent)).toBeUndefined();
        const child = narrowed(parent, pick);
        expect(authorizationDetailsSchema.parse(child)).toEqual(child);
        expect(findBroader(child, parent)).toBeUndefined();
        const beyond = widened(parent, pick);
        if (beyond === undefined) return;
        steps++;
        expect(authorizationDetailsSchema.parse(beyond.details)).toEqual(beyond.details);
        expect(findBroader(beyond.details, parent)).toBe(beyond.member);
      }),
      { numRuns: 10_000 },
    );
    expect(steps).toBeGreaterThan(9_000);
  });

  test('what is below a child is below its parent', () => {
    fc.assert(
      fc.property(pairs, picks, ({ parent, child }, numbers) => {
        if (findBroader(child, parent) !== undefined) return;
        expect(findBroader(narrowed(child, picker(numbers)), parent)).toBeUndefined();
      }),
      { numRuns: 5_000 },
    );
  });
});

/** The request that asks for this, where a provider has an operation for it; otherwise another one. */
function requestFor({ action, qualifiedModel = '', tools, outputTokens }: Asked): InboundRequest {
  const [provider, model] = qualifiedModel.split('/');
  // Functions have plain names.
  const functions = tools.filter((name) => !name.startsWith('mcp:'));
  const messages = [{ role: 'user', content: 'hello' }];
  const limit = outputTokens === 'unstated' ? undefined : Math.max(1, outputTokens);
  const [path, body] =
    action === 'models'
      ? (['/openai/v1/models', undefined] as const)
      : action === 'embed'
        ? (['/openai/v1/embeddings', { model, input: 'hello' }] as const)
        : provider === 'anthropic'
          ? ([
              '/anthropic/v1/messages',
              {
                model,
                messages,
                max_tokens: limit ?? 5,
                tools: functions.map((name) => ({ name, input_schema: { type: 'object' } })),
              },
            ] as const)
          : ([
              '/openai/v1/chat/completions',
              {
                model,
                messages,
                max_completion_tokens: limit,
                tools: functions.map((name) => ({ type: 'function', function: { name, parameters: {} } })),
              },
            ] as const);
  return {
    streamId: 's',
    method: body === undefined ? 'GET' : 'POST',
    authority: 'gateway.example',
    path,
    query: '?',
    fields: new Map(body === undefined ? [] : [['content-type', ['application/json']]]),
    body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
  };
}

test.each<[string | undefined, object, object]>([
  [undefined, {}, {}],
  [undefined, { models: [] }, {}],
  ['models', { models: ['openai/gpt-5'] }, {}],
  [undefined, { models: ['openai/gpt-5'] }, { models: ['openai/gpt-5*'] }],
  ['models', { models: ['openai/gpt-5*'] }, { models: ['openai/gpt-5'] }],
  ['models', {}, { models: ['openai/gpt-5'] }],
  [undefined, { models: [] }, { models: ['openai/gpt-5'] }],
  ['models', { models: ['openai-eu/gpt-5'] }, { models: ['openai/*'] }],
  [undefined, { tools: ['shell'] }, {}],
  ['tools', {}, { tools: ['shell'] }],
  ['tools', {}, { tools: [] }],
  ['tools', { tools: ['mcp:github-admin/x'] }, { tools: ['mcp:github/*'] }],
  ['max.tools', { max: { output_tokens: 1 } }, { max: { output_tokens: 1, tools: 1 } }],
  ['max.output_tokens', {}, { max: { output_tokens: 1 } }],
  [undefined, { max: { output_tokens: 0 } }, { max: { output_tokens: 0 } }],
  [undefined, {}, { max: {} }],
  ['attestation', { attestation: 1 }, { attestation: 2 }],
  [undefined, { attestation: 3 }, { attestation: 2 }],
])('broader in %s: %j below %j', (member, child, parent) => {
  const base = { type: 'llm_access', actions: ['chat'] };
  const details = [child, parent].map((change) => authorizationDetailsSchema.parse({ ...base, ...change }));
  expect(findBroader(...(details as [AuthorizationDetails, AuthorizationDetails]))).toBe(member);
});

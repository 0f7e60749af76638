// One request against a gateway without Envoy and disk: a capability and a request in, a decision and its record out.
// Keys, parsing, checks, nonces and record are the real ones; only the clock stands still until it is moved.

import { type InnerList, parseDictionary, serializeInnerList } from 'structured-headers';
import { z } from 'zod';
import { writeRecord } from '../src/audit/record.ts';
import { loadProviders } from '../src/checks/capability/provider-registry.ts';
import { chainConfiguration } from '../src/checks/chain/check-chain.ts';
import { type Checks, makeChecks } from '../src/checks/checks.ts';
import { NonceMemory } from '../src/checks/nonce/nonce-memory.ts';
import type { RestrictionsInForce } from '../src/checks/restriction/check-restriction.ts';
import { type PrivateKey, signBytes } from '../src/crypto/private-key.ts';
import { ALGORITHMS } from '../src/crypto/public-key.ts';
import { isSupportedComponent, signatureBase } from '../src/crypto/signature-base.ts';
import { decide } from '../src/decide.ts';
import { type Decision, indeterminate, refuse } from '../src/decision.ts';
import type { CheckedHttpRequest } from '../src/ext-authz/decode-check-request.ts';
import { GatewayMisconfigured, parseCheckRequest } from '../src/ext-authz/parse-check-request.ts';
import type { Outcome } from '../src/outcome.ts';
import type { InboundRequest } from '../src/request.ts';
import { TARGET_KINDS, type TargetKind } from '../src/restrictions/restriction.ts';
import { RestrictionSet } from '../src/restrictions/restriction-set.ts';
import { signRestriction } from '../src/restrictions/sign-restriction.ts';
import { reopenRestriction } from '../src/restrictions/verify-restriction.ts';
import { signRequest } from '../src/sign/sign-request.ts';
import type { AuthorizationDetails } from '../src/token/authorization-details.ts';
import { trustConfiguration, trustOperators } from '../src/trust/operators.ts';
import { didJwkOf } from '../src/vault/did-jwk.ts';
import { didKeyOf } from '../src/vault/did-key.ts';
import { selfDescribingResolver } from '../src/vault/resolver.ts';
import { resolveSelfDescribing } from '../src/vault/self-describing-did.ts';
import { keyOf } from './keys.ts';
import { linkBelow, type MadeToken, merged, signToken } from './link.ts';

/** Milliseconds since the epoch at which every scenario begins: 2026-01-01T00:00:00Z. */
export const START = 1_767_225_600_000;
/** Stands in the body of every default request, so that a test can look for it where no prompt may be. */
export const PROMPT = 'PROMPT that only the provider may see';

const APIS = await loadProviders();
const open = z.record(z.string(), z.unknown());
const headers = z.record(z.string(), z.union([z.string(), z.array(z.string()), z.null()]));
const target = { method: z.string(), path: z.string(), host: z.string(), headers, body: z.union([z.string(), open]) };

const link = z
  .strictObject({
    /** Whose link it is: `agent`, or the name of another, who is its key's did:key. The parent's by default. */
    agent: z.string(),
    /** Name of the key that it is bound to; by default its agent's own where it is another's, and a new one otherwise. */
    key: z.string(),
    algorithm: z.enum(ALGORITHMS),
    /** Members of the `authorization_details` entry; null leaves one out. */
    details: open,
    claims: open,
    /** `$jkt` and `$urn` stand for the parent's key. */
    header: open,
    payload: z.string(),
    /** Name of the key that signs it. */
    signedBy: z.string(),
  })
  .partial();

/** What a case may say; every part has a default, which together make a request that is allowed. */
export const scenarioSchema = z.strictObject({
  capability: z
    .strictObject({
      /** Members of the `authorization_details` entry; null leaves one out. */
      details: open,
      /** Members of the claims; null leaves one out. `$agent`, `$operator`, `$stranger` stand for DIDs. */
      claims: open,
      header: open,
      signedBy: z.enum(['operator', 'stranger']),
      /** Links below the root, each right in every part that it does not replace. */
      chain: z.array(link),
      /** Which tokens are sent, by their place; the root is 0. */
      send: z.array(z.int()),
      /** Appended to the token's text. */
      append: z.string(),
      /** Payload instead of the claims. */
      payload: z.string(),
    })
    .partial()
    .default({}),
  agent: z
    .strictObject({ algorithm: z.enum(ALGORITHMS), did: z.enum(['key', 'jwk']), holds: z.enum(['agent', 'stranger']) })
    .partial()
    .default({}),
  operator: z
    .strictObject({ algorithm: z.enum(ALGORITHMS), vouchesForAgents: z.boolean(), ceiling: open })
    .partial()
    .default({}),
  gateway: z
    .strictObject({ aliases: z.record(z.string(), z.string()), perKeyLimit: z.int(), maxLifetimeSeconds: z.int() })
    .partial()
    .default({}),
  /** In force when the request arrives. `$agent`, `$operator`, `$stranger`, `$key`, `$token` stand for the capability's. */
  restrictions: z
    .array(
      z.strictObject({
        by: z.enum(['operator', 'administrator', 'agent', 'stranger']).default('operator'),
        effect: z.enum(['revoke', 'narrow', 'lift']).default('revoke'),
        target: z.partialRecord(z.enum(TARGET_KINDS), z.string()),
        before: z.int().optional(),
        details: open.optional(),
        /** Index of the narrowing that is lifted. */
        lifts: z.int().optional(),
      }),
    )
    .default([]),
  /** The feed of restrictions was not heard of for too long. */
  staleFeed: z.boolean().default(false),
  request: z.strictObject(target).partial().default({}),
  signing: z
    .strictObject({
      /** Seconds from the start at which the request is signed. */
      at: z.number(),
      lifetimeSeconds: z.int(),
      nonce: z.string(),
      cover: z.array(z.string()),
      uncover: z.array(z.string()),
      /** Parameters to set, or to leave out with null. */
      parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
      /** Who signs; the keyid stays the agent's. */
      by: z.enum(['agent', 'stranger']),
    })
    .partial()
    .default({}),
  /** What happens between the signature and the gateway. */
  after: z
    .strictObject({
      ...target,
      scheme: z.string(),
      /** Seconds from the start at which the request arrives. */
      seconds: z.number(),
      /** A second arrival, which is the one that is looked at: of the same stream (Envoy repeats a Check) or another. */
      again: z.enum(['same-stream', 'other-stream']),
      /** Milliseconds before the second arrival. */
      againAfterMillis: z.number(),
    })
    .partial()
    .default({}),
});
export type Scenario = z.input<typeof scenarioSchema>;
type Parsed = z.output<typeof scenarioSchema>;

export interface Result {
  readonly decision: Decision;
  readonly record: string;
  readonly http: CheckedHttpRequest;
  readonly request: InboundRequest | undefined;
}

export interface Parties {
  readonly operator: PrivateKey;
  readonly operatorDid: string;
  readonly agent: PrivateKey;
  readonly agentDid: string;
}

export async function run(input: Scenario): Promise<Result> {
  const scenario = scenarioSchema.parse(input);
  const parties = partiesOf(scenario);
  const http = await signedRequest(scenario, parties);
  const clock = { now: START + (scenario.after.seconds ?? 0) * 1000 };
  const checks = makeGateChecks(scenario, parties, clock);
  const first = await arrive(http, checks, clock.now);
  if (scenario.after.again === undefined) return first;
  clock.now += scenario.after.againAfterMillis ?? 0;
  return arrive(scenario.after.again === 'same-stream' ? http : { ...http, id: 'another-stream' }, checks, clock.now);
}

export function partiesOf({ agent, operator }: Pick<Parsed, 'agent' | 'operator'>): Parties {
  const operatorKey = keyOf('operator', operator.algorithm);
  const agentKey = keyOf('agent', agent.algorithm);
  return {
    operator: operatorKey,
    operatorDid: didKeyOf(operatorKey.publicKey),
    agent: agentKey,
    agentDid: agent.did === 'jwk' ? didJwkOf(agentKey.publicKey) : didKeyOf(agentKey.publicKey),
  };
}

export function makeGateChecks(
  { operator, gateway, restrictions, staleFeed }: Parsed,
  parties: Parties,
  clock: { now: number },
): Checks {
  const { vouchesForAgents = true, ceiling } = operator;
  const trusted = { did: parties.operatorDid, vouchesForAgents, ...(ceiling && { ceiling }) };
  const names = ['openai', 'anthropic'];
  const aliases = new Map(Object.entries(gateway.aliases ?? {}));
  const providers = names.flatMap((name) => {
    const api = APIS.get(name);
    return api ? [[name, { name, api, aliases }] as const] : [];
  });
  const signature = { maxLifetimeSeconds: gateway.maxLifetimeSeconds ?? 60, clockSkewSeconds: 30 };
  let decisions = 0;
  return makeChecks({
    gatewayNames: ['gateway.example'],
    operators: trustOperators(trustConfiguration.parse({ operators: [trusted] })),
    resolver: selfDescribingResolver(),
    routes: { authorities: new Set(['gateway.example']), providers: new Map(providers) },
    signature,
    chain: chainConfiguration.parse({ cacheEntries: 100 }),
    nonces: new NonceMemory({
      perKeyLimit: gateway.perKeyLimit ?? 100,
      windowMillis: (signature.maxLifetimeSeconds + 2 * signature.clockSkewSeconds) * 1000,
      monotonic: () => clock.now,
      forgottenThrough: 0,
      bornAt: 0,
    }),
    restrictions: restrictionsOf(restrictions, staleFeed, parties),
    clock: () => clock.now,
    newDecisionId: () => `decision-${++decisions}`,
  });
}

const TOKEN_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
/** Ids of the restrictions of a case, in order: AAAAAAAAAAAAAAAAAAAAAA, AAAAAAAAAAAAAAAAAAAAAQ … */
const restrictionId = (index: number) => Buffer.from([...Buffer.alloc(15), index]).toString('base64url');

function restrictionsOf(wanted: Parsed['restrictions'], stale: boolean, parties: Parties): RestrictionsInForce {
  const words = {
    $agent: parties.agentDid,
    $operator: parties.operatorDid,
    $stranger: didKeyOf(keyOf('stranger').publicKey),
    $key: parties.agent.publicKey.jkt,
    $token: TOKEN_ID,
  };
  const kept = wanted.map(({ by, effect, target: named, details, lifts, before }, index) => {
    const key = by === 'operator' ? parties.operator : by === 'agent' ? parties.agent : keyOf(by);
    const keyId = by === 'agent' ? undefined : resolveSelfDescribing(didKeyOf(key.publicKey)).verificationMethods[0]?.id;
    const [kind, value] = Object.entries(substituted(named, words))[0] as [TargetKind, string];
    const said =
      effect === 'narrow'
        ? { effect, details: { type: 'llm_access', ...details } as AuthorizationDetails }
        : effect === 'lift'
          ? { effect, lifts: restrictionId(lifts ?? 0) }
          : { effect };
    const at = START / 1000;
    return reopenRestriction(
      signRestriction({ ...said, id: restrictionId(index), target: { kind, value }, before, at, reason: '' }, { key, keyId }),
    );
  });
  const set = new RestrictionSet({
    administrators: [didKeyOf(keyOf('administrator').publicKey)],
    read: (sequence) => kept[sequence - 1],
  });
  for (const [index, restriction] of kept.entries()) set.add(restriction, index + 1);
  set.reached(kept.length);
  return { find: (chain) => set.find(chain), highWaterMark: set.highWaterMark, isFresh: () => !stale };
}

/** From Envoy's message to decision and record, as ext-authz/ does it. */
export async function arrive(http: CheckedHttpRequest, checks: Checks, now: number): Promise<Result> {
  let parsed: Outcome<InboundRequest> | undefined;
  let decision: Decision;
  try {
    parsed = parseCheckRequest(http);
    decision = parsed.denied ? refuse(parsed, {}) : await decide(parsed.proof, checks);
  } catch (error) {
    if (!(error instanceof GatewayMisconfigured)) throw error;
    decision = indeterminate(error);
  }
  const request = parsed === undefined || parsed.denied ? undefined : parsed.proof;
  const reached = decision.effect === 'allow' ? decision.clearance : decision.reached;
  return { decision, request, http, record: writeRecord(decision, request, reached.nonce?.decisionId ?? 'decision-0', now) };
}

export function makeRoot({ capability, agent }: Parsed, parties: Parties): MadeToken {
  const { operator, operatorDid, agentDid } = parties;
  const key = agent.holds === 'stranger' ? keyOf('stranger') : parties.agent;
  const issuedAt = START / 1000 - 60;
  const details = merged(
    { type: 'llm_access', actions: ['chat', 'embed', 'models'], models: ['openai/gpt-5*', 'anthropic/claude-*'] },
    capability.details,
  );
  const claims = merged(
    {
      iss: operatorDid,
      sub: operatorDid,
      client_id: agentDid,
      aud: 'gateway.example',
      iat: issuedAt,
      exp: issuedAt + 86_400,
      jti: 'AAAAAAAAAAAAAAAAAAAAAA',
      cnf: { jwk: { ...key.publicKey.jwk, alg: key.algorithm } },
      del_depth: 0,
      del_max_depth: capability.chain === undefined ? 0 : 5,
      authorization_details: [details],
    },
    substituted(capability.claims, {
      $agent: agentDid,
      $operator: operatorDid,
      $stranger: didKeyOf(keyOf('stranger').publicKey),
    }),
  );
  const kid = resolveSelfDescribing(operatorDid).verificationMethods[0]?.id;
  const header = merged(
    { alg: operator.algorithm, typ: 'agent-cap+jwt', kid },
    substituted(capability.header, { $fragment: kid?.slice(kid.indexOf('#')) ?? '' }),
  );
  const signer = capability.signedBy === 'stranger' ? keyOf('stranger', operator.algorithm) : operator;
  const compact = signToken(header, capability.payload ?? JSON.stringify(claims), signer);
  return { compact: `${compact}${capability.append ?? ''}`, claims, key };
}

export async function makeToken(scenario: Parsed, parties: Parties): Promise<string> {
  return makeRoot(scenario, parties).compact;
}

/** The whole chain, root first; the last token's key signs the request. */
export function makeChain(scenario: Parsed, parties: Parties): readonly [MadeToken, ...MadeToken[]] {
  const root = makeRoot(scenario, parties);
  const chain: [MadeToken, ...MadeToken[]] = [root];
  let holder = 'agent';
  let parent = root;
  for (const [at, { agent = holder, key, algorithm, details, claims, header, signedBy, payload }] of (
    scenario.capability.chain ?? []
  ).entries()) {
    const did = agent === 'agent' ? parties.agentDid : didKeyOf(keyOf(agent).publicKey);
    const bound = keyOf(key ?? (agent === holder ? `${agent} ${at}` : agent), algorithm);
    const [above] = parent.claims.authorization_details as [Record<string, unknown>];
    const words = { $agent: parties.agentDid, $operator: parties.operatorDid, $stranger: didKeyOf(keyOf('stranger').publicKey) };
    const own = { client_id: did, authorization_details: [merged(above, details)], ...substituted(claims, words) };
    const { jkt } = parent.key.publicKey;
    parent = linkBelow(parent, {
      key: bound,
      claims: own,
      header: substituted(header, { $jkt: jkt, $urn: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${jkt}` }),
      payload,
      signedBy: signedBy === undefined ? undefined : keyOf(signedBy),
    });
    chain.push(parent);
    holder = agent;
  }
  return chain;
}

export async function signedRequest(scenario: Parsed, parties: Parties): Promise<CheckedHttpRequest> {
  const { request, signing, after, capability } = scenario;
  const made = makeChain(scenario, parties);
  const chain = (capability.send ?? [...made.keys()]).map((at) => made[at]?.compact ?? '');
  const method = request.method ?? 'POST';
  const body = bytesOf(request.body ?? (method === 'POST' ? DEFAULT_BODY : ''));
  const [path = '', query] = (request.path ?? '/openai/v1/chat/completions').split(/(?=\?)/, 2);
  const fields = new Map<string, string[]>(body.length > 0 ? [['content-type', ['application/json']]] : []);
  overlay(fields, request.headers);
  const authority = request.host ?? 'gateway.example';
  const parts = { method, authority, path, query: query ?? '?', fields, body };
  const { key } = made.at(-1) ?? made[0];
  const moment = {
    now: START + (signing.at ?? 0) * 1000,
    lifetimeSeconds: signing.lifetimeSeconds ?? 60,
    nonce: Buffer.from(signing.nonce ?? 'nonce-of-16-byte'),
  };
  for (const [name, value] of signRequest(parts, { key, chain }, moment)) fields.set(name, [value]);
  resign(parts, fields, signing, signing.by === 'stranger' ? keyOf('stranger', key.algorithm) : key);
  overlay(fields, after.headers);
  const sent = after.body === undefined ? body : bytesOf(after.body);
  return {
    id: 'stream-1',
    method: after.method ?? method,
    path: after.path ?? path + (query ?? ''),
    host: after.host ?? authority,
    scheme: after.scheme ?? 'https',
    body: '',
    rawBody: sent,
    headers: [
      ...(fields.has('content-length') ? [] : [['content-length', String(sent.length)] as [string, string]]),
      ...[...fields].flatMap(([name, lines]) => lines.map((line): [string, string] => [name, line])),
      ...(after.headers?.['x-envoy-auth-partial-body'] === undefined ? [WHOLE] : []),
    ],
  };
}

/** What Envoy adds to a check whose body is complete. */
const WHOLE: [string, string] = ['x-envoy-auth-partial-body', 'false'];
const DEFAULT_BODY = { model: 'gpt-5-mini', messages: [{ role: 'user', content: PROMPT }], max_completion_tokens: 100 };

/** Signs once more where the case asks for another coverage, other parameters or another signer. */
function resign(
  parts: Parameters<typeof signRequest>[0],
  fields: Map<string, string[]>,
  { cover = [], uncover = [], parameters = {}, by }: Parsed['signing'],
  key: PrivateKey,
): void {
  if (cover.length + uncover.length + Object.keys(parameters).length === 0 && by === undefined) return;
  const [items, said] = parseDictionary(fields.get('signature-input')?.[0] ?? '').get('cap') as InnerList;
  const components = [...items.map(([name]) => String(name)).filter((name) => !uncover.includes(name)), ...cover];
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null) said.delete(name);
    else said.set(name, value);
  }
  const text = serializeInnerList([components.map((name) => [name, new Map()]), said]);
  // What no gateway can prove is named all the same, so that the gateway gets to see it.
  const result = signatureBase({ ...parts, fields }, components.filter(isSupportedComponent), text);
  if ('missing' in result) throw new Error(`the scenario covers ${result.missing}, which it does not send`);
  fields.set('signature-input', [`cap=${text}`]);
  fields.set('signature', [`cap=:${signBytes(key, result.base).toString('base64')}:`]);
}

function bytesOf(body: string | Record<string, unknown>): Buffer {
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function overlay(fields: Map<string, string[]>, changes: z.infer<typeof headers> = {}): void {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) fields.delete(name);
    else fields.set(name, typeof value === 'string' ? [value] : value);
  }
}

function substituted(claims: Record<string, unknown> = {}, words: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => [name, typeof value === 'string' ? (words[value] ?? value) : value]),
  );
}

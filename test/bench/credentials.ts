// Who asks in the bench: an agent with an Ed25519 key and one root token for our service, and an ES256 JWT that grants the same
// models for Envoy's jwt_authn and for OPA-Envoy.

import { CompactSign } from 'jose';
import { exportPrivateJwk, generatePrivateKey, type PrivateKey } from '../../src/crypto/private-key.ts';
import type { AuthorizationDetails } from '../../src/token/authorization-details.ts';
import { issueRootToken } from '../../src/token/issue-root.ts';
import { mintLink } from '../../src/token/mint-link.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';

export const GATEWAY_NAME = 'gateway.local';
export const CHAT_PATH = '/openai/v1/chat/completions';
/** Of the provider that streams, for the time to the first byte. */
export const STREAM_PATH = '/streaming/v1/chat/completions';
export const MODEL = 'gpt-5-mini';

export const DETAILS: AuthorizationDetails = {
  type: 'llm_access',
  actions: ['chat'],
  models: ['openai/gpt-5*', 'streaming/gpt-5*'],
  tools: [],
};

export interface BenchCredentials {
  readonly operatorDid: string;
  readonly operatorKey: PrivateKey;
  /** DID URL of it. */
  readonly operatorKeyId: string;
  /** The agent's private JWK as JSON. */
  readonly agentKey: string;
  readonly capability: string;
  /** The same root with links below it: what signs under the last, and all tokens with a blank between them. */
  readonly delegated: { readonly key: string; readonly capability: string };
  readonly bearer: string;
  /** JWKS as JSON, with the key that `bearer` verifies under. */
  readonly jwks: string;
}

/** @param links number of links in `delegated`: a session, another agent, a session of that one, and so on */
export async function makeCredentials(links = 0): Promise<BenchCredentials> {
  const operatorKey = generatePrivateKey('Ed25519');
  const agentKey = generatePrivateKey('Ed25519');
  const operatorDid = didKeyOf(operatorKey.publicKey);
  const operatorKeyId = resolveSelfDescribing(operatorDid).verificationMethods[0]?.id ?? '';
  const issuedAt = Math.floor(Date.now() / 1000);
  const capability = await issueRootToken({
    operatorKey,
    operator: operatorDid,
    operatorKeyId,
    agent: didKeyOf(agentKey.publicKey),
    agentKey: agentKey.publicKey,
    agentAlgorithm: 'Ed25519',
    audience: [GATEWAY_NAME],
    details: DETAILS,
    issuedAt,
    lifetimeSeconds: 86_400,
    maxDepth: links,
  });
  const delegated = await delegate({ key: agentKey, capability }, links, issuedAt);
  const issuer = generatePrivateKey('ES256');
  const claims = { iss: 'bench', sub: 'agent', aud: 'gw', iat: issuedAt, exp: issuedAt + 86_400, models: [MODEL, 'gpt-5'] };
  const bearer = await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: 'bench' })
    .sign(issuer.keyObject);
  const jwks = JSON.stringify({ keys: [{ ...issuer.publicKey.jwk, kid: 'bench', use: 'sig' }] });
  const [agent, acting] = [agentKey, delegated.key].map((key) => JSON.stringify(exportPrivateJwk(key)));
  return {
    operatorDid,
    operatorKey,
    operatorKeyId,
    agentKey: agent ?? '',
    capability,
    delegated: { key: acting ?? '', capability: delegated.capability },
    bearer,
    jwks,
  };
}

async function delegate({ key, capability }: { key: PrivateKey; capability: string }, links: number, issuedAt: number) {
  const tokens = [capability];
  let [holder, agent] = [key, didKeyOf(key.publicKey)];
  for (let at = 0; at < links; at++) {
    const next = generatePrivateKey('Ed25519');
    // Every other link is to another agent; between them stand sessions.
    if (at % 2 === 1) agent = didKeyOf(next.publicKey);
    const sid = 'bench-session-0123456789';
    const bound = {
      agent,
      key: next.publicKey,
      algorithm: 'Ed25519',
      details: DETAILS,
      issuedAt,
      lifetimeSeconds: 36_000,
      sid,
    } as const;
    tokens.push(await mintLink({ parent: tokens.at(-1) ?? '', parentKey: holder, ...bound }));
    holder = next;
  }
  return { key: holder, capability: tokens.join(' ') };
}

/** A chat of exactly `bytes` bytes of JSON. */
export function chatBody(bytes: number, stream = false): Buffer {
  const withText = (content: string) =>
    JSON.stringify({
      model: MODEL,
      messages: [
        { role: 'system', content: 'You answer in one sentence.' },
        { role: 'user', content },
      ],
      ...(stream && { stream: true }),
    });
  const words = 'Tell me what this bench measures and why it measures all of it under one Envoy worker. ';
  const length = bytes - withText('').length;
  return Buffer.from(withText(words.repeat(Math.ceil(length / words.length)).slice(0, length)));
}

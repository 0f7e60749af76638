// Who asks in the bench: an agent with an Ed25519 key and one root token for our service, and an ES256 JWT that grants the same
// models for Envoy's jwt_authn and for OPA-Envoy.

import { CompactSign } from 'jose';
import { exportPrivateJwk, generatePrivateKey } from '../../src/crypto/private-key.ts';
import { issueRootToken } from '../../src/token/issue-root.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';

export const GATEWAY_NAME = 'gateway.local';
export const CHAT_PATH = '/openai/v1/chat/completions';
/** Of the provider that streams, for the time to the first byte. */
export const STREAM_PATH = '/streaming/v1/chat/completions';
export const MODEL = 'gpt-5-mini';

export interface BenchCredentials {
  readonly operatorDid: string;
  /** The agent's private JWK as JSON. */
  readonly agentKey: string;
  readonly capability: string;
  readonly bearer: string;
  /** JWKS as JSON, with the key that `bearer` verifies under. */
  readonly jwks: string;
}

export async function makeCredentials(): Promise<BenchCredentials> {
  const operatorKey = generatePrivateKey('Ed25519');
  const agentKey = generatePrivateKey('Ed25519');
  const operatorDid = didKeyOf(operatorKey.publicKey);
  const issuedAt = Math.floor(Date.now() / 1000);
  const capability = await issueRootToken({
    operatorKey,
    operator: operatorDid,
    operatorKeyId: resolveSelfDescribing(operatorDid).verificationMethods[0]?.id ?? '',
    agent: didKeyOf(agentKey.publicKey),
    agentKey: agentKey.publicKey,
    agentAlgorithm: 'Ed25519',
    audience: [GATEWAY_NAME],
    details: { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*', 'streaming/gpt-5*'], tools: [] },
    issuedAt,
    lifetimeSeconds: 86_400,
    maxDepth: 0,
  });
  const issuer = generatePrivateKey('ES256');
  const claims = { iss: 'bench', sub: 'agent', aud: 'gw', iat: issuedAt, exp: issuedAt + 86_400, models: [MODEL, 'gpt-5'] };
  const bearer = await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: 'bench' })
    .sign(issuer.keyObject);
  const jwks = JSON.stringify({ keys: [{ ...issuer.publicKey.jwk, kid: 'bench', use: 'sig' }] });
  return { operatorDid, agentKey: JSON.stringify(exportPrivateJwk(agentKey)), capability, bearer, jwks };
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

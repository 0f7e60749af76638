// Our own vectors, stored once: the wire format of today is the wire format of tomorrow.

import { expect, test } from 'vitest';
import { loadProviders } from '../../src/checks/capability/provider-registry.ts';
import { chainConfiguration } from '../../src/checks/chain/check-chain.ts';
import { makeChecks } from '../../src/checks/checks.ts';
import { NonceMemory } from '../../src/checks/nonce/nonce-memory.ts';
import { NO_RESTRICTIONS } from '../../src/checks/restriction/check-restriction.ts';
import { type Algorithm, importPublicJwk } from '../../src/crypto/public-key.ts';
import { verifySignature } from '../../src/crypto/verify-signature.ts';
import { trustConfiguration, trustOperators } from '../../src/trust/operators.ts';
import { selfDescribingResolver } from '../../src/vault/resolver.ts';
import { arrive } from '../scenario.ts';
import { readOwn } from './vectors.ts';

interface SignatureVector {
  readonly name: string;
  readonly algorithm: Algorithm;
  readonly jwk: object;
  readonly message: string;
  readonly signature: string;
  readonly valid: boolean;
}

test.each(readOwn<SignatureVector[]>('signatures.json').map((vector) => [vector.name, vector.valid, vector] as const))(
  '%s: %s',
  async (_, valid, { jwk, algorithm, message, signature }) => {
    const key = importPublicJwk(jwk);
    expect(await verifySignature(key, algorithm, Buffer.from(message), Buffer.from(signature, 'base64url'))).toBe(valid);
  },
);

interface RequestVector {
  readonly name: string;
  readonly at: number;
  readonly operator: string;
  readonly http: {
    readonly method: string;
    readonly target: string;
    readonly host: string;
    readonly headers: [string, string][];
    readonly body: string;
  };
  readonly expect: Readonly<Record<string, string>>;
}

const api = (await loadProviders()).get('openai');

test.each(readOwn<RequestVector[]>('requests.json').map((vector) => [vector.name, vector] as const))(
  '%s',
  async (_, { at, operator, http, expect: expected }) => {
    const now = at * 1000;
    const checks = makeChecks({
      gatewayNames: ['gateway.example'],
      operators: trustOperators(trustConfiguration.parse({ operators: [{ did: operator, vouchesForAgents: true }] })),
      resolver: selfDescribingResolver(),
      routes: {
        authorities: new Set(['gateway.example']),
        providers: new Map(api ? [['openai', { name: 'openai', api, aliases: new Map() }]] : []),
      },
      signature: { maxLifetimeSeconds: 60, clockSkewSeconds: 30 },
      chain: chainConfiguration.parse({ cacheEntries: 0 }),
      nonces: new NonceMemory({ perKeyLimit: 10, windowMillis: 120_000, monotonic: () => now, forgottenThrough: 0, bornAt: 0 }),
      restrictions: NO_RESTRICTIONS,
      clock: () => now,
      newDecisionId: () => 'decision',
    });
    const { record } = await arrive(
      {
        id: 'stream',
        method: http.method,
        path: http.target,
        host: http.host,
        scheme: 'https',
        body: '',
        rawBody: Buffer.from(http.body),
        headers: [...http.headers, ['x-envoy-auth-partial-body', 'false']],
      },
      checks,
      now,
    );
    expect(JSON.parse(record)).toMatchObject(expected);
  },
);

// The independent check: the npm package http-message-signatures verifies what our sidecar signs, and our gateway allows what the
// package signs with the profile's parameters and components.

import { constants, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { createSigner, createVerifier, httpbis, type Request, type SigningKey } from 'http-message-signatures';
import { describe, expect, test } from 'vitest';
import { contentDigest } from '../../src/crypto/content-digest.ts';
import { ALGORITHMS, type Algorithm, importPublicJwk } from '../../src/crypto/public-key.ts';
import { signRequest } from '../../src/sign/sign-request.ts';
import { keyOf } from '../keys.ts';
import { arrive, makeGateChecks, makeToken, partiesOf, START, scenarioSchema } from '../scenario.ts';

/** RFC 9421 section 6.2.2 names no algorithm for PS256, so the package has none. */
const NAMES: Readonly<Record<Exclude<Algorithm, 'PS256'>, string>> = {
  Ed25519: 'ed25519',
  ES256: 'ecdsa-p256-sha256',
  PS512: 'rsa-pss-sha512',
};
const supported = ALGORITHMS.filter((algorithm) => algorithm !== 'PS256');
const body = '{"model":"gpt-5-mini","messages":[]}';
const url = 'https://gateway.example/openai/v1/chat/completions';

test('the package still has no PS256, so that it is left out here', () => {
  expect(() => createVerifier('', 'rsa-pss-sha256')).toThrow('Unsupported');
});

describe.each(supported)('%s: what our sidecar signs', (algorithm) => {
  const key = keyOf('agent', algorithm);

  function signed(changes: { path?: string; query?: string; method?: string; content?: string } = {}): Request {
    const { path = '/openai/v1/chat/completions', query = '?', method = 'POST', content = body } = changes;
    const fields = new Map([
      ['content-type', ['application/json']],
      ['idempotency-key', ['retry-1']],
    ]);
    const parts = { method, authority: 'gateway.example', path, query, fields, body: Buffer.from(content) };
    const moment = { now: Date.now(), lifetimeSeconds: 60, nonce: Buffer.alloc(16, 1) };
    const added = signRequest(parts, { key, chain: ['a.b.c', 'd.e.f'] }, moment);
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'retry-1', ...Object.fromEntries(added) };
    return { method, url: `https://gateway.example${path}${query === '?' ? '' : query}`, headers };
  }

  async function verifies(request: Request): Promise<boolean | null> {
    const verify = createVerifier(publicKeyOf(algorithm) as unknown as string, NAMES[algorithm]);
    return httpbis.verifyMessage(
      {
        keyLookup: async ({ keyid }) => (keyid === key.publicKey.jkt ? { id: keyid, algs: [NAMES[algorithm]], verify } : null),
        requiredParams: ['created', 'expires', 'nonce', 'keyid', 'tag'],
        requiredFields: [
          '@method',
          '@authority',
          '@path',
          '@query',
          'agent-capability',
          'content-type',
          'content-digest',
          'idempotency-key',
        ],
        maxAge: 30,
      },
      request,
    );
  }

  test('the package verifies', async () => {
    expect(await verifies(signed())).toBe(true);
    expect(await verifies(signed({ method: 'DELETE', path: '/openai/v1/models/x', query: '?a=b&c=%20d' }))).toBe(true);
  });

  test.each<[string, (request: Request) => Request]>([
    ['the method', (request) => ({ ...request, method: 'PUT' })],
    ['the path', (request) => ({ ...request, url: `${url}/other` })],
    ['the query', (request) => ({ ...request, url: `${url}?a=b` })],
    ['the host', (request) => ({ ...request, url: url.replace('gateway', 'other') })],
    ['the capability', (request) => ({ ...request, headers: { ...request.headers, 'agent-capability': '"x.y.z"' } })],
    [
      'the digest',
      (request) => ({ ...request, headers: { ...request.headers, 'content-digest': contentDigest(Buffer.from('x')) } }),
    ],
    ['the idempotency key', (request) => ({ ...request, headers: { ...request.headers, 'idempotency-key': 'retry-2' } })],
  ])('the package refuses with %s changed', async (_, change) => {
    expect(await verifies(change(signed()))).toBe(false);
  });
});

describe.each(supported)('%s: what the package signs', (algorithm) => {
  const scenario = scenarioSchema.parse({ agent: { algorithm, did: 'jwk' } });
  const parties = partiesOf(scenario);
  const key = keyOf('agent', algorithm);

  async function decisionOn(signer: SigningKey, fields: string[] = COMPONENTS): Promise<string> {
    const token = await makeToken(scenario, parties);
    const message: Request = {
      method: 'POST',
      url,
      headers: {
        'content-type': 'application/json',
        'content-digest': contentDigest(Buffer.from(body)),
        'agent-capability': `"${token}"`,
      },
    };
    const signed = await httpbis.signMessage(
      {
        key: signer,
        name: 'theirs',
        fields,
        params: ['created', 'expires', 'nonce', 'keyid', 'tag'],
        paramValues: {
          created: new Date(START),
          expires: new Date(START + 60_000),
          nonce: Buffer.alloc(16, 2).toString('base64url'),
          keyid: key.publicKey.jkt,
          tag: 'agent-cap',
        },
      },
      message,
    );
    const headers = Object.entries(signed.headers).map(([name, value]): [string, string] => [name.toLowerCase(), String(value)]);
    const { decision } = await arrive(
      {
        id: 'stream',
        method: 'POST',
        path: new URL(url).pathname,
        host: 'gateway.example',
        scheme: 'https',
        body: '',
        rawBody: Buffer.from(body),
        headers: [...headers, ['x-envoy-auth-partial-body', 'false']],
      },
      makeGateChecks(scenario, parties, { now: START }),
      START,
    );
    return decision.effect === 'allow' ? 'allow' : `${decision.reason}: ${decision.detail}`;
  }

  test('our gateway allows', async () => {
    expect(await decisionOn(signerFor(algorithm, key.keyObject))).toBe('allow');
  });

  test('our gateway allows in another order of the components, with more of them', async () => {
    const fields = [...COMPONENTS].reverse();
    expect(await decisionOn(signerFor(algorithm, key.keyObject), [...fields, '@request-target'])).toBe('allow');
  });

  test('our gateway denies under another key', async () => {
    expect(await decisionOn(signerFor(algorithm, keyOf('stranger', algorithm).keyObject))).toContain('signature-invalid');
  });

  test('our gateway denies with a component less', async () => {
    const fields = COMPONENTS.filter((name) => name !== '@query');
    expect(await decisionOn(signerFor(algorithm, key.keyObject), fields)).toContain('must cover "@query"');
  });

  if (algorithm === 'PS512') {
    test('our gateway denies the longest salt, which the package’s own signer takes: RFC 9421 section 3.3.1 says 64 bytes', async () => {
      expect(await decisionOn(createSigner(key.keyObject as unknown as string, 'rsa-pss-sha512'))).toContain('signature-invalid');
    });
  }
});

const COMPONENTS = ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest', 'agent-capability'];

/** The package’s own signer, but for PSS, whose salt the package leaves to Node’s default. */
function signerFor(algorithm: keyof typeof NAMES, key: KeyObject): SigningKey {
  if (algorithm !== 'PS512') return createSigner(key as unknown as string, NAMES[algorithm]);
  const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 };
  return { alg: NAMES.PS512, sign: async (data) => sign('sha512', data, pss) };
}

/** From the public JWK alone, as a stranger would have it. */
function publicKeyOf(algorithm: Algorithm): KeyObject {
  const { jwk } = importPublicJwk(JSON.parse(JSON.stringify(keyOf('agent', algorithm).publicKey.jwk)));
  return createPublicKey({ key: JSON.parse(JSON.stringify(jwk)), format: 'jwk' });
}

// Signed writes, held against another implementation of RFC 9421.

import { randomBytes } from 'node:crypto';
import { createVerifier, httpbis, type Request } from 'http-message-signatures';
import { describe, expect, it } from 'vitest';
import { contentDigest } from '../../src/crypto/content-digest.ts';
import { signWrite, type Write } from '../../src/operator/sign-write.ts';
import { keyOf } from '../keys.ts';

const keyId = 'did:webvh:QmX:vault.example:operators:acme#key-1';
/** RFC 9421 section 6.2.2 names no algorithm for PS256, so the package has none. */
const NAMES = { Ed25519: 'ed25519', ES256: 'ecdsa-p256-sha256' } as const;
const write: Write = {
  method: 'POST',
  authority: 'vault.example:8443',
  path: `/v1/agents/${encodeURIComponent('did:webvh:QmX:vault.example:agents:acme:reader')}/versions`,
  body: Buffer.from('{"entry":"{}"}'),
  idempotencyKey: 'a-key-that-follows-from-what-is-written',
};

describe.each(['Ed25519', 'ES256'] as const)('a write signed with %s', (algorithm) => {
  const key = keyOf('operator', algorithm);
  const now = Date.now();
  const headers = signWrite(write, { keyId, key }, { now, nonce: randomBytes(16) });
  const request: Request = { method: 'POST', url: `https://${write.authority}${write.path}`, headers };

  const verifies = (message: Request) =>
    httpbis.verifyMessage(
      {
        keyLookup: async ({ keyid }) =>
          keyid === keyId
            ? {
                id: keyid,
                algs: [NAMES[algorithm]],
                verify: createVerifier(key.publicKey.keyObject as unknown as string, NAMES[algorithm]),
              }
            : null,
        requiredParams: ['created', 'expires', 'nonce', 'keyid', 'tag'],
        requiredFields: ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest', 'idempotency-key'],
        maxAge: 60,
      },
      message,
    );

  it('verifies, with everything that the vault asks for covered', async () => {
    expect(await verifies(request)).toBe(true);
    expect(headers['signature-input']).toMatch(
      /^control=\(.*;created=(\d+);expires=\d+;nonce="[\w-]{22}";keyid="did:.*#key-1";tag="agent-cap-control"$/,
    );
    const [, created = '', expires = ''] = /created=(\d+);expires=(\d+)/.exec(headers['signature-input'] ?? '') ?? [];
    expect([Number(created), Number(expires) - Number(created)]).toEqual([Math.floor(now / 1000), 60]);
    expect(headers['content-digest']).toBe(contentDigest(write.body));
  });

  it.each<[string, Partial<Request>]>([
    ['another path', { url: `https://${write.authority}/v1/operators` }],
    ['a query', { url: `https://${write.authority}${write.path}?a=b` }],
    ['another host', { url: `https://vault.example${write.path}` }],
    ['another method', { method: 'PUT' }],
    ['another body', { headers: { ...headers, 'content-digest': contentDigest(Buffer.from('{}')) } }],
    ['another idempotency key', { headers: { ...headers, 'idempotency-key': 'other' } }],
  ])('does not verify for %s', async (_, change) => {
    expect(await verifies({ ...request, ...change })).toBe(false);
  });
});

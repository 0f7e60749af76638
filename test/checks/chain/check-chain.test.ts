// What the check of row 5 keeps, and what it looks at every time.

import { describe, expect, test } from 'vitest';
import { chainConfiguration, makeChainCheck, type VerifiedChain } from '../../../src/checks/chain/check-chain.ts';
import type { WellFormedRequest } from '../../../src/checks/form/check-form.ts';
import type { ClaimedSignature } from '../../../src/checks/signature/signature-input.ts';
import { parseStringList } from '../../../src/crypto/structured-fields.ts';
import type { Outcome } from '../../../src/outcome.ts';
import { trustConfiguration, trustOperators } from '../../../src/trust/operators.ts';
import { type DidDocument, UnavailableDid } from '../../../src/vault/did-document.ts';
import { type DidResolver, selfDescribingResolver } from '../../../src/vault/resolver.ts';
import { keyOf } from '../../keys.ts';
import { linkBelow, type MadeToken } from '../../link.ts';
import { didOf, GATEWAY, makeRoot, NOW } from './chain-pool.ts';

const details = { type: 'llm_access', actions: ['chat'] };
const root = makeRoot(details);
const session = linkBelow(root, { key: keyOf('session'), claims: { sid: 's-1', exp: NOW + 100 } });
const delegated = linkBelow(session, { key: keyOf('second'), claims: { client_id: didOf('second'), exp: NOW + 50 } });

interface Gate {
  /** How often the operator's DID was asked for. */
  asked: number;
  resolver: DidResolver;
  judge(chain: readonly MadeToken[], now?: number, blanks?: string): Promise<Outcome<VerifiedChain>>;
}

function makeGate(cacheEntries = 10): Gate {
  const gate: Gate = {
    asked: 0,
    resolver: selfDescribingResolver(),
    judge: async (chain, now = NOW, blanks = ' ') => {
      const field = chain.map(({ compact }) => `"${compact}"`).join(`,${blanks}`);
      const wellFormed = { untrustedTokens: parseStringList(field) } as unknown as WellFormedRequest;
      return check(wellFormed, { keyid: chain.at(-1)?.key.publicKey.jkt } as unknown as ClaimedSignature, now * 1000);
    },
  };
  const check = makeChainCheck({
    operators: trustOperators(trustConfiguration.parse({ operators: [{ did: didOf('operator') }] })),
    resolver: {
      current: (did) => {
        gate.asked++;
        return gate.resolver.current(did);
      },
      newer: (document) => gate.resolver.newer(document),
    },
    gatewayNames: [GATEWAY],
    clockSkewSeconds: 30,
    configuration: chainConfiguration.parse({ cacheEntries }),
  });
  return gate;
}

const proofOf = (outcome: Outcome<VerifiedChain>) => (outcome.denied ? expect.fail(outcome.detail) : outcome.proof);
const detailOf = (outcome: Outcome<VerifiedChain>) => (outcome.denied ? outcome.detail : 'passed');

test('a chain says who is in it, root first, and its leaf who acts and with which key', async () => {
  const chain = proofOf(await makeGate().judge([root, session, delegated]));
  expect(chain.links.map(({ agent, sid, exp, jkt }) => [agent, sid, exp, jkt])).toEqual([
    [didOf('agent'), undefined, root.claims.exp, keyOf('agent').publicKey.jkt],
    [didOf('agent'), 's-1', NOW + 100, keyOf('session').publicKey.jkt],
    [didOf('second'), 's-1', NOW + 50, keyOf('second').publicKey.jkt],
  ]);
  expect(chain.leaf).toBe(chain.links[2]);
  expect([chain.key.jkt, chain.algorithm]).toEqual([keyOf('second').publicKey.jkt, 'Ed25519']);
  expect(new Set(chain.links.map(({ tokenHash }) => tokenHash)).size).toBe(3);
});

describe('a chain that held', () => {
  test('is the same one the next time, however the field spaces its tokens', async () => {
    const gate = makeGate();
    const first = proofOf(await gate.judge([root, session]));
    expect(proofOf(await gate.judge([root, session], NOW, ''))).toBe(first);
    expect(proofOf(await gate.judge([root, session], NOW, ' \t '))).toBe(first);
    expect(proofOf(await gate.judge([root]))).not.toBe(first);
  });

  test('is not found by its tokens in one String', async () => {
    const gate = makeGate();
    proofOf(await gate.judge([root, session]));
    const asOne = { ...session, compact: `${root.compact} ${session.compact}` };
    expect(await gate.judge([asOne])).toMatchObject({ denied: true, reason: 'chain-invalid' });
  });

  test('expires with the first of its tokens, and the denial names it', async () => {
    const gate = makeGate();
    proofOf(await gate.judge([root, session, delegated], NOW + 49));
    expect(detailOf(await gate.judge([root, session, delegated], NOW + 50))).toBe('Link 2 has expired.');
    proofOf(await gate.judge([root, session], NOW + 99));
    expect(detailOf(await gate.judge([root, session], NOW + 100))).toBe('Link 1 has expired.');
    proofOf(await gate.judge([root], NOW + 100));
  });

  test('is for who holds its key only', async () => {
    const gate = makeGate();
    proofOf(await gate.judge([root, session]));
    const outcome = await gate.judge([root, { ...session, key: keyOf('stranger') }]);
    expect(outcome).toMatchObject({ denied: true, reason: 'signature-key' });
  });

  test('is verified anew when the operator’s document is another', async () => {
    const gate = makeGate();
    const first = proofOf(await gate.judge([root, session]));
    gate.resolver = selfDescribingResolver();
    const second = proofOf(await gate.judge([root, session]));
    expect(second).not.toBe(first);
    expect(proofOf(await gate.judge([root, session]))).toBe(second);
  });

  test('answers 503 and drops no rejection while the operator’s document cannot be had', async () => {
    const gate = makeGate();
    proofOf(await gate.judge([root, session]));
    const unavailable = () => Promise.reject<DidDocument>(new UnavailableDid('down'));
    gate.resolver = { current: unavailable, newer: unavailable };
    expect(await gate.judge([root, session])).toMatchObject({ denied: true, reason: 'identity-unavailable' });
  });

  test('is forgotten when there are too many others, and costs no more than being verified again', async () => {
    const gate = makeGate(2);
    const first = proofOf(await gate.judge([root, session]));
    for (const sid of ['a', 'b'])
      proofOf(await gate.judge([root, linkBelow(root, { key: keyOf('session'), claims: { sid, exp: NOW + 9 } })]));
    expect(proofOf(await gate.judge([root, session]))).not.toBe(first);
  });
});

describe('a chain that does not hold', () => {
  test('asks nobody for a key before its cheap parts hold', async () => {
    const gate = makeGate();
    const broad = linkBelow(root, { key: keyOf('session'), claims: { exp: Number(root.claims.exp) + 1 } });
    expect(detailOf(await gate.judge([root, broad]))).toContain('outlives');
    expect(detailOf(await gate.judge([root, session], NOW + 100))).toBe('Link 1 has expired.');
    expect(gate.asked).toBe(0);
  });

  test('is not kept', async () => {
    const gate = makeGate();
    const forged = linkBelow(root, { key: keyOf('session'), signedBy: keyOf('stranger') });
    for (const _ of [1, 2]) expect(detailOf(await gate.judge([root, forged]))).toContain('does not verify');
  });

  test.each([
    ['root', [makeRoot(details, { iat: NOW, exp: NOW + 91 * 86_400 })], 'The root token lives longer than the 90 days'],
    ['root', [makeRoot(details, { iat: NOW + 31 })], 'The root token was issued in the future'],
    ['root', [makeRoot(details, { nbf: NOW + 31 })], 'The root token is not valid yet'],
    ['root', [makeRoot(details, { iat: NOW + 32, nbf: NOW + 31 })], 'The root token was issued in the future'],
    ['six links', [root, ...tail(root, 6)], 'Link 6 is not in the form'],
  ])('%s: %#', async (_, chain, detail) => {
    expect(detailOf(await makeGate().judge(chain))).toContain(detail);
  });
});

function tail(parent: MadeToken, length: number): MadeToken[] {
  if (length === 0) return [];
  const link = linkBelow(parent, { key: keyOf(`tail ${length}`) });
  return [link, ...tail(link, length - 1)];
}

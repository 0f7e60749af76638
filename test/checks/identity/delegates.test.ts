// Row 6 for chains: whose documents are asked for, what of them counts, and when they are looked at again.

import { beforeEach, describe, expect, test } from 'vitest';
import { chainConfiguration, makeChainCheck, type VerifiedChain } from '../../../src/checks/chain/check-chain.ts';
import type { WellFormedRequest } from '../../../src/checks/form/check-form.ts';
import { makeIdentityCheck } from '../../../src/checks/identity/check-identity.ts';
import type { ClaimedSignature } from '../../../src/checks/signature/signature-input.ts';
import { trustConfiguration, trustOperators } from '../../../src/trust/operators.ts';
import { type DidDocument, UnavailableDid, UnknownDid, type VerificationMethod } from '../../../src/vault/did-document.ts';
import { Resolver } from '../../../src/vault/resolver.ts';
import { keyOf } from '../../keys.ts';
import { linkBelow, type MadeToken } from '../../link.ts';
import { didOf, GATEWAY, makeRoot, NOW } from '../chain/chain-pool.ts';

const FIRST = 'did:webvh:QmFirst:vault.example:first';
const SECOND = 'did:webvh:QmSecond:vault.example:second';
const OPERATOR = didOf('operator');

const key = (name: string, changes: Partial<VerificationMethod> = {}): VerificationMethod => ({
  id: `#${name}`,
  key: keyOf(name).publicKey,
  purposes: ['capabilityInvocation'],
  expires: undefined,
  ...changes,
});
const document = (did: string, ...verificationMethods: VerificationMethod[]): DidDocument => ({
  did,
  controller: [OPERATOR],
  verificationMethods,
  versionId: `1-${did.slice(-5)}`,
});

/** What the vault would answer now. */
let published: Map<string, DidDocument | Error>;
let asked: string[];
let clock: number;

beforeEach(() => {
  published = new Map([
    [FIRST, document(FIRST, key('agent'))],
    [SECOND, { ...document(SECOND, key('second')), controller: ['did:key:z6MkSomeoneElse'] }],
  ]);
  asked = [];
  clock = 0;
});

function makeGate() {
  const resolver = new Resolver({
    sources: {
      webvh: async (did) => {
        asked.push(did);
        const found = published.get(did);
        if (found === undefined || found instanceof Error) throw found ?? new UnknownDid('none');
        return { document: found, ttlSeconds: undefined };
      },
    },
    ttlSeconds: 300,
    maxStaleSeconds: 0,
    cacheEntries: 10,
    monotonic: () => clock,
    onRefreshError: () => {},
  });
  const check = makeChainCheck({
    operators: trustOperators(trustConfiguration.parse({ operators: [{ did: OPERATOR }] })),
    resolver,
    gatewayNames: [GATEWAY],
    clockSkewSeconds: 30,
    configuration: chainConfiguration.parse({}),
  });
  const identity = makeIdentityCheck(resolver);
  const identify = (chain: VerifiedChain, now = NOW * 1000) => identity(chain, now);
  const verify = async (tokens: readonly MadeToken[]) => {
    const form = { untrustedTokens: tokens.map(({ compact }) => compact) } as unknown as WellFormedRequest;
    const claimed = { keyid: tokens.at(-1)?.key.publicKey.jkt } as unknown as ClaimedSignature;
    const outcome = await check(form, claimed, NOW * 1000);
    return outcome.denied ? expect.fail(outcome.detail) : outcome.proof;
  };
  return { resolver, identify, verify };
}

const root = makeRoot({ type: 'llm_access', actions: ['chat'] }, { client_id: FIRST });
const session = linkBelow(root, { key: keyOf('session') });
const delegated = linkBelow(session, { key: keyOf('second'), claims: { client_id: SECOND } });
const leaf = linkBelow(delegated, { key: keyOf('session 2') });
const whole = [root, session, delegated, leaf];

test('each agent is asked for once, its sessions not at all; who acts is the leaf’s', async () => {
  const { identify, verify } = makeGate();
  const outcome = await identify(await verify(whole));
  expect(outcome).toMatchObject({
    denied: false,
    proof: { agent: SECOND, operator: OPERATOR, didVersions: { [FIRST]: '1-first', [SECOND]: '1-econd' } },
  });
  expect(asked.sort()).toEqual([FIRST, SECOND]);
});

test('a delegate needs no controller in common; the root’s agent needs the operator', async () => {
  const { identify, verify } = makeGate();
  published.set(FIRST, { ...document(FIRST, key('agent')), controller: ['did:key:z6MkSomeoneElse'] });
  expect(await identify(await verify(whole))).toMatchObject({
    denied: true,
    reason: 'identity-unknown',
    detail: expect.stringContaining('control'),
  });
});

describe('once known', () => {
  test('the outcome is at hand at once, and the same', async () => {
    const { identify, verify } = makeGate();
    const chain = await verify(whole);
    const first = await identify(chain);
    expect(identify(chain)).toBe(first);
    expect(asked).toHaveLength(2);
  });

  test.each([FIRST, SECOND])('a key that %s drops is dropped for the chain as soon as its document is another', async (did) => {
    const { resolver, identify, verify } = makeGate();
    const chain = await verify(whole);
    expect(await identify(chain)).toMatchObject({ denied: false });
    published.set(did, { ...document(did, key('stranger')), versionId: '2-x' });
    resolver.changed(did);
    expect(await identify(chain)).toMatchObject({
      denied: true,
      reason: 'identity-unknown',
      detail:
        did === FIRST
          ? "The cnf.jwk is not a current key of the agent's DID."
          : "The cnf.jwk of link 2 is not a current key of its agent's DID.",
    });
  });

  test.each([FIRST, SECOND])('a key of %s that runs out ends it', async (did) => {
    const { identify, verify } = makeGate();
    const until = (NOW + 10) * 1000;
    published.set(did, document(did, key(did === FIRST ? 'agent' : 'second', { expires: until })));
    const chain = await verify(whole);
    expect(await identify(chain, until - 1)).toMatchObject({ denied: false });
    clock += 5000;
    expect(await identify(chain, until)).toMatchObject({ denied: true, reason: 'identity-unknown' });
  });
});

test.each([
  ['assertionMethod', 'identity-unknown'],
  ['unavailable', 'identity-unavailable'],
  ['unknown', 'identity-unknown'],
])('a delegate whose DID is %s', async (what, reason) => {
  const { identify, verify } = makeGate();
  if (what === 'assertionMethod') published.set(SECOND, document(SECOND, key('second', { purposes: ['assertionMethod'] })));
  if (what === 'unavailable') published.set(SECOND, new UnavailableDid('down'));
  if (what === 'unknown') published.delete(SECOND);
  expect(await identify(await verify(whole))).toMatchObject({ denied: true, reason });
});

test('a key that was published just now is found in a newer document, which is the one that is kept', async () => {
  const { identify, verify } = makeGate();
  published.set(SECOND, document(SECOND));
  const chain = await verify(whole);
  expect(await identify(chain)).toMatchObject({ denied: true });
  published.set(SECOND, { ...document(SECOND, key('second')), versionId: '2-econd' });
  clock += 1500;
  const outcome = await identify(chain);
  expect(outcome).toMatchObject({ denied: false, proof: { didVersions: { [SECOND]: '2-econd' } } });
  expect(identify(chain)).toBe(outcome);
});

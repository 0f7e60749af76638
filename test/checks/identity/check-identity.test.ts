// Who may sign for an agent (docs/threat-model.md E10, E11, E15): over the real resolver, whose source and clock a test moves.

import { describe, expect, test } from 'vitest';
import type { VerifiedChain } from '../../../src/checks/chain/check-chain.ts';
import { makeIdentityCheck } from '../../../src/checks/identity/check-identity.ts';
import { type Algorithm, importPublicJwk } from '../../../src/crypto/public-key.ts';
import { type DidDocument, UnavailableDid, UnknownDid, type VerificationMethod } from '../../../src/vault/did-document.ts';
import { didKeyOf } from '../../../src/vault/did-key.ts';
import { Resolver } from '../../../src/vault/resolver.ts';
import { keyOf } from '../../keys.ts';

const AGENT = 'did:test:agent';
const OPERATOR = 'did:test:operator';
const NOW = 1_767_225_600_000;

function method(name: string, changes: Partial<VerificationMethod> = {}): VerificationMethod {
  const key = keyOf(name).publicKey;
  return { id: `${AGENT}#${name}`, key, purposes: ['capabilityInvocation'], expires: undefined, ...changes };
}

function documentOf(methods: readonly VerificationMethod[], changes: Partial<DidDocument> = {}): DidDocument {
  return { did: AGENT, controller: [OPERATOR], verificationMethods: methods, versionId: undefined, ...changes };
}

interface ChainParts {
  readonly key?: string;
  readonly agent?: string;
  readonly vouchesForAgents?: boolean;
}

/** As far as the check looks at one. */
function chainOf({ key = 'first', agent = AGENT, vouchesForAgents = false }: ChainParts = {}): VerifiedChain {
  const operator = { did: OPERATOR, vouchesForAgents, ceiling: undefined };
  const leaf = { agent, jkt: keyOf(key).publicKey.jkt, algorithm: 'Ed25519' };
  return { operator, operatorVersion: undefined, links: [leaf], leaf } as unknown as VerifiedChain;
}

function make(published: DidDocument | Error, { cacheEntries = 10 } = {}) {
  const world = { published, asked: 0, monotonic: 0 };
  const resolver = new Resolver({
    sources: {
      test: async () => {
        world.asked++;
        if (world.published instanceof Error) throw world.published;
        return { document: world.published, ttlSeconds: undefined };
      },
    },
    ttlSeconds: 300,
    maxStaleSeconds: 600,
    cacheEntries,
    monotonic: () => world.monotonic,
    onRefreshError: () => {},
  });
  return { world, resolver, check: makeIdentityCheck(resolver) };
}

const KNOWN = (agentVersion?: string) => ({
  denied: false,
  proof: { agent: AGENT, operator: OPERATOR, didVersions: agentVersion && { [AGENT]: agentVersion } },
});
const NO_KEY = { denied: true, reason: 'identity-unknown', detail: "The cnf.jwk is not a current key of the agent's DID." };
const NOT_CONTROLLED = {
  denied: true,
  reason: 'identity-unknown',
  detail: 'The operator does not control this agent and may not vouch for it.',
};

describe('the key', () => {
  test('that stands in the document, with the version of the log for the record', async () => {
    const { check } = make(documentOf([method('other'), method('first')], { versionId: '3-Qm' }));
    expect(await check(chainOf(), NOW)).toEqual(KNOWN('3-Qm'));
  });

  test.each<[string, readonly VerificationMethod[]]>([
    ['none', []],
    ['another', [method('other')]],
    ['for issuing only', [method('first', { purposes: ['assertionMethod'] })]],
    ['for nothing', [method('first', { purposes: [] })]],
    ['run out', [method('first', { expires: NOW - 1 })]],
    ['run out this very moment', [method('first', { expires: NOW })]],
  ])('%s: refused', async (_, methods) => {
    expect(await make(documentOf(methods)).check(chainOf(), NOW)).toEqual(NO_KEY);
  });

  test.each<[Algorithm, Algorithm, boolean]>([
    ['PS256', 'PS256', true],
    ['PS256', 'PS512', false],
    ['PS512', 'PS256', false],
  ])('published for %s and bound for %s: allowed %s', async (published, algorithm, allowed) => {
    const { publicKey } = keyOf('first', published);
    const { jwk } = publicKey;
    const { check } = make(documentOf([method('first', { key: importPublicJwk({ ...jwk, alg: published }) })]));
    const leaf = { agent: AGENT, jkt: publicKey.jkt, algorithm };
    const chain = { ...chainOf(), links: [leaf], leaf } as unknown as VerifiedChain;
    expect(await check(chain, NOW)).toEqual(allowed ? KNOWN() : NO_KEY);
  });

  test.each<Algorithm>(['PS256', 'PS512'])('published for no algorithm, and bound for %s: allowed', async (algorithm) => {
    const { publicKey } = keyOf('first', algorithm);
    const { alg: _, ...jwk } = publicKey.jwk;
    const { check } = make(documentOf([method('first', { key: importPublicJwk(jwk) })]));
    const leaf = { agent: AGENT, jkt: publicKey.jkt, algorithm };
    const chain = { ...chainOf(), links: [leaf], leaf } as unknown as VerifiedChain;
    expect(await check(chain, NOW)).toEqual(KNOWN());
  });

  test('that has an end holds until then, also where it was found before', async () => {
    const { check, world } = make(documentOf([method('first', { expires: NOW + 1000 }), method('second')]));
    const chain = chainOf();
    expect(await check(chain, NOW)).toEqual(KNOWN());
    expect(await check(chain, NOW + 999)).toEqual(KNOWN());
    expect(await check(chain, NOW + 1000)).toEqual(NO_KEY);
    expect(await check(chainOf({ key: 'second' }), NOW + 1000)).toEqual(KNOWN());
    expect(world.asked).toBe(1);
  });

  test('published a moment ago is found, without waiting for the document to grow old', async () => {
    const { check, world } = make(documentOf([method('first')]));
    await check(chainOf(), NOW);
    world.published = documentOf([method('first'), method('second')]);
    world.monotonic += 1001;
    expect(await check(chainOf({ key: 'second' }), NOW)).toEqual(KNOWN());
    expect(world.asked).toBe(2);
  });

  test('of a stranger makes the gateway ask no more than once a second', async () => {
    const { check, world } = make(documentOf([method('first')]));
    for (let time = 0; time < 100; time++) {
      expect(await check(chainOf({ key: `stranger ${time % 5}` }), NOW)).toEqual(NO_KEY);
      world.monotonic += 50;
    }
    expect(world.asked).toBeLessThanOrEqual(6);
  });

  test.each([0, 1])('of a stranger is refused where %d documents are kept, too', async (cacheEntries) => {
    const { check, world } = make(documentOf([method('first')]), { cacheEntries });
    expect(await check(chainOf({ key: 'stranger' }), NOW)).toEqual(NO_KEY);
    expect(world.asked).toBeLessThanOrEqual(2);
    const did = didKeyOf(keyOf('first').publicKey);
    expect(await check(chainOf({ agent: did, key: 'stranger', vouchesForAgents: true }), NOW)).toEqual(NO_KEY);
  });
});

describe('the controller', () => {
  test.each<[string, readonly string[]]>([
    ['the operator', [OPERATOR]],
    ['the operator among others', ['did:test:other', OPERATOR]],
  ])('%s: accepted', async (_, controller) => {
    expect(await make(documentOf([method('first')], { controller })).check(chainOf(), NOW)).toEqual(KNOWN());
  });

  test.each<[string, readonly string[]]>([
    ['nobody', []],
    ['another operator', ['did:test:other']],
    ['several others', ['did:test:other', 'did:test:third']],
    ['the agent itself', [AGENT]],
    ['a name that begins with that of the operator', [`${OPERATOR}:x`]],
  ])('%s: refused, even for an operator who may vouch', async (_, controller) => {
    const { check } = make(documentOf([method('first')], { controller }));
    expect(await check(chainOf(), NOW)).toEqual(NOT_CONTROLLED);
    expect(await check(chainOf({ vouchesForAgents: true }), NOW)).toEqual(NOT_CONTROLLED);
  });

  test('who changed is one no more as soon as the document says so', async () => {
    const { check, world, resolver } = make(documentOf([method('first')], { versionId: '1-a' }));
    const chain = chainOf();
    expect(await check(chain, NOW)).toEqual(KNOWN('1-a'));
    world.published = documentOf([method('first')], { versionId: '2-b', controller: ['did:test:other'] });
    resolver.changed(AGENT);
    expect(await check(chain, NOW)).toEqual(NOT_CONTROLLED);
  });

  test('a DID that can name none is vouched for by an operator who may', async () => {
    const agent = didKeyOf(keyOf('first').publicKey);
    const { check } = make(new Error('not asked'));
    expect(await check(chainOf({ agent }), NOW)).toEqual(NOT_CONTROLLED);
    expect(await check(chainOf({ agent, vouchesForAgents: true }), NOW)).toMatchObject({ denied: false, proof: { agent } });
  });
});

describe('what was found for a chain', () => {
  test('holds while the document is the same one, at once', async () => {
    const { check } = make(documentOf([method('first')], { versionId: '1-a' }));
    const chain = chainOf();
    const found = await check(chain, NOW);
    expect(check(chain, NOW)).toBe(found);
  });

  test('holds over a refresh that finds the same version', async () => {
    const { check, world } = make(documentOf([method('first')], { versionId: '1-a' }));
    const chain = chainOf();
    await check(chain, NOW);
    world.published = documentOf([method('first')], { versionId: '1-a' });
    world.monotonic += 301_000;
    expect(await check(chain, NOW)).toEqual(KNOWN('1-a'));
    expect(world.asked).toBe(2);
  });

  test('ends with the document: a key that was dropped does not hold a moment longer', async () => {
    const { check, world, resolver } = make(documentOf([method('first'), method('second')], { versionId: '1-a' }));
    const chain = chainOf();
    expect(await check(chain, NOW)).toEqual(KNOWN('1-a'));
    world.published = documentOf([method('second')], { versionId: '2-b' });
    resolver.changed(AGENT);
    expect(await check(chain, NOW)).toEqual(NO_KEY);
    expect(await check(chainOf({ key: 'second' }), NOW)).toEqual(KNOWN('2-b'));
  });

  test('does not hold for another chain of the same agent', async () => {
    const { check } = make(documentOf([method('first')]));
    await check(chainOf(), NOW);
    expect(await check(chainOf({ key: 'stranger' }), NOW)).toEqual(NO_KEY);
  });
});

describe('a document that is not to be had', () => {
  const unknown = new UnknownDid('no such log');
  const unavailable = new UnavailableDid('host is down');
  const UNKNOWN = { denied: true, reason: 'identity-unknown', detail: "The agent's DID is not known here.", cause: unknown };
  const UNAVAILABLE = {
    denied: true,
    reason: 'identity-unavailable',
    detail: "The agent's DID cannot be resolved now.",
    cause: unavailable,
  };

  test.each([
    ['unknown', unknown, UNKNOWN],
    ['unavailable', unavailable, UNAVAILABLE],
  ])('%s at first', async (_, error, outcome) => {
    const { check } = make(error);
    expect(await check(chainOf(), NOW)).toEqual(outcome);
    expect(await check(chainOf(), NOW)).toEqual(outcome);
  });

  test.each([
    ['unknown', unknown, UNKNOWN],
    ['unavailable', unavailable, UNAVAILABLE],
  ])('%s when a key is looked for that is not in the one at hand', async (_, error, outcome) => {
    const { check, world } = make(documentOf([method('first')]));
    await check(chainOf(), NOW);
    world.published = error;
    world.monotonic += 1001;
    expect(await check(chainOf({ key: 'stranger' }), NOW)).toEqual(outcome);
    // Whoever made it fail has locked nobody out.
    expect(await check(chainOf(), NOW)).toEqual(KNOWN());
  });

  test.each([
    ['unknown', unknown, UNKNOWN],
    ['unavailable', unavailable, UNAVAILABLE],
  ])('%s while the one at hand, too old, still serves', async (_, error, outcome) => {
    const { check, world } = make(documentOf([method('first')]));
    await check(chainOf(), NOW);
    world.published = error;
    world.monotonic += 400_000;
    expect(await check(chainOf(), NOW)).toEqual(KNOWN());
    expect(await check(chainOf({ key: 'stranger' }), NOW)).toEqual(outcome);
    world.monotonic += 300_000;
    expect(await check(chainOf(), NOW)).toEqual(outcome);
  });

  test('what nobody foresaw is thrown, and becomes 503', async () => {
    await expect(make(new TypeError('defect')).check(chainOf(), NOW)).rejects.toThrow('defect');
  });
});

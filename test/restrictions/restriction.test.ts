// The form of a restriction and its signature: closed, canonical, and by the one whom it names.

import canonicalize from 'canonicalize';
import { describe, expect, test } from 'vitest';
import { type PrivateKey, signBytes } from '../../src/crypto/private-key.ts';
import { ALGORITHMS } from '../../src/crypto/public-key.ts';
import { parseRestriction, RESTRICTION_TYPE, RestrictionError, THUMBPRINT_URN } from '../../src/restrictions/restriction.ts';
import { signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { makeSignerKeys } from '../../src/restrictions/signer-keys.ts';
import { reopenRestriction, verifyRestriction } from '../../src/restrictions/verify-restriction.ts';
import { UnavailableDid } from '../../src/vault/did-document.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { Resolver, selfDescribingResolver } from '../../src/vault/resolver.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { keyOf } from '../keys.ts';

const ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const AT = 1_767_225_600;
const keys = makeSignerKeys({ resolver: selfDescribingResolver(), clockSkewMillis: 30_000 });
const kidOf = (key: PrivateKey) => resolveSelfDescribing(didKeyOf(key.publicKey)).verificationMethods[0]?.id ?? '';

const operator = keyOf('operator');
const claims = {
  id: ID,
  target: { agent: 'did:key:z6Mkagent' },
  effect: 'revoke',
  by: didKeyOf(operator.publicKey),
  at: AT,
  reason: 'stolen laptop',
};
const header = { alg: 'Ed25519', typ: RESTRICTION_TYPE, kid: kidOf(operator) };

function make(
  changes: Record<string, unknown> = {},
  headerChanges: Record<string, unknown> = {},
  { payload, signer = operator }: { payload?: string; signer?: PrivateKey } = {},
): string {
  const part = (text: string) => Buffer.from(text).toString('base64url');
  const input = `${part(canonicalize({ ...header, ...headerChanges }) ?? '')}.${part(payload ?? canonicalize({ ...claims, ...changes }) ?? '')}`;
  return `${input}.${signBytes(signer, Buffer.from(input)).toString('base64url')}`;
}

const verifies = (compact: string) => verifyRestriction(parseRestriction(compact), keys, AT * 1000);

test('one as the profile has it verifies, and says what it said', async () => {
  const restriction = await verifies(make());
  expect(restriction).toMatchObject({
    id: ID,
    target: { kind: 'agent', value: 'did:key:z6Mkagent' },
    effect: 'revoke',
    by: claims.by,
    at: AT,
    reason: 'stolen laptop',
  });
  expect(reopenRestriction(make())).toEqual(restriction);
});

test.each(ALGORITHMS)('signRestriction under %s makes what verifies, by a DID and by a key', async (algorithm) => {
  const key = keyOf('signer', algorithm);
  const did = didKeyOf(key.publicKey);
  const statement = { effect: 'revoke', target: { kind: 'token', value: 'jti' }, at: AT, reason: '' } as const;
  // did:key says nothing of the hash of an RSA key, so that one stands for itself.
  const byDid = algorithm.startsWith('PS') ? undefined : signRestriction(statement, { key, keyId: kidOf(key) });
  if (byDid !== undefined) expect(await verifies(byDid)).toMatchObject({ by: did });
  const byKey = signRestriction(statement, { key, keyId: undefined });
  expect(await verifies(byKey)).toMatchObject({ by: `${THUMBPRINT_URN}${key.publicKey.jkt}` });
});

describe('refused for its form', () => {
  const stranger = keyOf('stranger');
  const urn = `${THUMBPRINT_URN}${stranger.publicKey.jkt}`;
  const cases: [string, string][] = [
    ['an unknown claim', make({ extra: 1 })],
    ['no target', make({ target: {} })],
    ['two targets', make({ target: { agent: 'did:key:z6Mkagent', token: 'x' } })],
    ['an unknown target', make({ target: { everything: 'x' } })],
    ['an agent that is no DID', make({ target: { agent: 'reader' } })],
    ['a key that is no thumbprint', make({ target: { key: 'abc' } })],
    ['a line end in a target', make({ target: { token: 'a\nb' } })],
    ['an id of 120 bits', make({ id: 'AAAAAAAAAAAAAAAAAAAA' })],
    ['a second spelling of an id', make({ id: 'AAAAAAAAAAAAAAAAAAAAAB' })],
    ['another effect', make({ effect: 'widen' })],
    ['a narrowing without details', make({ effect: 'narrow' })],
    ['a revocation with details', make({ details: { type: 'llm_access', actions: [] } })],
    ['details that are not closed', make({ effect: 'narrow', details: { type: 'llm_access', actions: [], more: 1 } })],
    ['a lift without an id', make({ effect: 'lift' })],
    ['a lift with a time', make({ effect: 'lift', lifts: ID, before: 5 })],
    ['a time that is text', make({ at: '1767225600' })],
    ['a time past 2106', make({ before: 2 ** 32 })],
    ['a reason of 257 characters', make({ reason: 'x'.repeat(257) })],
    ['a reason with an escape', make({ reason: '\u001b[31m' })],
    ['a reason with a direction mark', make({ reason: 'a\u202eb' })],
    ['by a name', make({ by: 'operator' })],
    ['another typ', make({}, { typ: 'agent-cap+jwt' })],
    ['no typ', make({}, { typ: undefined })],
    ['alg none', make({}, { alg: 'none' })],
    ['alg EdDSA', make({}, { alg: 'EdDSA' })],
    ['jku', make({}, { jku: 'https://evil.example' })],
    ['crit', make({}, { crit: ['x'] })],
    ['a DID with a key in the header', make({}, { jwk: operator.publicKey.jwk })],
    ['a DID without kid', make({}, { kid: undefined })],
    ['a kid of another DID', make({}, { kid: kidOf(stranger) })],
    ['a thumbprint with another key', make({ by: urn }, { kid: undefined, jwk: operator.publicKey.jwk })],
    ['a thumbprint with a private key', make({ by: urn }, { kid: undefined, jwk: { ...stranger.publicKey.jwk, d: 'x' } })],
    ['a thumbprint with kid', make({ by: urn }, { jwk: stranger.publicKey.jwk })],
    ['members in another order', make({}, {}, { payload: JSON.stringify(claims) })],
    ['a blank', make({}, {}, { payload: ` ${canonicalize(claims)}` })],
    ['a repeated member', make({}, {}, { payload: canonicalize(claims)?.replace('{', '{"at":1,') ?? '' })],
    ['not JSON', make({}, {}, { payload: 'x' })],
    ['padding', `${make()}=`],
    ['four parts', `${make()}.x`],
    ['no signature', make().replace(/[^.]*$/, '')],
    ['50 KiB', `${make()}${'A'.repeat(50 * 1024)}`],
  ];
  test.each(cases)('%s', (_, compact) => {
    expect(() => parseRestriction(compact)).toThrow(RestrictionError);
  });
});

describe('does not verify', () => {
  test('changed after it was signed', async () => {
    const [head, , signature] = make().split('.');
    const changed = Buffer.from(canonicalize({ ...claims, target: { agent: 'did:key:z6Mkother' } }) ?? '').toString('base64url');
    expect(await verifies(`${head}.${changed}.${signature}`)).toBeUndefined();
  });

  test('by someone else in the name of the operator', async () => {
    expect(await verifies(make({}, {}, { signer: keyOf('stranger') }))).toBeUndefined();
  });

  test('with an algorithm that is not the key’s', async () => {
    expect(await verifies(make({}, { alg: 'ES256' }))).toBeUndefined();
  });

  test('with a kid that names no key', async () => {
    expect(await verifies(make({}, { kid: `${claims.by}#other` }))).toBeUndefined();
  });

  test('with a DID that is not known', async () => {
    const by = 'did:example:1';
    expect(await verifies(make({ by }, { kid: `${by}#1` }))).toBeUndefined();
  });
});

describe('keys of an author whose document changes', () => {
  const by = 'did:test:operator';
  const kid = `${by}#key-1`;
  const method = (expires?: number) => ({ id: kid, key: operator.publicKey, purposes: ['assertionMethod'], expires }) as const;
  const made = make({ by }, { kid });

  function keysFor(methods: readonly ReturnType<typeof method>[], former?: { from: number; until: number }, fails = false) {
    let read = 0;
    const resolver = new Resolver({
      sources: {
        test: async () => {
          if (fails) throw new UnavailableDid('down');
          return { document: { did: by, controller: [], verificationMethods: methods, versionId: '2-x' }, ttlSeconds: undefined };
        },
      },
      ttlSeconds: 60,
      maxStaleSeconds: 0,
      cacheEntries: 10,
      monotonic: () => 0,
      onRefreshError: () => {},
    });
    const formerKeys =
      former &&
      (async () => {
        read++;
        return [{ method: method(), ...former }];
      });
    return { keys: makeSignerKeys({ resolver, formerKeys, clockSkewMillis: 1000 }), read: () => read };
  }
  const verifiesWith = async (made_: ReturnType<typeof keysFor>, moment = AT * 1000) =>
    (await verifyRestriction(parseRestriction(made), made_.keys, moment)) !== undefined;

  test('a current key verifies; one that expired before, by more than clocks differ, does not', async () => {
    expect(await verifiesWith(keysFor([method()]))).toBe(true);
    expect(await verifiesWith(keysFor([method(AT * 1000 - 999)]))).toBe(true);
    expect(await verifiesWith(keysFor([method(AT * 1000 - 1000)]))).toBe(false);
  });

  test('a key that was rotated out verifies for its own time alone, give or take what clocks differ, and the history is read once', async () => {
    const made_ = keysFor([], { from: AT * 1000 - 5000, until: AT * 1000 + 5000 });
    expect(await verifiesWith(made_)).toBe(true);
    expect(await verifiesWith(made_, AT * 1000 + 5999)).toBe(true);
    expect(await verifiesWith(made_, AT * 1000 + 6000)).toBe(false);
    expect(await verifiesWith(made_, AT * 1000 - 6000)).toBe(true);
    expect(await verifiesWith(made_, AT * 1000 - 6001)).toBe(false);
    expect(made_.read()).toBe(1);
    expect(await verifiesWith(keysFor([]))).toBe(false);
  });

  test('a document that cannot be had is no conclusion', async () => {
    await expect(verifiesWith(keysFor([], undefined, true))).rejects.toThrow(UnavailableDid);
  });
});

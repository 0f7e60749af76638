// The closed, canonical form of a link, and what is minted in it (profile section 3).

import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { compactVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { findChainFault, readChainForm } from '../../src/token/chain-form.ts';
import { parseLinkToken } from '../../src/token/link-token.ts';
import { type LinkGrant, mintLink } from '../../src/token/mint-link.ts';
import { TokenError } from '../../src/token/token-form.ts';
import { keyOf } from '../keys.ts';
import { type Claims, linkBelow, merged, signToken } from '../link.ts';

const details = { type: 'llm_access' as const, actions: ['chat' as const, 'embed' as const], models: ['openai/gpt-5*'] };
const rootClaims = {
  iss: 'did:key:z6MkOperator',
  sub: 'did:key:z6MkOperator',
  client_id: 'did:key:z6MkAgent',
  aud: ['gateway.example', 'second.example'],
  iat: 1_767_225_600,
  exp: 1_767_312_000,
  jti: 'AAAAAAAAAAAAAAAAAAAAAA',
  cnf: { jwk: { ...keyOf('agent').publicKey.jwk, alg: 'Ed25519' } },
  del_depth: 0,
  del_max_depth: 3,
  authorization_details: [details],
};
const kid = 'did:key:z6MkOperator#key';
const root = {
  compact: signToken({ alg: 'Ed25519', typ: 'agent-cap+jwt', kid }, JSON.stringify(rootClaims), keyOf('operator')),
  claims: rootClaims,
  key: keyOf('agent'),
};
const good = linkBelow(root, { key: keyOf('session') });
const header = { alg: 'Ed25519', typ: 'agent-cap+jwt' };
const sign = (payload: string, changes: Claims = {}) => signToken(merged(header, changes), payload, root.key);
const withClaims = (changes: Claims) => sign(String(canonicalize(merged(good.claims, changes))));

test('a link in form is read', () => {
  const link = parseLinkToken(good.compact);
  expect(link).toMatchObject({ header, untrustedClaims: good.claims, algorithm: 'Ed25519' });
  expect(link.untrustedKey.jkt).toBe(keyOf('session').publicKey.jkt);
  expect(link.untrustedJkt).toBe(link.untrustedKey.jkt);
});

test.each(['kid', 'use', 'key_ops', 'ext'])('a public JWK may say %s', (name) => {
  const said = { kid: 'a', use: 'sig', key_ops: ['verify'], ext: true }[name];
  const cnf = { jwk: { ...keyOf('session').publicKey.jwk, alg: 'Ed25519', [name]: said } };
  expect(parseLinkToken(withClaims({ cnf })).untrustedJkt).toBe(keyOf('session').publicKey.jkt);
});

describe('refused', () => {
  test.each(Object.keys(good.claims))('without "%s"', (name) => {
    expect(() => parseLinkToken(withClaims({ [name]: null }))).toThrow(`claim "${name}`);
  });

  test.each(['nbf', 'scope', 'act', 'may_act', 'kid', 'ISS', 'constructor', 'del_hash'])('with a claim "%s"', (name) => {
    expect(() => parseLinkToken(withClaims({ [name]: 1 }))).toThrow(`claim "${name}" is not known`);
  });

  test.each(['crit', 'jku', 'jwk', 'x5u', 'x5c', 'b64', 'cty', 'zip'])('with "%s" in the header', (name) => {
    expect(() => parseLinkToken(sign(String(canonicalize(good.claims)), { [name]: [] }))).toThrow(
      `header "${name}" is not known`,
    );
  });

  test.each<[string, unknown]>([
    ['iss', 'did:key:z6MkOperator'],
    ['iss', keyOf('agent').publicKey.jkt],
    ['iss', `urn:ietf:params:oauth:jwk-thumbprint:sha-512:${keyOf('agent').publicKey.jkt}`],
    ['iss', `URN:ietf:params:oauth:jwk-thumbprint:sha-256:${keyOf('agent').publicKey.jkt}`],
    ['iss', `${String(good.claims.iss)}=`],
    ['del_depth', 0],
    ['del_depth', 6],
    ['del_max_depth', 6],
    ['par_hash', 'AAAA'],
    ['par_hash', null],
    ['aud', []],
    ['sid', 'a b'],
    ['authorization_details', [details, details]],
    ['authorization_details', [{ ...details, images: 1 }]],
    ['cnf', { jwk: { ...keyOf('session').publicKey.jwk, alg: 'Ed25519', d: 'AAAA' } }],
    ['cnf', { jwk: { ...keyOf('session').publicKey.jwk, alg: 'Ed25519', nested: [[[]]] } }],
    ['cnf', { jwk: { ...keyOf('session').publicKey.jwk, alg: 'ES256' } }],
    ['cnf', { jwk: keyOf('session').publicKey.jwk, jkt: 'x' }],
  ])('with "%s" of %j', (name, value) => {
    expect(() => parseLinkToken(withClaims({ [name]: value }))).toThrow(name === 'cnf' ? 'cnf' : `claim "${name}`);
  });

  const canonical = String(canonicalize(good.claims));
  test.each([
    ['members in another order', JSON.stringify(good.claims)],
    ['a blank', canonical.replace(',', ', ')],
    ['a line end', `${canonical}\n`],
    ['a fraction of zero', canonical.replace(/"iat":(\d+)/, '"iat":$1.0')],
    ['an exponent', canonical.replace(/"iat":(\d+)/, '"iat":$1e0')],
    ['an escape', canonical.replace('did:key', '\\u0064id:key')],
    ['an escaped slash', canonical.replace('openai/', 'openai\\/')],
    ['an escaped member name', canonical.replace('"jti"', '"\\u006ati"')],
    ['a lone surrogate', canonical.replace('openai/gpt', 'openai/\\ud800gpt')],
    ['minus zero', canonical.replace(/"iat":\d+/, '"iat":-0')],
  ])('in another spelling: %s', (_, payload) => {
    expect(payload).not.toBe(canonical);
    expect(() => parseLinkToken(sign(payload))).toThrow('canonical form');
  });

  test('any text is read or refused, never anything else', () => {
    const [head = '', body = '', signature = ''] = good.compact.split('.');
    const pieces = fc.constantFrom(head, body, signature, '.', 'AAAA', '=', Buffer.from('{}').toString('base64url'), '\u0000');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((all) => all.join('')),
        ),
        (text) => {
          try {
            parseLinkToken(text);
          } catch (error) {
            expect(error).toBeInstanceOf(TokenError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

const NOW = 1_767_225_700;
function grant(changes: Partial<LinkGrant> = {}): LinkGrant {
  return {
    parent: root.compact,
    parentKey: root.key,
    agent: rootClaims.client_id,
    key: keyOf('session').publicKey,
    algorithm: 'Ed25519',
    details,
    issuedAt: NOW,
    lifetimeSeconds: 3600,
    ...changes,
  } as LinkGrant;
}

describe('minted', () => {
  test('an independent JOSE implementation verifies it under the key of its parent', async () => {
    const link = await mintLink(grant());
    const { payload, protectedHeader } = await compactVerify(link, root.key.publicKey.keyObject);
    expect(protectedHeader).toEqual(header);
    const claims = JSON.parse(Buffer.from(payload).toString()) as Claims;
    expect(canonicalize(claims)).toBe(Buffer.from(payload).toString());
    expect(claims).toMatchObject({
      iss: good.claims.iss,
      sub: rootClaims.sub,
      aud: rootClaims.aud,
      iat: NOW,
      exp: NOW + 3600,
      del_depth: 1,
      del_max_depth: 3,
      par_hash: good.claims.par_hash,
    });
    expect(claims).not.toHaveProperty('sid');
    expect(JSON.stringify(claims)).not.toContain('"d":');
  });

  test('a chain on keys of every type holds edge by edge, and takes over what is not said', async () => {
    const tokens: [string, ...string[]] = [root.compact];
    let parentKey = root.key;
    for (const [at, algorithm] of (['ES256', 'PS256', 'Ed25519'] as const).entries()) {
      const next = keyOf(`key ${at}`, algorithm);
      const said = at === 0 ? { sid: 's-1', audience: ['gateway.example'] } : { maxDepth: 3 };
      tokens.push(await mintLink(grant({ parent: tokens.at(-1) ?? '', parentKey, key: next.publicKey, algorithm, ...said })));
      parentKey = next;
    }
    const chain = readChainForm(tokens);
    expect(findChainFault(chain)).toBeUndefined();
    expect(chain.map(({ untrustedClaims: { sid, aud, del_depth } }) => [sid, aud, del_depth])).toEqual([
      [undefined, rootClaims.aud, 0],
      ['s-1', 'gateway.example', 1],
      ['s-1', 'gateway.example', 2],
      ['s-1', 'gateway.example', 3],
    ]);
  });

  test('it ends with its parent, and does not begin before it', async () => {
    const { iat, exp } = parseLinkToken(
      await mintLink(grant({ issuedAt: rootClaims.iat - 5, lifetimeSeconds: 1e6 })),
    ).untrustedClaims;
    expect([iat, exp]).toEqual([rootClaims.iat, rootClaims.exp]);
  });

  test.each<[string, object, RegExp]>([
    ['with more actions', { details: { ...details, actions: ['chat', 'image'] } }, /more than the token above it .*actions/],
    ['with more models', { details: { ...details, models: ['openai/*'] } }, /models/],
    ['with details that no gateway knows', { details: { ...details, images: 1 } }, /images/],
    ['for another gateway', { audience: ['third.example'] }, /\(aud\)/],
    ['for no gateway', { audience: [] }, /aud/],
    ['beyond its parent', { expires: rootClaims.exp + 1 }, /outlives/],
    ['already over', { expires: NOW }, /no time to live/],
    ['deeper than its parent allows', { maxDepth: 4 }, /del_max_depth/],
    ['deeper than it may be itself', { maxDepth: 0 }, /del_max_depth/],
    ['with another key than the parent’s', { parentKey: keyOf('stranger') }, /not the one that the parent is bound to/],
    ['for an agent that is no DID', { agent: 'agent' }, /client_id/],
    ['for an algorithm that the key is not for', { algorithm: 'ES256' }, /alg/],
    ['below what is no token', { parent: 'a.b.c' }, /neither a root .* nor a link/],
  ])('not %s', async (_, changes, why) => {
    await expect(mintLink(grant(changes))).rejects.toThrow(why);
  });

  test('nor in another session or task than its parent', async () => {
    const parent = await mintLink(grant({ sid: 's-1', task: 't-1' }));
    const below = { parent, parentKey: keyOf('session') };
    await expect(mintLink(grant({ ...below, sid: 's-2' }))).rejects.toThrow(/leaves the session/);
    await expect(mintLink(grant({ ...below, task: 't-2' }))).rejects.toThrow(/leaves the task/);
    expect(parseLinkToken(await mintLink(grant(below))).untrustedClaims).toMatchObject({ sid: 's-1', task: 't-1' });
  });
});

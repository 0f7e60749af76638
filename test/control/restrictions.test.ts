// Restrictions over the real control API: who may post, what is kept and fed, and when everyone has it.

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generatePrivateKey, type PrivateKey } from '../../src/crypto/private-key.ts';
import { nextHead } from '../../src/restrictions/feed-head.ts';
import { type RestrictionStatement, signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { issueRootToken } from '../../src/token/issue-root.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { keyOf } from '../keys.ts';
import { Operator } from './operator.ts';
import { startVault, type World } from './vault-world.ts';

const acme = new Operator('acme');
const administrator = keyOf('administrator');
const administratorDid = didKeyOf(administrator.publicKey);
let world: World;

beforeAll(async () => {
  world = await startVault({ operators: [acme], configuration: { administrators: [administratorDid] } });
  expect((await world.register(acme, acme.log)).status).toBe(201);
});
afterAll(() => world.stop());

const seconds = () => Math.floor(Date.now() / 1000);
const newId = () => randomBytes(16).toString('base64url');
const statement = (changes: Partial<RestrictionStatement> = {}): RestrictionStatement =>
  ({
    effect: 'revoke',
    target: { kind: 'agent', value: 'did:key:z6Mkagent' },
    at: Math.floor(Date.now() / 1000),
    reason: 'test',
    id: newId(),
    ...changes,
  }) as RestrictionStatement;
const byAcme = (changes?: Partial<RestrictionStatement>, key: PrivateKey = acme.key) =>
  signRestriction(statement(changes), { key, keyId: acme.keyid });
const kidOf = (key: PrivateKey) => resolveSelfDescribing(didKeyOf(key.publicKey)).verificationMethods[0]?.id ?? '';
const narrowing: Partial<RestrictionStatement> = { effect: 'narrow', details: { type: 'llm_access', actions: ['chat'] } };

const post = (restriction: string, chain?: string[]) =>
  world.ask({
    method: 'POST',
    path: '/v1/restrictions',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ restriction, ...(chain && { chain }) }),
  });
const feed = (query: Record<string, string | number>) => {
  const text = Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]));
  return world.ask(`/v1/restrictions/feed?${new URLSearchParams(text)}`);
};

describe('posting', () => {
  test('an operator and an administrator may; what they post is kept under the next number, and found', async () => {
    const before = world.restrictions.lastSequence();
    const id = newId();
    const first = await post(byAcme({ id }));
    expect(first).toMatchObject({
      status: 201,
      body: { id, sequence: before + 1 },
      headers: { location: `/v1/restrictions/${id}` },
    });
    const second = await post(signRestriction(statement(), { key: administrator, keyId: kidOf(administrator) }));
    expect(second).toMatchObject({ status: 201, body: { sequence: before + 2 } });
    const found = await world.ask(`/v1/restrictions/${id}`);
    expect(found.body).toMatchObject({
      id,
      sequence: before + 1,
      effect: 'revoke',
      by: acme.did,
      target: { agent: 'did:key:z6Mkagent' },
    });
    expect(world.restrictions.read(before + 1)?.compact).toBe(found.body.restriction);
    expect((await world.ask(`/v1/restrictions/${newId()}`)).status).toBe(404);
  });

  test('from before its key was, or after now, is refused: it would not verify once the key is rotated out', async () => {
    const before = world.restrictions.lastSequence();
    // The operator's log begins ten minutes ago.
    for (const at of [1, seconds() - 660, seconds() + 60]) {
      const { status, body } = await post(byAcme({ at }));
      expect([status, body.errors]).toMatchObject([422, [{ field: 'restriction.at' }]]);
    }
    expect(world.restrictions.lastSequence()).toBe(before);
    for (const at of [seconds() - 590, seconds() - 620, seconds() + 20]) expect((await post(byAcme({ at }))).status).toBe(201);
    // A key that is the DID itself has no time.
    const old = signRestriction(statement({ at: 1 }), { key: administrator, keyId: kidOf(administrator) });
    expect((await post(old)).status).toBe(201);
  });

  test('again changes nothing, and another one under its id is refused', async () => {
    const id = newId();
    const restriction = byAcme({ id });
    const first = await post(restriction);
    const last = world.restrictions.lastSequence();
    expect(await post(restriction)).toMatchObject({ status: 201, body: first.body, headers: { 'idempotency-replayed': 'true' } });
    expect(await post(byAcme({ id, reason: 'other' }))).toMatchObject({ status: 422 });
    expect(world.restrictions.lastSequence()).toBe(last);
  });

  test('nobody else may: the log cannot be filled by strangers', async () => {
    const last = world.restrictions.lastSequence();
    const stranger = keyOf('stranger');
    expect(await post(signRestriction(statement(), { key: stranger, keyId: kidOf(stranger) }))).toMatchObject({ status: 403 });
    expect(await post(signRestriction(statement(), { key: stranger, keyId: undefined }))).toMatchObject({ status: 403 });
    expect(await post(byAcme({}, stranger))).toMatchObject({ status: 401 });
    const [head, payload] = byAcme().split('.');
    expect(await post(`${head}.${payload}.${byAcme().split('.')[2]}`)).toMatchObject({ status: 401 });
    expect(world.restrictions.lastSequence()).toBe(last);
  });

  test.each([
    ['of another operator', () => byAcme({ target: { kind: 'operator', value: 'did:web:other.example' } }), 'restriction.target'],
    ['from the future', () => byAcme({ at: Math.floor(Date.now() / 1000) + 3600 }), 'restriction.at'],
    ['that lifts what is not there', () => byAcme({ effect: 'lift', lifts: newId() } as never), 'restriction.lifts'],
    ['in another form', () => byAcme().replace(/\..*\./, '.e30.'), 'restriction'],
  ])('one %s is refused with what is wrong', async (_, make, field) => {
    expect(await post(make())).toMatchObject({ status: 422, body: { errors: [{ field }] } });
  });

  test('a narrowing can be lifted, a revocation cannot', async () => {
    const [revoked, narrowed] = [newId(), newId()];
    await post(byAcme({ id: revoked }));
    await post(byAcme({ id: narrowed, ...narrowing }));
    expect(await post(byAcme({ effect: 'lift', lifts: revoked } as never))).toMatchObject({ status: 422 });
    expect(await post(byAcme({ effect: 'lift', lifts: narrowed, target: { kind: 'task', value: 't' } } as never))).toMatchObject({
      status: 422,
    });
    expect(await post(byAcme({ effect: 'lift', lifts: narrowed } as never))).toMatchObject({ status: 201 });
    const { body } = await world.ask('/v1/restrictions?limit=200');
    expect(body.items.at(-1)).toMatchObject({ effect: 'lift', lifts: narrowed });
    expect(body.items.find(({ id }: { id: string }) => id === narrowed)).toMatchObject({ details: { actions: ['chat'] } });
  });

  test('a narrowing is lifted by who stands as high as its author, and by nobody below', async () => {
    const byAdministrator = (changes: Partial<RestrictionStatement>) =>
      signRestriction(statement(changes), { key: administrator, keyId: kidOf(administrator) });
    const [theirs, own] = [newId(), newId()];
    expect((await post(byAdministrator({ id: theirs, ...narrowing }))).status).toBe(201);
    expect((await post(byAcme({ id: own, ...narrowing }))).status).toBe(201);
    expect(await post(byAcme({ effect: 'lift', lifts: theirs } as never))).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'restriction.lifts' }] },
    });
    expect((await post(byAdministrator({ effect: 'lift', lifts: own } as never))).status).toBe(201);
    expect((await post(byAdministrator({ effect: 'lift', lifts: theirs } as never))).status).toBe(201);
  });

  test('the key of an issuer may, with a chain that binds it under an operator of this vault', async () => {
    const agentKey = generatePrivateKey('Ed25519');
    const root = (operatorKey: PrivateKey, operatorKeyId = acme.keyid, maxDepth = 2) =>
      issueRootToken({
        operatorKey,
        operator: operatorKeyId.split('#')[0] ?? '',
        operatorKeyId,
        agent: didKeyOf(agentKey.publicKey),
        agentKey: agentKey.publicKey,
        agentAlgorithm: 'Ed25519',
        audience: ['gateway.example'],
        details: { type: 'llm_access', actions: ['chat'] },
        issuedAt: Math.floor(Date.now() / 1000),
        lifetimeSeconds: 3600,
        maxDepth,
      });
    const token = { kind: 'token', value: 'AAAAAAAAAAAAAAAAAAAAAA' } as const;
    const restriction = () => signRestriction(statement({ target: token }), { key: agentKey, keyId: undefined });
    expect(await post(restriction(), [await root(acme.key)])).toMatchObject({ status: 201 });
    expect(await post(restriction(), [await root(keyOf('stranger'))])).toMatchObject({ status: 403 });
    expect(await post(restriction(), [await root(keyOf('stranger'), kidOf(keyOf('stranger')))])).toMatchObject({ status: 403 });
    expect(await post(restriction(), ['x.y.z'])).toMatchObject({ status: 403 });
    const other = generatePrivateKey('Ed25519');
    const byOther = signRestriction(statement({ target: token }), { key: other, keyId: undefined });
    expect(await post(byOther, [await root(acme.key)])).toMatchObject({ status: 403 });
    const operator = { kind: 'operator', value: acme.did } as const;
    const above = signRestriction(statement({ target: operator }), { key: agentKey, keyId: undefined });
    expect(await post(above, [await root(acme.key)])).toMatchObject({ status: 422 });
    // Its own key and the token that binds it are not below it, and below a chain that can go no deeper there is nothing.
    const own = await root(acme.key);
    const jti = JSON.parse(Buffer.from(own.split('.')[1] ?? '', 'base64url').toString()).jti;
    for (const target of [
      { kind: 'key', value: agentKey.publicKey.jkt },
      { kind: 'token', value: jti },
    ] as const) {
      const useless = signRestriction(statement({ target }), { key: agentKey, keyId: undefined });
      expect(await post(useless, [own])).toMatchObject({ status: 422, body: { errors: [{ field: 'restriction.target' }] } });
    }
    expect(await post(restriction(), [await root(acme.key, acme.keyid, 0)])).toMatchObject({ status: 403 });
    // So many a minute and no more, by whichever key; revocations have room beside narrowings.
    const narrow = () => signRestriction(statement({ target: token, ...narrowing }), { key: agentKey, keyId: undefined });
    const answers = [];
    for (let at = 0; at < 62; at++) answers.push(await post(narrow(), [own]));
    expect(answers.filter(({ status }) => status === 201).length).toBeLessThan(62);
    expect(answers.at(-1)).toMatchObject({ status: 429, headers: { 'retry-after': expect.stringMatching(/^\d+$/) } });
    expect((await post(restriction(), [own])).status).toBe(201);
  });

  test('a body in another form is refused', async () => {
    const ask = (body: string, type = 'application/json') =>
      world.ask({ method: 'POST', path: '/v1/restrictions', headers: { 'content-type': type }, body });
    expect((await ask('{"restriction":1}')).status).toBe(422);
    expect((await ask('{"restriction":"x","more":1}')).status).toBe(422);
    expect((await ask('{"restriction":"x","restriction":"y"}')).status).toBe(400);
    expect((await ask('x', 'text/plain')).status).toBe(415);
  });
});

test('the list goes page by page', async () => {
  const last = world.restrictions.lastSequence();
  const seen: number[] = [];
  for (let after: number | undefined = 0; after !== undefined; ) {
    const { body } = await world.ask(`/v1/restrictions?after=${after}&limit=3`);
    seen.push(...body.items.map(({ sequence }: { sequence: number }) => sequence));
    after = body.next;
  }
  expect(seen).toEqual(Array.from({ length: last }, (_, at) => at + 1));
  expect((await world.ask('/v1/restrictions?limit=0')).status).toBe(400);
});

describe('the feed', () => {
  test('tells the epoch first, then everything, with a head that follows', async () => {
    const first = (await feed({})).body;
    expect(first).toMatchObject({ epoch: world.restrictions.epoch, restrictions: [], head: '' });
    const { body } = await feed({ epoch: first.epoch });
    expect(body.restrictions).toHaveLength(body.last);
    const texts = body.restrictions.map(({ restriction }: { restriction: string }) => restriction);
    expect(body.head).toBe(texts.reduce((head: string, text: string) => nextHead(head, text), ''));
    const rest = (await feed({ epoch: first.epoch, after: body.last - 1 })).body;
    expect(rest).toMatchObject({ restrictions: body.restrictions.slice(-1), head: body.head });
    expect((await feed({ epoch: 'other', after: 1 })).body).toMatchObject({ restrictions: [], epoch: first.epoch });
    // One that is ahead of the vault is told so.
    expect((await feed({ epoch: first.epoch, after: body.last + 5, wait: 5 })).body).toMatchObject({
      last: body.last,
      restrictions: [],
    });
  });

  test('holds its answer back until there is news, and no longer', async () => {
    const { epoch } = world.restrictions;
    const after = world.restrictions.lastSequence();
    const waiting = feed({ epoch, after, wait: 20 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const at = performance.now();
    await post(byAcme());
    const { body } = await waiting;
    expect(performance.now() - at).toBeLessThan(2000);
    expect(body.restrictions).toHaveLength(1);
    expect(body.waited).toBeGreaterThan(20);
    const quiet = await feed({ epoch, after: after + 1, wait: 1 });
    expect(quiet.body.restrictions).toEqual([]);
    expect(quiet.body.waited).toBeGreaterThanOrEqual(950);
  });
});

describe('acknowledgement', () => {
  const acknowledged = (sequence: number, wait = 0) => world.ask(`/v1/restrictions/${sequence}/acknowledged?wait=${wait}`);

  test('comes when every live gateway has it, and names those that have not', async () => {
    const { epoch } = world.restrictions;
    const [one, other] = [newId(), newId()];
    const sequence = (await post(byAcme())).body.sequence;
    expect((await acknowledged(sequence)).body).toEqual({ sequence, acknowledged: true, followers: 0, missing: [] });
    await feed({ epoch, after: sequence, follower: one, applied: sequence, bound: 5 });
    await feed({ epoch, after: sequence - 1, follower: other, applied: sequence - 1, bound: 5 });
    const { body } = await acknowledged(sequence);
    expect(body).toMatchObject({ acknowledged: false, followers: 2, missing: [expect.stringMatching(/^[\w-]{12}$/)] });
    // Whoever sees the name cannot speak for the gateway.
    expect(body.missing).not.toContain(other);
    const waiting = acknowledged(sequence, 10);
    const at = performance.now();
    await feed({ epoch, after: sequence, follower: other, applied: sequence, bound: 5 });
    expect((await waiting).body).toMatchObject({ acknowledged: true, followers: 2 });
    expect(performance.now() - at).toBeLessThan(2000);
  });

  test('is not held up by one that is gone, and is by one that may still allow', async () => {
    const { epoch } = world.restrictions;
    const sequence = (await post(byAcme())).body.sequence;
    await feed({ epoch, follower: newId(), applied: 0, bound: 5 });
    await feed({ epoch, follower: newId(), applied: 0, bound: 60 });
    expect((await acknowledged(sequence)).body.missing.length).toBeGreaterThanOrEqual(2);
    world.pass(6000);
    expect((await acknowledged(sequence)).body).toMatchObject({
      acknowledged: false,
      followers: 1,
      missing: [expect.anything()],
    });
    world.pass(60_000);
    expect((await acknowledged(sequence)).body).toMatchObject({ acknowledged: true, followers: 0 });
  });

  test('counts a gateway in this process', async () => {
    let applied = 0;
    const leave = world.followers.addLocal('this process', () => applied);
    const sequence = (await post(byAcme())).body.sequence;
    expect((await acknowledged(sequence)).body).toMatchObject({ acknowledged: false, missing: ['this process'] });
    applied = sequence;
    expect((await acknowledged(sequence)).body).toMatchObject({ acknowledged: true, followers: 1 });
    leave();
  });

  test('of what is not there is not to be had', async () => {
    expect((await acknowledged(world.restrictions.lastSequence() + 1)).status).toBe(404);
    expect((await acknowledged(0)).status).toBe(400);
  });
});

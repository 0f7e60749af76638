// Sessions and trees over the real control API: who may read, what they see, and that nobody else learns anything.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sighted } from '../../src/sightings/judge-link.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { keyOf } from '../keys.ts';
import { link, makeSeenWorld, type SeenWorld } from '../sightings/seen.ts';
import { Operator, type SignatureChanges } from './operator.ts';
import { startVault, type World } from './vault-world.ts';

const acme = new Operator('acme');
const beta = new Operator('beta');
const administrator = keyOf('administrator');
const administratorDid = didKeyOf(administrator.publicKey);
const NAMES = ['@method', '@authority', '@path', '@query'];
const exp = Math.floor(Date.now() / 1000) + 3600;
let world: World;
let seen: SeenWorld;
let shown: Sighted | undefined;

beforeAll(async () => {
  seen = makeSeenWorld();
  shown = seen.sighted;
  world = await startVault({
    operators: [acme, beta],
    configuration: { administrators: [administratorDid] },
    sightings: () => shown,
  });
  for (const operator of [acme, beta]) {
    expect((await world.register(operator, operator.log)).status).toBe(201);
    const root = link(undefined, { operator: operator.did, exp });
    const session = link(root, { sid: `sid/${operator.did.slice(-4)}?&%2F`, exp: exp - 5 });
    const twin = link(root, { sid: 'twin', exp: exp - 10 });
    seen.see(root, session, link(session, { task: 'invoice-17' }), link(session, { agent: 'did:key:zSub' }), twin);
  }
});
afterAll(async () => {
  await world.stop();
  seen.close();
});

function get(path: string, operator: Operator, changes: SignatureChanges = {}) {
  const { host, signature = '', ...headers } = operator.sign(path, '', { method: 'GET', covered: NAMES, ...changes });
  return world.ask({ path, headers: { host: host ?? '', signature, 'signature-input': headers['signature-input'] ?? '' } });
}
const asAdministrator = (path: string) => {
  const keyid = resolveSelfDescribing(administratorDid).verificationMethods[0]?.id ?? '';
  return get(path, acme, { key: administrator, keyid });
};
const sidOf = ({ did }: Operator) => `sid/${did.slice(-4)}?&%2F`;
const sids = ({ body }: { body: { items: { sid: string }[] } }) => body.items.map(({ sid }) => sid);
const treeOf = (kind: string, id: string, more = '') => `/v1/tree?${new URLSearchParams({ kind, id })}${more}`;

describe('an operator', () => {
  test('sees its own sessions, and those of nobody else', async () => {
    const answer = await get('/v1/sessions', acme);
    expect(answer.status, world.logged.at(-1)).toBe(200);
    expect(sids(answer)).toEqual([sidOf(acme), 'twin']);
    expect(answer.body.items[0]).toMatchObject({ operator: acme.did, tasks: 1, delegations: 1, state: 'live', narrowedBy: [] });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(sids(await get('/v1/sessions', beta))).toEqual([sidOf(beta), 'twin']);
    expect(sids(await get(`/v1/sessions?operator=${encodeURIComponent(beta.did)}`, acme))).toEqual([]);
  });

  test('gets them page by page', async () => {
    const first = await get('/v1/sessions?limit=1', acme);
    expect(sids(first)).toEqual([sidOf(acme)]);
    const second = await get(`/v1/sessions?limit=1&cursor=${first.body.next}`, acme);
    expect([sids(second), second.body.next]).toEqual([['twin'], undefined]);
    for (const cursor of ['x', Buffer.from('["sessions","0"]').toString('base64url')])
      expect(await get(`/v1/sessions?cursor=${cursor}`, acme)).toMatchObject({ status: 400 });
  });

  test('sees one session with what is above and below it, and that of another as if it were not there', async () => {
    const { status, body } = await get(`/v1/sessions/${encodeURIComponent(sidOf(acme))}`, acme);
    expect([status, body.sid, body.sessions.length, body.links.length]).toEqual([200, sidOf(acme), 1, 4]);
    const path = `/v1/sessions/${encodeURIComponent(sidOf(beta))}`;
    const [theirs, none] = [await get(path, acme), await get('/v1/sessions/never-seen', acme)];
    expect(theirs).toMatchObject({ status: 404, body: { type: 'urn:hermesbridge:control:session-not-seen' } });
    expect({ ...theirs.body, instance: '' }).toEqual({ ...none.body, instance: '' });
    expect((await get('/v1/sessions/twin', acme)).body.sessions).toHaveLength(1);
  });

  test.each([
    ['agent', 'did:key:zSub'],
    ['session', 'twin'],
    ['task', 'invoice-17'],
    ['operator', beta.did],
  ])('sees nothing of another one’s in the tree of %s', async (kind, id) => {
    const { status, body } = await get(treeOf(kind, id), acme);
    expect(status).toBe(200);
    expect(new Set(body.links.map(({ operator }: { operator: string }) => operator))).toEqual(
      new Set(kind === 'operator' ? [] : [acme.did]),
    );
  });

  test('sees why something is not in force', async () => {
    const id = seen.restrict({ by: acme.did, target: { kind: 'task', value: 'invoice-17' }, reason: 'paid' });
    const { body } = await get(treeOf('task', 'invoice-17'), acme);
    expect(body.links.at(-1)).toMatchObject({ task: 'invoice-17', state: 'revoked', revokedBy: id });
    expect(body.restrictions).toMatchObject([{ id, by: acme.did, reason: 'paid' }]);
    expect((await get(treeOf('task', 'invoice-17', '&live=true'), acme)).body.links).toHaveLength(2);
    expect((await get(treeOf('task', 'invoice-17'), beta)).body.restrictions).toEqual([]);
  });
});

describe('an administrator', () => {
  test('sees all, or those of one operator', async () => {
    expect(sids(await asAdministrator('/v1/sessions'))).toHaveLength(4);
    expect(sids(await asAdministrator(`/v1/sessions?operator=${encodeURIComponent(beta.did)}`))).toEqual([sidOf(beta), 'twin']);
    expect((await asAdministrator('/v1/sessions/twin')).body.sessions).toHaveLength(2);
  });
});

describe('nobody else', () => {
  const path = '/v1/sessions';
  const stranger = new Operator('stranger');

  test('learns anything', async () => {
    for (const every of [path, '/v1/sessions/twin', treeOf('session', 'twin')]) {
      expect(await world.ask(every)).toMatchObject({ status: 401, body: { type: 'urn:hermesbridge:control:signature-missing' } });
      expect(await get(every, stranger)).toMatchObject({ status: 401 });
    }
    const key = keyOf('somebody');
    const keyid = resolveSelfDescribing(didKeyOf(key.publicKey)).verificationMethods[0]?.id ?? '';
    expect(await get(path, acme, { key, keyid })).toMatchObject({ status: 401 });
    expect(await get(path, acme, { key })).toMatchObject({ status: 401 });
  });

  test('has a use for a signature that was overheard, of this or another read, or of a write', async () => {
    const nonce = 'AAAAAAAAAAAAAAAAAAAAAAAA';
    expect(await get(path, acme, { nonce })).toMatchObject({ status: 200 });
    expect(await get(path, acme, { nonce })).toMatchObject({
      status: 401,
      body: { type: 'urn:hermesbridge:control:nonce-replayed' },
    });
    const signed = acme.sign('/v1/sessions?limit=1', '', { method: 'GET', covered: NAMES });
    const taken = { 'signature-input': signed['signature-input'] ?? '', signature: signed.signature ?? '' };
    for (const other of [path, '/v1/sessions?limit=2', '/v1/sessions/twin', treeOf('session', 'twin')])
      expect(await world.ask({ path: other, headers: taken })).toMatchObject({ status: 401 });
    for (const left of NAMES)
      expect(await get(path, acme, { covered: NAMES.filter((name) => name !== left) })).toMatchObject({ status: 401 });
    expect(await get(path, acme, { method: 'POST' })).toMatchObject({ status: 401 });
    expect(await get(path, acme, { authority: 'another.example' })).toMatchObject({ status: 401 });
  });
});

test('what is asked for in the wrong way is refused by name', async () => {
  for (const wrong of [
    '/v1/sessions?limit=0',
    '/v1/sessions?colour=red',
    '/v1/tree?kind=user&id=x',
    '/v1/tree?kind=agent',
    treeOf('task', 'a b'),
  ])
    expect(await get(wrong, acme), wrong).toMatchObject({ status: 400, body: { errors: [expect.anything()] } });
});

test('a vault without a gateway says that it has none, and only to those who may ask', async () => {
  shown = undefined;
  expect(await get('/v1/sessions', acme)).toMatchObject({
    status: 404,
    body: { type: 'urn:hermesbridge:control:sightings-off', detail: expect.stringContaining('--store') },
  });
  expect((await world.ask('/v1/sessions')).status).toBe(401);
  shown = {
    ...seen.sighted,
    reader: {
      ...seen.sighted.reader,
      sessions: () => {
        throw new Error('closed');
      },
    },
  };
  expect(await get('/v1/sessions', acme)).toMatchObject({ status: 503 });
  shown = seen.sighted;
});

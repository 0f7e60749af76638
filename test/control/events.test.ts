// Security events pushed to the real control API by identity providers that know nothing but the RFCs, good and bad ones.

import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AcceptEventSettings, Transmitter } from '../../src/events/accept-event.ts';
import { makeEventAuthor } from '../../src/events/event-author.ts';
import { EventRate } from '../../src/events/event-rate.ts';
import { subjectName } from '../../src/events/subject-identifier.ts';
import { TransmitterKeys } from '../../src/events/transmitter-keys.ts';
import { reopenRestriction } from '../../src/restrictions/verify-restriction.ts';
import { CAEP, IdentityProvider, RISC, type Said, SSF } from '../events/identity-provider.ts';
import { keyOf } from '../keys.ts';
import { fresh, Operator } from './operator.ts';
import { startVault, type World } from './vault-world.ts';

const acme = new Operator('acme');
const other = new Operator('other');
const key = keyOf('vault');
const author = makeEventAuthor(key);
const TOKEN = 'token-of-the-transmitter';
const idp = new IdentityProvider('https://idp.test/tenant');
const limited = new IdentityProvider('https://limited.test', 'https://vault.test', 'ES256');
const slow = new IdentityProvider('https://slow.test', 'https://vault.test', 'Ed25519');
const table = { format: 'iss_sub', iss: 'https://idp.test/tenant', sub: 'user1' } as const;
let world: World;
let served: Record<string, () => string>;
let loads = 0;
let now = 0;

function transmitter(of: IdentityProvider, more: Partial<Transmitter> = {}): Omit<Transmitter, 'find'> {
  const load = async () => {
    loads++;
    return Buffer.from(served[of.issuer]?.() ?? of.jwks);
  };
  return {
    issuer: of.issuer,
    audience: 'https://vault.test',
    token: undefined,
    maxAgeSeconds: 3600,
    operators: undefined,
    subjects: new Map(),
    keys: new TransmitterKeys({ load, monotonic: () => performance.now() + now }),
    rate: new EventRate(1000, () => performance.now() + now),
    ...more,
  };
}

let agent: string;
let agentOfOther: string;
beforeAll(async () => {
  await Promise.all([idp, limited, slow].map((one) => one.start()));
  served = {};
  world = await startVault({
    operators: [acme, other],
    key,
    events: ({ vault, restrictions }) => {
      const transmitters = [
        transmitter(idp, {
          token: TOKEN,
          subjects: new Map([
            [subjectName(table), acme.did],
            [subjectName({ format: 'email', email: 'Reader@Acme.test' }), 'did:web:reader.test'],
          ]),
        }),
        transmitter(limited, { operators: [acme.did] }),
        transmitter(slow, { rate: new EventRate(2, () => performance.now() + now) }),
      ];
      const accept: AcceptEventSettings = {
        transmitters: transmitters.map((one) => ({ ...one, find: (did: string) => vault.find(did) })),
        author,
        store: restrictions,
        clock: () => Date.now(),
      };
      return { accept, key, issuer: 'https://vault.test' };
    },
  });
  for (const operator of [acme, other]) expect((await world.register(operator, operator.log)).status).toBe(201);
});
afterAll(() => world.stop());
beforeEach(async () => {
  const register = async (operator: Operator) => {
    const log = operator.agent(fresh('agent'));
    expect((await world.register(operator, log)).status).toBe(201);
    return log.did;
  };
  agent = await register(acme);
  agentOfOther = await register(other);
});

const push = (body: string, headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` }) =>
  world.ask({
    method: 'POST',
    path: '/v1/events',
    headers: { 'content-type': 'application/secevent+jwt', ...headers },
    body,
  });
const send = async (said: Said, from = idp) => push(await from.event(said));
const did = (url: string) => ({ format: 'did', url });
/** What is in the store since. */
const since = (sequence: number) =>
  world.restrictions.after(sequence, 100).map(({ compact }) => {
    const { target, effect, before, by } = reopenRestriction(compact);
    return { [target.kind]: target.value, effect, by, ...(before !== undefined && { before }) };
  });
const seconds = () => Math.floor(Date.now() / 1000);

describe('what has an effect', () => {
  const good = { effect: 'revoke', by: author.did };
  const opaque = (id: string) => ({ format: 'opaque', id });
  const jkt = 'x'.repeat(43);
  const at = seconds() - 60;
  const cases: [string, Said | (() => Said), () => object[]][] = [
    ['account-disabled of an agent', () => ({ subject: did(agent) }), () => [{ agent, ...good }]],
    ['account-purged', () => ({ type: `${RISC}account-purged`, subject: did(agent) }), () => [{ agent, ...good }]],
    ['a name of the table, of an operator', { subject: table }, () => [{ operator: acme.did, ...good }]],
    [
      'a name of the table in other capitals',
      { subject: { format: 'email', email: 'reader@acme.TEST' } },
      () => [{ agent: 'did:web:reader.test', ...good }],
    ],
    [
      'a subject within the event, as before SSF',
      () => ({ payload: { subject: did(agent), reason: 'hijacking' } }),
      () => [{ agent, ...good }],
    ],
    [
      'session-revoked of a session',
      { type: `${CAEP}session-revoked`, subject: opaque('session-7') },
      () => [{ session: 'session-7', ...good }],
    ],
    [
      'session-revoked of an agent: what it was given until then',
      () => ({ type: `${CAEP}session-revoked`, subject: did(agent), payload: { event_timestamp: at } }),
      () => [{ agent, before: at + 1, ...good }],
    ],
    [
      'session-revoked with milliseconds: the token’s own time',
      () => ({
        type: `${CAEP}session-revoked`,
        subject: did(agent),
        payload: { event_timestamp: at * 1000 },
        claims: { iat: at + 5 },
      }),
      () => [{ agent, before: at + 6, ...good }],
    ],
    [
      'session-revoked of a complex subject: both',
      () => ({
        type: `${CAEP}session-revoked`,
        subject: { format: 'complex', user: did(agent), session: opaque('s'), tenant: opaque('t') },
        payload: { event_timestamp: at },
      }),
      () => [
        { agent, before: at + 1, ...good },
        { session: 's', ...good },
      ],
    ],
    [
      'credential-compromise',
      () => ({
        type: `${RISC}credential-compromise`,
        subject: did(agent),
        payload: { credential_type: 'app', event_timestamp: at },
      }),
      () => [{ agent, before: at + 1, ...good }],
    ],
    [
      'credential-change of a key',
      {
        type: `${CAEP}credential-change`,
        subject: { format: 'uri', uri: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${jkt}` },
        payload: { credential_type: 'jwk', change_type: 'revoke' },
      },
      () => [{ key: jkt, ...good }],
    ],
    [
      'credential-change of a task, percent-encoded',
      {
        type: `${CAEP}credential-change`,
        subject: { format: 'uri', uri: 'urn:hermesbridge:task:a%2Fb' },
        payload: { credential_type: 'capability', change_type: 'delete' },
      },
      () => [{ task: 'a/b', ...good }],
    ],
    [
      'aliases',
      () => ({ subject: { format: 'aliases', identifiers: [{ format: 'email', email: 'x@y.test' }, did(agent)] } }),
      () => [{ agent, ...good }],
    ],
  ];
  test.each(cases)('%s', async (_, said, expected) => {
    const before = world.restrictions.lastSequence();
    const event = await idp.event(typeof said === 'function' ? said() : said);
    expect(await push(event)).toMatchObject({ status: 202, text: '' });
    expect(since(before)).toEqual(expected());
    // Again: accepted, and nothing more.
    expect(await push(event)).toMatchObject({ status: 202 });
    expect(since(before)).toHaveLength(expected().length);
  });

  test('a hundred at once are one restriction, and what is in it verifies for whoever holds the vault an administrator', async () => {
    const before = world.restrictions.lastSequence();
    const events = await Promise.all(Array.from({ length: 100 }, () => idp.event({ subject: did(agent) })));
    const answers = await Promise.all(events.map((event) => push(event)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(since(before)).toEqual([{ agent, ...good }]);
    const { restriction } = (await world.ask(`/v1/restrictions?after=${before}`)).body.items[0];
    const [header] = restriction.split('.');
    expect(JSON.parse(Buffer.from(header, 'base64url').toString()).kid.startsWith(`${author.did}#`)).toBe(true);
  });
});

describe('what has none', () => {
  test.each<[string, Said]>([
    [
      'a verification event',
      { type: `${SSF}verification`, subject: { format: 'opaque', id: 'stream' }, payload: { state: 'x' } },
    ],
    ['a stream that was updated', { type: `${SSF}stream-updated`, subject: { format: 'opaque', id: 'stream' } }],
    ['account-enabled: a revocation is for good', { type: `${RISC}account-enabled`, subject: table }],
    [
      'a credential that was created',
      { type: `${CAEP}credential-change`, subject: table, payload: { credential_type: 'x', change_type: 'create' } },
    ],
    ['claims that changed', { type: `${CAEP}token-claims-change`, subject: table, payload: { claims: {} } }],
    ['an event that nobody here knows', { type: 'https://example.test/event', subject: table }],
    ['a subject that nobody here knows', { subject: { format: 'email', email: 'someone@else.test' } }],
    ['a format that nobody here knows', { subject: { format: 'x_500', name: 'x' } }],
    ['a part of a document', { subject: did('did:web:reader.test#key-1') }],
  ])('%s is accepted and changes nothing', async (_, said) => {
    const before = world.restrictions.lastSequence();
    expect(await send(said)).toMatchObject({ status: 202, text: '' });
    expect(since(before)).toEqual([]);
  });
});

describe('what is refused, and changes nothing', () => {
  const victim = () => ({ subject: did(agent) });
  const cases: [string, string, () => Promise<string> | string][] = [
    [
      'an event of an issuer that is not listed',
      'invalid_issuer',
      async () => new IdentityProvider('https://x.test').start().then((x) => x.event(victim())),
    ],
    [
      'an event for another audience',
      'invalid_audience',
      () => idp.event({ ...victim(), claims: { aud: ['https://else.test'] } }),
    ],
    ['none for any audience', 'invalid_request', () => idp.event({ ...victim(), claims: { aud: undefined } })],
    ['one of yesterday', 'invalid_request', () => idp.event({ ...victim(), claims: { iat: seconds() - 3700 } })],
    ['one of tomorrow', 'invalid_request', () => idp.event({ ...victim(), claims: { iat: seconds() + 3600 } })],
    ['one that has run out', 'invalid_request', () => idp.event({ ...victim(), claims: { exp: seconds() - 60 } })],
    ['one without an id', 'invalid_request', () => idp.event({ ...victim(), claims: { jti: undefined } })],
    ['one without a subject', 'invalid_request', () => idp.event({})],
    ['one with two subjects', 'invalid_request', () => idp.event({ ...victim(), payload: { subject: did('did:web:b.test') } })],
    ['a subject that is none', 'invalid_request', () => idp.event({ subject: 'did:web:a.test' })],
    ['no event', 'invalid_request', () => idp.event({ ...victim(), claims: { events: {} } })],
    ['a token of another type', 'invalid_request', () => idp.event({ ...victim(), header: { typ: 'JWT' } })],
    ['a key that the token brings', 'invalid_request', () => idp.event({ ...victim(), header: { jwk: idp.jwk } })],
    [
      'a place of keys that it names',
      'invalid_request',
      () => idp.event({ ...victim(), header: { jku: 'https://evil.test/jwks' } }),
    ],
    ['a certificate that it names', 'invalid_request', () => idp.event({ ...victim(), header: { x5u: 'https://evil.test/x' } })],
    ['something that is no token', 'invalid_request', () => 'hello'],
    ['a key of another issuer', 'invalid_key', () => limited.sign(JSON.stringify(idp.claims(victim())))],
    [
      'an event that was changed',
      'invalid_key',
      async () => {
        const [header, , signature] = (await idp.event(victim())).split('.');
        return `${header}.${Buffer.from(JSON.stringify(idp.claims({ subject: did(agentOfOther) }))).toString('base64url')}.${signature}`;
      },
    ],
    ['no algorithm', 'invalid_request', () => unsigned({ alg: 'none', typ: 'secevent+jwt' }, '')],
    [
      'the public key as a secret',
      'invalid_request',
      () => {
        const spki = createPublicKey({ key: idp.jwk as JsonWebKey, format: 'jwk' })
          .export({ format: 'pem', type: 'spki' })
          .toString();
        return unsigned({ alg: 'HS256', typ: 'secevent+jwt', kid: 'key-1' }, spki);
      },
    ],
    [
      'a claim that stands there twice',
      'invalid_request',
      () => idp.sign(`{"iss":"https://else.test",${JSON.stringify(idp.claims(victim())).slice(1)}`),
    ],
    ['something deeply nested', 'invalid_request', () => idp.sign(`${'['.repeat(20_000)}${']'.repeat(20_000)}`)],
    ['no change_type', 'invalid_request', () => idp.event({ ...victim(), type: `${CAEP}credential-change` })],
  ];
  function unsigned(header: object, secret: string): string {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const input = `${part(header)}.${part(idp.claims({ subject: did(agent) }))}`;
    return `${input}.${secret === '' ? '' : createHmac('sha256', secret).update(input).digest('base64url')}`;
  }
  test.each(cases)('%s', async (_, err, make) => {
    const before = world.restrictions.lastSequence();
    now += 60_000;
    const answer = await push(await make());
    expect(answer).toMatchObject({ status: 400, body: { err }, headers: { 'content-language': 'en' } });
    expect(answer.text).not.toContain(agent);
    expect(world.restrictions.lastSequence()).toBe(before);
  });

  test.each(['../../../etc/passwd', "' OR 1=1 --", 'https://evil.test/jwks', '', 'key-1/../key-2'])(
    'a kid of %j is compared and nothing else',
    async (kid) => {
      now += 60_000;
      const answer = await send({ subject: did(agent), header: { kid } });
      expect([answer.status, answer.body.err]).toEqual([400, 'invalid_key']);
    },
  );

  test.each([{}, { authorization: 'Bearer wrong' }, { authorization: `Basic ${TOKEN}` }, { authorization: `Bearer ${TOKEN}x` }])(
    'the authorization %j',
    async (headers) => {
      const before = world.restrictions.lastSequence();
      const answer = await push(await idp.event({ subject: did(agent) }), headers as Record<string, string>);
      expect(answer).toMatchObject({ status: 400, body: { err: 'authentication_failed' } });
      expect(answer.text + world.logged.join()).not.toContain(TOKEN);
      expect(world.restrictions.lastSequence()).toBe(before);
    },
  );

  test('one that is too large, of another media type, or read with another method', async () => {
    expect((await push(await idp.event({ payload: { x: 'x'.repeat(70_000) } }))).status).toBe(413);
    expect((await push('{}', { 'content-type': 'application/json' })).status).toBe(415);
    const jwt = { 'content-type': 'application/secevent+jwt' };
    expect((await world.ask({ method: 'POST', path: '/v1/restrictions', headers: jwt, body: '{}' })).status).toBe(415);
    expect((await world.ask('/v1/events')).status).toBe(405);
  });
});

describe('a transmitter for the agents of some operators', () => {
  test('revokes those, and is refused whatever else there is', async () => {
    const before = world.restrictions.lastSequence();
    expect(await send({ subject: did(agent) }, limited)).toMatchObject({ status: 202 });
    expect(since(before)).toMatchObject([{ agent }]);
    const refused = [
      did(agentOfOther),
      did(acme.did),
      did('did:web:nobody.test'),
      { format: 'complex', user: did(agentOfOther), application: did(agent) },
    ];
    for (const subject of refused)
      expect(await send({ subject }, limited)).toMatchObject({ status: 400, body: { err: 'access_denied' } });
    const session = { format: 'opaque', id: 'session-of-another' };
    const revoked = { type: `${CAEP}session-revoked` };
    expect(await send({ ...revoked, subject: session }, limited)).toMatchObject({ status: 400, body: { err: 'access_denied' } });
    expect(since(before)).toHaveLength(1);
    // The session of another does not come along with an agent of one's own.
    await send({ ...revoked, subject: { format: 'complex', user: did(agent), session } }, limited);
    expect(since(before).slice(1)).toMatchObject([{ agent, before: expect.any(Number) }]);
  });
});

describe('keys and floods', () => {
  test('a new key of the issuer is asked for once, whatever strangers send', async () => {
    now += 60_000;
    await send({ subject: did(agent) }, slow);
    const next = await new IdentityProvider(slow.issuer, slow.audience, 'Ed25519').start('key-2');
    served[slow.issuer] = () => next.jwks;
    now += 60_000;
    expect((await send({ type: `${SSF}verification`, subject: did(agent) }, next)).status).toBe(202);
    const before = loads;
    const stranger = await new IdentityProvider(slow.issuer, slow.audience, 'Ed25519').start('key-3');
    const answers = await Promise.all(Array.from({ length: 50 }, () => send({ subject: did(agent) }, stranger)));
    // It may be a key that the issuer made a moment ago: to be sent again, not given up.
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    expect(loads).toBe(before);
    now += 31_000;
    expect(await send({ subject: did(agent) }, stranger)).toMatchObject({ status: 400, body: { err: 'invalid_key' } });
    expect(loads).toBe(before + 1);
    // The old key is one no more.
    expect((await send({ subject: did(agentOfOther) }, slow)).status).not.toBe(202);
    served[slow.issuer] = () => 'no keys';
    now += 31_000;
    expect(await send({ subject: did(agent) }, stranger)).toMatchObject({ status: 503 });
    // While the host is out of order, what was known goes on.
    expect((await send({ type: `${SSF}verification`, subject: did(agent) }, next)).status).toBe(202);
    now += 3_700_000;
    expect((await send({ type: `${SSF}verification`, subject: did(agent) }, next)).status).toBe(503);
    served = {};
    now += 31_000;
  });

  test('more than was agreed upon is answered with 429 and a time; a repetition is none, and strangers use nothing up', async () => {
    const verification = { type: `${SSF}verification`, subject: did(agent) };
    const account = await slow.event({ subject: did(agent) });
    now += 120_000;
    for (let at = 0; at < 5; at++) await push(await idp.sign(JSON.stringify(slow.claims(verification))));
    expect((await push(account)).status).toBe(202);
    for (let at = 0; at < 2; at++) expect((await send(verification, slow)).status).toBe(202);
    const answer = await send(verification, slow);
    expect(answer.status).toBe(429);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(20);
    // However much it says of others, there is room for what revokes.
    expect((await send({ subject: did(agentOfOther) }, slow)).status).toBe(202);
    expect((await send({ subject: did('did:web:third.test') }, slow)).status).toBe(429);
    expect((await push(account)).status).toBe(202);
    expect((await send(verification)).status).toBe(202);
    now += 31_000;
    expect((await send(verification, slow)).status).toBe(202);
  });
});

test('what receivers verify with: the key, and the description of the transmitter', async () => {
  const { body } = await world.ask('/.well-known/ssf-configuration');
  expect(body).toMatchObject({ issuer: 'https://vault.test', jwks_uri: expect.stringMatching(/\/\.well-known\/jwks\.json$/) });
  const { body: jwks } = await world.ask('/.well-known/jwks.json');
  expect(jwks.keys).toEqual([
    { ...key.publicKey.jwk, kid: await calculateJwkThumbprint(key.publicKey.jwk as JWK), alg: 'Ed25519', use: 'sig' },
  ]);
});

test('a store that does not confirm is no acceptance', async () => {
  await world.closeStore();
  expect((await send({ subject: did('did:web:somebody.test') })).status).toBe(503);
});

// Events told to real receivers over HTTPS, out of a real store: what they get verifies with jose, in order, and none is missing.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JSONWebKeySet } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Delivery, type DeliverySettings, deliverEvents } from '../../src/events/deliver-events.ts';
import { makeEventAuthor } from '../../src/events/event-author.ts';
import { SqliteEventStore } from '../../src/stores/sqlite/event-store.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { makeGuardedPost } from '../../src/vault/fetch/guarded-post.ts';
import { type Certificates, makeCertificates } from '../envoy/certificates.ts';
import { keyOf } from '../keys.ts';
import { EventReceiver, type ReceiverSettings } from './event-receiver.ts';

const ISSUER = 'https://vault.test';
const key = keyOf('vault');
const author = makeEventAuthor(key);
const jwks = () => ({ keys: [{ ...key.publicKey.jwk, kid: key.publicKey.jkt }] }) as JSONWebKeySet;
let certificates: Certificates;
let directory: string;
let store: SqliteRestrictionStore;
let positions: SqliteEventStore;
let stops: (() => unknown)[] = [];

beforeAll(async () => {
  certificates = await makeCertificates(mkdtempSync(join(tmpdir(), 'hb-events-ca-')));
});
afterAll(() => rmSync(join(certificates.trustedCaFile, '..'), { recursive: true }));
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hb-events-'));
  store = await SqliteRestrictionStore.open(join(directory, 'restrictions.db'));
  positions = SqliteEventStore.open(join(directory, 'events.db'));
});
afterEach(async () => {
  for (const stop of stops.reverse()) await stop();
  stops = [];
  positions.close();
  await store.close();
  rmSync(directory, { recursive: true });
});

let made = 0;
/** @returns the ids */
async function revoke(count: number, kind: 'agent' | 'session' = 'agent'): Promise<string[]> {
  const all = Array.from({ length: count }, () => {
    const value = kind === 'agent' ? `did:web:agent-${made++}.test` : `session-${made++}`;
    return author.revoke({ target: { kind, value }, before: undefined }, Math.floor(Date.now() / 1000), 'test');
  });
  const restrictions = await Promise.all(all);
  await store.append(restrictions);
  return restrictions.map(({ id }) => id);
}

async function receiver(more: Partial<ReceiverSettings> = {}): Promise<EventReceiver> {
  const started = await new EventReceiver({ certificates, jwks, issuer: ISSUER, audience: 'siem', ...more }).start();
  return started;
}

const states: string[] = [];
const refused: unknown[] = [];
function deliver(port: number, more: Partial<DeliverySettings> = {}): Delivery {
  const post = makeGuardedPost({
    allowedAddresses: ['127.0.0.0/8'],
    trustedCa: readFileSync(certificates.trustedCaFile, 'utf8'),
    timeoutMillis: 2000,
    lookup: (_name, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  const url = new URL(`https://service.test:${port}/events?x=1`);
  const delivery = deliverEvents({
    receiver: { name: 'siem', audience: 'siem' },
    store,
    positions,
    signer: { key, issuer: ISSUER },
    own: author.did,
    push: (compact) => post(url, { 'content-type': 'application/secevent+jwt', authorization: 'Bearer s3cret' }, compact),
    clock: Date.now,
    onState: (state) => states.push(state),
    onRefused: (one) => refused.push(one),
    pauseMillis: { least: 20, most: 100 },
    ...more,
  });
  stops.push(() => delivery.stop());
  return delivery;
}
const wait = (look: () => void) => vi.waitFor(look, { timeout: 15_000, interval: 20 });

test('a new receiver is told of what comes, as one event each, signed, typed and addressed to it', async () => {
  await revoke(3);
  const siem = await receiver();
  stops.push(() => siem.stop());
  deliver(siem.port);
  const ids = await revoke(5);
  await wait(() => expect(siem.transactions).toEqual(ids));
  expect(siem.faults).toEqual([]);
  const [first] = siem.accepted;
  expect(first).toMatchObject({
    header: { alg: 'Ed25519', typ: 'secevent+jwt', kid: key.publicKey.jkt },
    authorization: 'Bearer s3cret',
    contentType: 'application/secevent+jwt',
    claims: {
      iss: ISSUER,
      aud: 'siem',
      sub_id: { format: 'did', url: 'did:web:agent-3.test' },
      events: {
        'https://schemas.openid.net/secevent/risc/event-type/account-disabled': {
          initiating_entity: 'policy',
          reason_admin: { en: 'test' },
        },
      },
    },
  });
  expect(first?.claims).not.toHaveProperty('sub');
  expect(first?.claims).not.toHaveProperty('exp');
});

test('one that is down gets everything in order when it is back, and holds up nobody', async () => {
  const down = await receiver();
  const { port } = down;
  await down.stop();
  const up = await receiver();
  stops.push(() => up.stop());
  deliver(port);
  deliver(up.port, { receiver: { name: 'other', audience: 'siem' } });
  const ids = await revoke(120);
  await wait(() => expect(up.transactions).toEqual(ids));
  const back = await receiver({ port });
  stops.push(() => back.stop());
  await wait(() => expect(back.transactions).toEqual(ids));
  expect(back.accepted).toHaveLength(120);
});

test('what was stopped goes on where it was, under the same ids; at least once', { timeout: 60_000 }, async () => {
  const siem = await receiver();
  stops.push(() => siem.stop());
  deliver(siem.port).stop();
  const ids = await revoke(60);
  while (siem.transactions.length < ids.length) {
    const [told, delivery] = [siem.transactions.length, deliver(siem.port)];
    // Stopped somewhere behind the next one, in the middle of one more or not.
    await wait(() => expect(siem.transactions.length).toBeGreaterThan(told));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    delivery.stop();
  }
  expect(siem.transactions).toEqual(ids);
  const jtis = new Set(siem.accepted.map(({ claims }) => claims.jti));
  expect(jtis.size).toBe(60);
});

test('one that was told of what was lost since is told everything again', async () => {
  const siem = await receiver();
  stops.push(() => siem.stop());
  positions.begin('siem', { sequence: 40, id: 'AAAAAAAAAAAAAAAAAAAAAA' });
  const ids = await revoke(4);
  deliver(siem.port);
  await wait(() => expect(siem.transactions).toEqual(ids));
});

const say = (response: ServerResponse, status: number, body = '', headers: Record<string, string> = {}) => {
  response.writeHead(status, headers).end(body);
  return true;
};
test.each<[string, (response: ServerResponse) => boolean]>([
  ['500', (response) => say(response, 500)],
  ['429 with a time', (response) => say(response, 429, '', { 'retry-after': '0' })],
  ['200', (response) => say(response, 200)],
  ['a redirect', (response) => say(response, 307, '', { location: 'https://evil.test/' })],
  ['400 of somebody in between', (response) => say(response, 400, '<html>')],
  ['a credential that is not taken', (response) => say(response, 400, '{"err":"authentication_failed","description":"x"}')],
  ['an answer without an end', (response) => say(response, 500, 'x'.repeat(1_000_000))],
])('%s is no acceptance: it is tried again', async (_, answer) => {
  let left = 3;
  const siem = await receiver({ answer: (_received, response) => left-- > 0 && answer(response) });
  stops.push(() => siem.stop());
  deliver(siem.port);
  const ids = await revoke(2);
  await wait(() => expect(siem.transactions).toEqual(ids));
  expect(siem.requests).toBe(5);
});

test('400 with a reason gives that one up and goes on', async () => {
  const siem = await receiver({
    answer: ({ claims }, response) =>
      claims.txn === ids[1] && say(response, 400, '{"err":"invalid_request","description":"unknown subject"}'),
  });
  stops.push(() => siem.stop());
  refused.length = 0;
  deliver(siem.port);
  const ids = await revoke(3);
  await wait(() => expect(siem.transactions).toEqual([ids[0], ids[2]]));
  expect(refused).toMatchObject([{ err: 'invalid_request', description: 'unknown subject' }]);
});

test('only what a receiver wants', async () => {
  const siem = await receiver();
  stops.push(() => siem.stop());
  deliver(siem.port, {
    receiver: {
      name: 'sessions',
      audience: 'siem',
      events: ['https://schemas.openid.net/secevent/caep/event-type/session-revoked'],
    },
  });
  await revoke(60);
  const ids = await revoke(2, 'session');
  await wait(() => expect(siem.transactions).toEqual(ids));
  await wait(() => expect(positions.position('sessions')?.sequence).toBe(62));
});

test('a host at an address that was not allowed is not connected to', async () => {
  const siem = await receiver();
  stops.push(() => siem.stop());
  const post = makeGuardedPost({
    allowedAddresses: [],
    trustedCa: readFileSync(certificates.trustedCaFile, 'utf8'),
    timeoutMillis: 2000,
    lookup: (_name, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  const url = new URL(`https://service.test:${siem.port}/`);
  await expect(post(url, {}, 'x')).rejects.toThrow('none of its addresses may be connected to');
  await expect(post(new URL(`http://service.test:${siem.port}/`), {}, 'x')).rejects.toThrow('not https');
  expect(siem.requests).toBe(0);
});

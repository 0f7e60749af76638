// Two vaults that tell each other everything: what was revoked in one is revoked in the other, and it comes to rest.

import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { PrivateKey } from '../../src/crypto/private-key.ts';
import { type AcceptEventSettings, acceptEvent } from '../../src/events/accept-event.ts';
import { makeEventAuthor } from '../../src/events/event-author.ts';
import { eventOfRestriction } from '../../src/events/event-of-restriction.ts';
import { EventRate } from '../../src/events/event-rate.ts';
import { signEvent } from '../../src/events/sign-event.ts';
import { TransmitterKeys } from '../../src/events/transmitter-keys.ts';
import { parseRestriction, THUMBPRINT_URN } from '../../src/restrictions/restriction.ts';
import { type RestrictionStatement, signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { reopenRestriction, verifyRestriction } from '../../src/restrictions/verify-restriction.ts';
import { SqliteEventStore } from '../../src/stores/sqlite/event-store.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import type { AuthorizationDetails } from '../../src/token/authorization-details.ts';
import { keyOf } from '../keys.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-two-vaults-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Vault {
  readonly name: string;
  readonly key: PrivateKey;
  readonly store: SqliteRestrictionStore;
  readonly accept: AcceptEventSettings;
}

async function open(name: string, peer: string): Promise<Vault> {
  const [key, theirs] = [keyOf(name), keyOf(peer)];
  const store = await SqliteRestrictionStore.open(join(directory, `${name}.db`));
  const jwks = Buffer.from(JSON.stringify({ keys: [{ ...theirs.publicKey.jwk, kid: theirs.publicKey.jkt }] }));
  const transmitter = {
    issuer: `https://${peer}.test`,
    audience: name,
    token: undefined,
    maxAgeSeconds: 3600,
    operators: undefined,
    subjects: new Map(),
    find: (did: string) => (did.includes('operator') ? { kind: 'operator' as const, operator: did } : undefined),
    keys: new TransmitterKeys({ load: async () => jwks, monotonic: () => performance.now() }),
    rate: new EventRate(1000, () => performance.now()),
  };
  return { name, key, store, accept: { transmitters: [transmitter], author: makeEventAuthor(key), store, clock: Date.now } };
}

/** Everything behind a place, as it is told. @returns the new place */
async function tell(from: Vault, to: Vault, after: number): Promise<number> {
  const rows = from.store.after(after, 1000);
  for (const { compact } of rows) {
    const event = eventOfRestriction(reopenRestriction(compact), from.accept.author.did);
    const iat = Math.floor(Date.now() / 1000);
    const addressed = { audience: to.name, jti: String(Math.random()), iat };
    const signer = { key: from.key, issuer: `https://${from.name}.test` };
    await acceptEvent(Buffer.from(await signEvent(event, addressed, signer)), undefined, to.accept);
  }
  return rows.at(-1)?.sequence ?? after;
}

const at = Math.floor(Date.now() / 1000);
const revoke = { effect: 'revoke', at, reason: 'gone' } as const;
const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
test('whatever was revoked in one', async () => {
  const [a, b] = [await open('a', 'b'), await open('b', 'a')];
  const statements: RestrictionStatement[] = [
    { ...revoke, target: { kind: 'agent', value: 'did:web:agent.test' } },
    { ...revoke, target: { kind: 'agent', value: 'did:web:agent.test' }, before: at - 100 },
    { ...revoke, target: { kind: 'operator', value: 'did:web:operator.test' } },
    { ...revoke, target: { kind: 'operator', value: 'did:web:operator.test' }, before: at - 200 },
    { ...revoke, target: { kind: 'key', value: x ?? '' } },
    { ...revoke, target: { kind: 'token', value: 'a/b:c%"d' } },
    { ...revoke, target: { kind: 'session', value: 's#1' } },
    { ...revoke, target: { kind: 'task', value: 'urn:task:1' } },
  ];
  const details: AuthorizationDetails = { type: 'llm_access', actions: ['chat'] };
  statements.push({ ...revoke, effect: 'narrow', details, target: { kind: 'agent', value: 'did:web:other.test' } });
  const operator = keyOf('operator');
  for (const statement of statements) {
    const compact = signRestriction(statement, { key: operator, keyId: undefined });
    const restriction = await verifyRestriction(parseRestriction(compact), async () => undefined, at);
    expect(restriction?.by.startsWith(THUMBPRINT_URN)).toBe(true);
    await a.store.append(restriction ? [restriction] : []);
  }
  let [fromA, fromB] = [0, 0];
  for (let round = 0; round < 5; round++) {
    fromA = await tell(a, b, fromA);
    fromB = await tell(b, a, fromB);
  }
  const kept = ({ store }: Vault) =>
    store.after(0, 1000).map(({ compact }) => {
      const { target, before, effect } = reopenRestriction(compact);
      return { target, before, effect };
    });
  const revocations = statements
    .filter(({ effect }) => effect === 'revoke')
    .map(({ target, before }) => ({ target, before, effect: 'revoke' }));
  expect(kept(b)).toEqual(revocations);
  // Back home each is there once more, as the word of the vault itself, and then no more.
  expect(kept(a).slice(statements.length)).toEqual(revocations);
  await a.store.close();
  await b.store.close();
});

test('the DIDs of keys that a vault has had stay, and so does how far receivers were told', () => {
  const file = join(directory, 'events.db');
  const first = SqliteEventStore.open(file);
  first.addAuthor('did:key:one');
  first.addAuthor('did:key:two');
  first.addAuthor('did:key:one');
  first.begin('siem', { sequence: 7, id: 'x' });
  first.advance('siem', { sequence: 8, id: 'y' });
  first.close();
  const second = SqliteEventStore.open(file);
  expect(second.authors()).toEqual(['did:key:one', 'did:key:two']);
  expect([second.position('siem'), second.position('other')]).toEqual([{ sequence: 8, id: 'y' }, undefined]);
  second.close();
  expect(() => SqliteEventStore.open(join(directory, 'a.db'))).toThrow('made by another program or version');
});

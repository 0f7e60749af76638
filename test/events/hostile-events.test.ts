// Events of a transmitter that says anything at all, and of strangers who change anything: accepted or refused in the words of
// RFC 8935, never an exception, and nothing but revocations, each of which a gateway reads.

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { type AcceptEventSettings, acceptEvent } from '../../src/events/accept-event.ts';
import { makeEventAuthor } from '../../src/events/event-author.ts';
import { EventRate } from '../../src/events/event-rate.ts';
import { EventRefused } from '../../src/events/read-event.ts';
import { subjectName } from '../../src/events/subject-identifier.ts';
import { TransmitterKeys, UnavailableKeys } from '../../src/events/transmitter-keys.ts';
import { parseRestriction } from '../../src/restrictions/restriction.ts';
import type { Restriction } from '../../src/restrictions/verify-restriction.ts';
import { keyOf } from '../keys.ts';
import { CAEP, IdentityProvider, RISC } from './identity-provider.ts';

const idp = new IdentityProvider('https://idp.test', 'vault', 'Ed25519');
const OWN = 'did:web:own.test';
const appended: Restriction[] = [];
let accept: AcceptEventSettings;

/** What is appended is looked at, and kept by nobody. */
function settings(operators: readonly string[] | undefined): AcceptEventSettings {
  const transmitter = {
    issuer: idp.issuer,
    audience: idp.audience,
    token: undefined,
    maxAgeSeconds: 3600,
    operators,
    subjects: new Map([[subjectName({ format: 'email', email: 'a@b.test' }), OWN]]),
    find: (did: string) => (did === OWN ? { kind: 'agent' as const, operator: 'did:web:operator.test' } : undefined),
    keys: new TransmitterKeys({ load: async () => Buffer.from(idp.jwks), monotonic: () => 0 }),
    rate: new EventRate(1e9, () => 0),
  };
  const store: AcceptEventSettings['store'] = {
    findById: () => undefined,
    append: async (restrictions) => {
      appended.push(...restrictions);
      return restrictions.map((_, at) => ({ outcome: 'added' as const, sequence: at + 1 }));
    },
  };
  return { transmitters: [transmitter], author: makeEventAuthor(keyOf('vault')), store, clock: Date.now };
}

beforeAll(async () => {
  await idp.start();
  accept = settings(undefined);
});

const outcome = async (event: string, by = accept): Promise<'accepted' | 'refused'> => {
  try {
    await acceptEvent(Buffer.from(event), undefined, by);
    return 'accepted';
  } catch (error) {
    // Under a name that no key has, it may be a key of a moment ago.
    if (error instanceof EventRefused || error instanceof UnavailableKeys) return 'refused';
    throw error;
  }
};

const text = fc.oneof(
  { weight: 3, arbitrary: fc.constant(OWN) },
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    'did:web:a.test',
    OWN,
    'did:web:a.test#key',
    'a@b.test',
    '',
    'urn:hermesbridge:task:%',
    'urn:hermesbridge:token:a%20b',
  ),
  fc
    .base64String()
    .map((some) => `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${createHash('sha256').update(some).digest('base64url')}`),
);
const member = fc.constantFrom(
  'format',
  'url',
  'id',
  'uri',
  'email',
  'iss',
  'sub',
  'jti',
  'phone_number',
  'issuer',
  'assertion_id',
);
const format = fc.constantFrom('did', 'opaque', 'uri', 'email', 'iss_sub', 'account', 'jwt_id', 'constructor', 'toString', 'x');
const simple = fc
  .tuple(
    format,
    fc.dictionary(member, fc.oneof({ weight: 9, arbitrary: text }, fc.jsonValue() as fc.Arbitrary<unknown>), {
      noNullPrototype: true,
    }),
  )
  .map(([name, members]) => ({ ...members, format: name }));
/** With the member that its format has, whatever stands in it. */
const wellFormed = fc
  .tuple(fc.constantFrom<[string, string]>(['did', 'url'], ['opaque', 'id'], ['uri', 'uri'], ['email', 'email']), text)
  .map(([[name, one], value]) => ({ format: name, [one]: value }));
const named = fc.oneof(simple, wellFormed, wellFormed);
const aliases = fc.array(named).map((identifiers) => ({ format: 'aliases', identifiers }));
const anyone = fc.oneof(wellFormed, named, aliases, fc.jsonValue() as fc.Arbitrary<unknown>);
const complex = fc
  .dictionary(fc.constantFrom('user', 'session', 'device', 'application', 'tenant', 'group'), anyone, { noNullPrototype: true })
  .map((members) => ({ ...members, format: 'complex' }));
const type = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.constantFrom(
      `${RISC}account-disabled`,
      `${CAEP}session-revoked`,
      `${RISC}credential-compromise`,
      `${CAEP}credential-change`,
      `${RISC}account-enabled`,
      'constructor',
    ),
  },
  { weight: 1, arbitrary: fc.string() },
);
const usual = {
  event_timestamp: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.jsonValue()),
  change_type: fc.oneof(fc.constantFrom('revoke', 'delete', 'create'), fc.jsonValue()),
};
const payload = fc.oneof(
  { weight: 9, arbitrary: fc.record(usual, { requiredKeys: [] }) },
  // A second subject, which is one too many in most cases.
  { weight: 1, arbitrary: fc.record({ ...usual, subject: anyone }) },
);

test('whatever a transmitter says is accepted or refused, and comes to nothing but revocations', {
  timeout: 120_000,
}, async () => {
  const seen = { accepted: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(fc.oneof(anyone, complex), type, payload, async (subject, name, said) => {
      const event = await idp.event({ subject, type: name, payload: said as Record<string, unknown> });
      seen[await outcome(event)]++;
    }),
    { numRuns: 2000 },
  );
  expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(100);
  expect(appended.length).toBeGreaterThan(20);
  for (const { compact } of appended) {
    const { effect, by, before } = parseRestriction(compact).untrustedClaims;
    expect([effect, by]).toEqual(['revoke', accept.author.did]);
    expect(before ?? 0).toBeLessThanOrEqual(Date.now() / 1000 + 32);
  }
});

test('and one for the agents of an operator reaches nobody else', { timeout: 120_000 }, async () => {
  const limited = settings(['did:web:operator.test']);
  appended.length = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(anyone, complex), type, payload, async (subject, name, said) => {
      await outcome(await idp.event({ subject, type: name, payload: said as Record<string, unknown> }), limited);
    }),
    { numRuns: 2000 },
  );
  expect(appended.length).toBeGreaterThan(2);
  expect(new Set(appended.map(({ target }) => `${target.kind} ${target.value}`))).toEqual(new Set([`agent ${OWN}`]));
});

test('claims of any type, and a token with any character changed', { timeout: 120_000 }, async () => {
  const claim = fc.constantFrom('iss', 'aud', 'iat', 'jti', 'exp', 'events', 'sub_id');
  await fc.assert(
    fc.asyncProperty(fc.dictionary(claim, fc.jsonValue(), { noNullPrototype: true }), async (claims) => {
      await outcome(await idp.event({ subject: { format: 'did', url: OWN }, claims }));
    }),
    { numRuns: 500 },
  );
  const event = await idp.event({ subject: { format: 'did', url: 'did:web:a.test' } });
  expect(await outcome(event)).toBe('accepted');
  await fc.assert(
    fc.asyncProperty(fc.nat(event.length - 1), fc.string({ minLength: 1, maxLength: 3 }), async (at, other) => {
      const changed = `${event.slice(0, at)}${other}${event.slice(at + 1)}`;
      fc.pre(changed.trim() !== event);
      expect(await outcome(changed)).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});

// The section `control.events`.

import { describe, expect, test } from 'vitest';
import { controlConfiguration } from '../../src/control/configuration.ts';

const receiver = { name: 'siem', url: 'https://siem.test/events', audience: 'siem' };
const transmitter = { issuer: 'https://idp.test', audience: 'vault', jwks: { url: 'https://idp.test/jwks' } };
const subject = { format: 'iss_sub', iss: 'https://idp.test', sub: 'user1' };
const did = 'did:web:agent.test';
const parse = (events: object, key: object = { key: { file: 'vault.jwk' } }) =>
  controlConfiguration.safeParse({ origin: 'https://vault.test', operators: ['did:web:a.test'], ...key, events });

test('a receiver and a transmitter are enough', () => {
  const { events } = parse({ receivers: [receiver], transmitters: [transmitter] }).data ?? {};
  expect(events).toMatchObject({
    allowedAddresses: [],
    transmitters: [{ subjects: [], maxAgeSeconds: 3600, eventsPerMinute: 600 }],
  });
});

test('without control.key there is nothing that could sign', () => {
  expect(parse({ transmitters: [transmitter] }, {}).error?.issues[0]).toMatchObject({ path: ['events'] });
});

describe('what is refused', () => {
  test.each<[string, object]>([
    ['plain HTTP', { receivers: [{ ...receiver, url: 'http://siem.test' }] }],
    ['two receivers of one name', { receivers: [receiver, receiver] }],
    ['two transmitters of one issuer', { transmitters: [transmitter, { ...transmitter, audience: 'else' }] }],
    ['keys over plain HTTP', { transmitters: [{ ...transmitter, jwks: { url: 'http://idp.test/jwks' } }] }],
    ['no keys', { transmitters: [{ ...transmitter, jwks: {} }] }],
    ['events that nobody is told of', { receivers: [{ ...receiver, events: ['https://example.test/x'] }] }],
    ['a secret in the file', { receivers: [{ ...receiver, credential: 's3cret' }] }],
    ['a subject without its members', { transmitters: [{ ...transmitter, subjects: [{ subject: { format: 'email' }, did }] }] }],
    ['a subject with more', { transmitters: [{ ...transmitter, subjects: [{ subject: { ...subject, email: 'x' }, did }] }] }],
    ['a subject that stands for no DID', { transmitters: [{ ...transmitter, subjects: [{ subject, did: 'agent' }] }] }],
    [
      'a subject twice',
      {
        transmitters: [
          { ...transmitter, subjects: ['A@b.test', 'a@B.test'].map((email) => ({ subject: { format: 'email', email }, did })) },
        ],
      },
    ],
    ['every address there is', { allowedAddresses: ['0.0.0.0/0'] }],
  ])('%s', (_, events) => {
    expect(parse({ receivers: [], transmitters: [], ...events }).success).toBe(false);
  });
});

// The table of docs/security-events.md: what each restriction is told as.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { eventOfRestriction } from '../../src/events/event-of-restriction.ts';
import type { RestrictionClaims } from '../../src/restrictions/restriction.ts';

const claims: RestrictionClaims = {
  id: 'AAAAAAAAAAAAAAAAAAAAAA',
  target: { kind: 'agent', value: 'did:web:a.test' },
  before: undefined,
  effect: 'revoke',
  details: undefined,
  lifts: undefined,
  by: 'did:web:operator.test',
  at: 1000,
  reason: 'laptop stolen',
};
const jkt = 'x'.repeat(43);
const did = { format: 'did', url: 'did:web:a.test' };
const details = { type: 'llm_access' as const, actions: ['chat' as const] };

test.each<[Partial<RestrictionClaims>, string, object, object]>([
  [{}, 'account-disabled', did, {}],
  [{ target: { kind: 'operator', value: 'did:web:a.test' } }, 'account-disabled', did, {}],
  [{ before: 900 }, 'session-revoked', did, { event_timestamp: 899 }],
  [
    { target: { kind: 'session', value: 's' } },
    'session-revoked',
    { format: 'complex', session: { format: 'opaque', id: 's' } },
    {},
  ],
  [{ target: { kind: 'task', value: 't/1' } }, 'session-revoked', { format: 'uri', uri: 'urn:hermesbridge:task:t%2F1' }, {}],
  [
    { target: { kind: 'key', value: jkt } },
    'credential-change',
    { format: 'uri', uri: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${jkt}` },
    { credential_type: 'jwk', change_type: 'revoke' },
  ],
  [
    { target: { kind: 'token', value: 'j' } },
    'credential-change',
    { format: 'uri', uri: 'urn:hermesbridge:token:j' },
    { credential_type: 'capability', change_type: 'revoke' },
  ],
  [{ effect: 'narrow', details }, 'token-claims-change', did, { claims: { authorization_details: [details] } }],
  [{ effect: 'lift', lifts: 'AAAAAAAAAAAAAAAAAAAAAA' }, 'token-claims-change', did, { claims: { authorization_details: null } }],
  [{ by: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${jkt}` }, 'account-disabled', did, { initiating_entity: 'system' }],
  [{ by: 'did:key:own' }, 'account-disabled', did, { initiating_entity: 'policy' }],
])('%j is told as %s', (changes, type, subject, payload) => {
  const event = eventOfRestriction({ ...claims, ...changes }, 'did:key:own');
  expect(event.type.split('/').at(-1)).toBe(type);
  expect(event).toMatchObject({ subject, txn: claims.id });
  const usual = { event_timestamp: 1000, initiating_entity: 'admin', reason_admin: { en: 'laptop stolen' } };
  expect(event.payload).toEqual({ ...usual, ...payload });
  const page = readFileSync(new URL('../../docs/security-events.md', import.meta.url), 'utf8');
  expect(page).toContain(`\`${type}\``);
});

test('no reason is no reason', () => {
  expect(eventOfRestriction({ ...claims, reason: '' }, '').payload).not.toHaveProperty('reason_admin');
});

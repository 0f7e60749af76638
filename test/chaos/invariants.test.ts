// The judge of a chaos run is shown runs that are wrong, each in one way.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../src/stores/sqlite/database.ts';
import { checkInvariants, type Evidence } from './invariants.ts';
import type { Sent } from './traffic-protocol.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-invariants-'));
const storeFiles = ['one', 'two'].map((name) => join(directory, `${name}.db`));
const [AT, REVOKED_AT] = [1_000_000, 2_000_000];
const good: Sent = {
  ...{ id: 'a', kind: 'fresh', agent: 'agent', target: 0, sentAt: AT, tookMillis: 5, status: 200, reason: undefined },
};
const arrival = { id: 'a', decisionId: 'd-a', at: AT + 1 };

beforeAll(() => {
  for (const [at, file] of storeFiles.entries()) {
    const database = openDatabase(file);
    const record = { decision_id: 'd-a', effect: 'allow', signature_input: 'cap=();nonce="a";keyid="k"' };
    if (at === 0) database.prepare('INSERT INTO decisions (record) VALUES (?)').run(JSON.stringify(record));
    database.close();
  }
});
afterAll(() => rmSync(directory, { recursive: true }));

function broken(evidence: Partial<Evidence>): string[] {
  const revokedAt = new Map([['revoked', REVOKED_AT]]);
  const found = checkInvariants({ sent: [good], arrivals: [arrival], revokedAt, storeFiles, ownEnvoys: true, ...evidence });
  return Object.entries(found).flatMap(([name, lines]) => (lines.length > 0 ? [name] : []));
}

test('nothing is broken in a run that is right', () => {
  const denied = { ...good, id: 'b', kind: 'tampered', status: 401 } as const;
  const replay = { ...good, kind: 'replay', status: 401, target: 1 } as const;
  expect(broken({ sent: [good, replay, denied] })).toEqual([]);
});

test.each<[string, Partial<Evidence>, string[]]>([
  ['an attack is allowed', { sent: [{ ...good, kind: 'expired' }] }, ['I1']],
  ['an agent is allowed after its revocation', { sent: [{ ...good, agent: 'revoked', sentAt: REVOKED_AT }] }, ['I1']],
  ['something that nobody sent reaches the upstream', { sent: [] }, ['I1']],
  ['a replay is allowed as well', { sent: [good, { ...good, kind: 'replay' }] }, ['I2']],
  ['a request reaches the upstream twice', { arrivals: [arrival, arrival] }, ['I2']],
  ['an allow has no record', { arrivals: [{ ...arrival, decisionId: 'd-b' }] }, ['I3']],
  ['its record is in the store of another replica', { sent: [{ ...good, target: 1 }] }, ['I3']],
  ['an allow comes from nowhere', { arrivals: [] }, ['I3']],
])('%s', (_, evidence, expected) => {
  expect(broken(evidence)).toEqual(expected);
});

test('before its revocation was in force everywhere an agent may be allowed', () => {
  expect(broken({ sent: [{ ...good, agent: 'revoked', sentAt: REVOKED_AT - 1 }] })).toEqual([]);
});

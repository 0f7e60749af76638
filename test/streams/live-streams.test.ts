// Which of the responses that run fall, with the real set of restrictions.

import { randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { writeCutRecord } from '../../src/audit/cut-record.ts';
import { THUMBPRINT_URN } from '../../src/restrictions/restriction.ts';
import { RestrictionSet } from '../../src/restrictions/restriction-set.ts';
import type { Restriction } from '../../src/restrictions/verify-restriction.ts';
import { type CutStream, LiveStreams } from '../../src/streams/live-streams.ts';

const OPERATOR = 'did:key:operator';
const ADMIN = 'did:key:admin';
const NOW = 1_800_000_000;

interface Links {
  readonly agents: readonly string[];
  readonly sid?: string;
  readonly task?: string;
  readonly iat?: number;
  readonly expires?: number;
}

function chainText({ agents, sid, task, iat = NOW - 100, expires = NOW + 100 }: Links): string {
  const links = agents.map((agent) => ({ agent, jti: `jti-${agent}`, jkt: jkt(agent), sid, task, iat }));
  return JSON.stringify({ operator: { did: OPERATOR }, links, expires });
}

const jkt = (agent: string) => agent.padEnd(43, '_');

function make() {
  const kept = new Map<number, Restriction>();
  const set = new RestrictionSet({ administrators: [ADMIN], read: (sequence) => kept.get(sequence) });
  const find = vi.fn((chain: Parameters<typeof set.find>[0]) => set.find(chain));
  const cuts: CutStream[] = [];
  const live = new LiveStreams({ inForce: { find }, clock: Date.now, onCut: (cut) => cuts.push(cut) });
  const ended: string[] = [];
  return {
    live,
    find,
    cuts,
    ended,
    add: (name: string, links: Links) => live.add(name, chainText(links), (why) => ended.push(`${name} ${why}`)),
    restrict: (change: Partial<Restriction> & Pick<Restriction, 'target'>) => {
      const id = randomBytes(16).toString('base64url');
      const restriction = { id, effect: 'revoke', by: OPERATOR, at: NOW, reason: '', ...change } as Restriction;
      kept.set(kept.size + 1, restriction);
      set.add(restriction, kept.size);
      if (restriction.effect === 'revoke') live.restricted(restriction.target);
      return id;
    },
  };
}

beforeEach(() => void vi.useFakeTimers({ now: NOW * 1000, toFake: ['Date', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

test.each([
  ['agent', 'b', OPERATOR],
  ['agent', 'a', ADMIN],
  ['operator', OPERATOR, ADMIN],
  ['key', jkt('a'), OPERATOR],
  ['token', 'jti-b', `${THUMBPRINT_URN}${jkt('a')}`],
  ['session', 's', OPERATOR],
  ['task', 't', OPERATOR],
] as const)('a revoked %s ends every stream with it anywhere in its chain, before the call returns', (kind, value, by) => {
  const { add, restrict, ended, live, cuts } = make();
  add('one', { agents: ['a', 'b'], sid: 's', task: 't' });
  add('two', { agents: ['a', 'b'], sid: 's', task: 't' });
  const id = restrict({ target: { kind, value }, by });
  expect(ended).toEqual(['one revoked', 'two revoked']);
  expect(cuts.map(({ decisionId, restriction }) => [decisionId, restriction])).toEqual([
    ['one', id],
    ['two', id],
  ]);
  expect(live.size).toBe(0);
});

test('it costs those it concerns, and ends those that it counts for', () => {
  const { add, restrict, ended, find } = make();
  for (const [name, agent] of [
    ['one', 'a'],
    ['other', 'b'],
    ['third', 'c'],
  ] as const)
    add(name, { agents: [agent] });
  add('older', { agents: ['a'], iat: NOW - 200 });
  find.mockClear();
  // Of someone with no say over the chain, of another agent, and of older roots only.
  restrict({ target: { kind: 'agent', value: 'a' }, by: 'did:key:stranger' });
  restrict({ target: { kind: 'key', value: jkt('z') } });
  restrict({ target: { kind: 'token', value: 'jti-a' }, by: `${THUMBPRINT_URN}${jkt('a')}` });
  expect(ended).toEqual([]);
  restrict({ target: { kind: 'agent', value: 'a' }, before: NOW - 150 });
  expect(ended).toEqual(['older revoked']);
  expect(find.mock.calls.every(([{ links }]) => links[0]?.agent === 'a')).toBe(true);
});

test('a narrowing ends nothing', () => {
  const { add, restrict, ended } = make();
  add('one', { agents: ['a'] });
  restrict({ target: { kind: 'agent', value: 'a' }, effect: 'narrow' });
  expect(ended).toEqual([]);
});

test('what was revoked, or expired, between the Check and the headers is ended at once and recorded', () => {
  const { add, restrict, ended, cuts, live } = make();
  const id = restrict({ target: { kind: 'agent', value: 'a' } });
  add('late', { agents: ['a'] });
  add('old', { agents: ['b'], expires: NOW });
  expect(ended).toEqual(['late revoked', 'old expired']);
  expect(cuts).toMatchObject([{ reason: 'revoked', restriction: id }, { reason: 'expired' }]);
  expect(live.size).toBe(0);
});

test('a stream ends with the least lifetime of its chain, and not before', () => {
  const { add, ended, live } = make();
  add('long', { agents: ['a'], expires: NOW + 200 });
  add('short', { agents: ['a'], expires: NOW + 10 });
  vi.advanceTimersByTime(9999);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual(['short expired']);
  expect(live.size).toBe(1);
});

test('a stream that has ended by itself is forgotten, and may say so twice', () => {
  const { add, restrict, ended, live, cuts } = make();
  const leave = add('one', { agents: ['a'] });
  add('two', { agents: ['a'] });
  leave();
  leave();
  expect(live.size).toBe(1);
  restrict({ target: { kind: 'agent', value: 'a' } });
  expect(ended).toEqual(['two revoked']);
  expect(cuts).toHaveLength(1);
});

test('what still runs at the end is ended without a record', () => {
  const { add, live, ended, cuts } = make();
  add('one', { agents: ['a'] });
  live.close();
  expect([ended, cuts, live.size]).toEqual([['one stopped'], [], 0]);
});

test('thousands fall, none forgotten, and the event loop is not held up', async () => {
  const { live, cuts, restrict } = make();
  const busy = () => {
    const until = performance.now() + 0.05;
    while (performance.now() < until);
  };
  for (let at = 0; at < 4000; at++) live.add(`d${at}`, chainText({ agents: [`a${at % 50}`] }), busy);
  let turns = 0;
  const beat = () => {
    turns++;
    if (live.size > 0) setImmediate(beat);
  };
  setImmediate(beat);
  restrict({ target: { kind: 'operator', value: OPERATOR } });
  await new Promise<void>((resolve) => {
    const look = () => (live.size === 0 ? resolve() : setImmediate(look));
    look();
  });
  expect(new Set(cuts.map(({ decisionId }) => decisionId)).size).toBe(4000);
  // Of 200 ms at least, no more than a few at a time.
  expect(turns).toBeGreaterThan(20);
});

test.each(['', '{}', 'null', '{"operator":{"did":"d"},"links":[],"expires":1}', chainText({ agents: [''] })])(
  'a text that is no chain is refused: %s',
  (text) => {
    const { live } = make();
    expect(() => live.add('d', text, () => {})).toThrow();
    expect(live.size).toBe(0);
  },
);

test('the record of a cut is canonical and names the decision, the chain and the restriction', () => {
  const { add, restrict, cuts } = make();
  add('decision', { agents: ['a', 'b'], sid: 's', task: 't' });
  const id = restrict({ target: { kind: 'session', value: 's' } });
  const [cut] = cuts;
  const record = cut && writeCutRecord(cut, NOW * 1000);
  const parsed = JSON.parse(record ?? '');
  expect(record).toBe(canonicalize(parsed));
  expect(parsed).toEqual({
    agents: ['a', 'b'],
    at: '2027-01-15T08:00:00.000Z',
    decision_id: 'decision',
    effect: 'cut',
    jti: ['jti-a', 'jti-b'],
    keyid: jkt('b'),
    operator: OPERATOR,
    reason: 'revoked',
    restriction: id,
    sid: 's',
    task: 't',
    v: 1,
  });
});

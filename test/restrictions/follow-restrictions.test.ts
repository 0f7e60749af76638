// A gateway that follows a feed: what is in force there, and what happens when whoever serves it goes back, leaves out, or lies
// (docs/threat-model.md H7, H8, X31, X32).

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PrivateKey } from '../../src/crypto/private-key.ts';
import { type FollowedRestrictions, followRestrictions } from '../../src/restrictions/follow-restrictions.ts';
import { httpsFeed } from '../../src/restrictions/https-feed.ts';
import { RestrictionSet } from '../../src/restrictions/restriction-set.ts';
import { type RestrictionStatement, signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { makeSignerKeys } from '../../src/restrictions/signer-keys.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { UnavailableDid } from '../../src/vault/did-document.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { selfDescribingResolver } from '../../src/vault/resolver.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { keyOf } from '../keys.ts';
import { ScriptedFeed } from './scripted-feed.ts';

const operator = didKeyOf(keyOf('operator').publicKey);
const stranger = didKeyOf(keyOf('stranger').publicKey);
const resolved = makeSignerKeys({ resolver: selfDescribingResolver(), clockSkewMillis: 0 });

function signed(jti: string, key: PrivateKey = keyOf('operator'), changes: Partial<RestrictionStatement> = {}): string {
  const statement = { effect: 'revoke', target: { kind: 'token', value: jti }, at: 1_767_225_600, reason: '', ...changes };
  const keyId = resolveSelfDescribing(didKeyOf(key.publicKey)).verificationMethods[0]?.id;
  return signRestriction(statement as RestrictionStatement, { key, keyId });
}

let directory: string;
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'follow-'));
});

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
  await rm(directory, { recursive: true, force: true });
});

interface Following {
  readonly store: SqliteRestrictionStore;
  readonly set: RestrictionSet;
  readonly follower: FollowedRestrictions;
  readonly states: string[];
  readonly missing: number[];
  readonly clock: { ahead: number };
  readonly authors: string[];
  isRevoked(jti: string, by?: string): boolean;
  end(): Promise<void>;
}

async function follow(feed: ScriptedFeed, { keys = resolved, file = 'copy.db' } = {}): Promise<Following> {
  const store = await SqliteRestrictionStore.open(join(directory, file));
  const set = new RestrictionSet({ administrators: [], read: (sequence) => store.read(sequence) });
  store.keepInForce(set);
  const states: string[] = [];
  const missing: number[] = [];
  const clock = { ahead: 0 };
  const authors = [operator];
  const monotonic = () => performance.now() + clock.ahead;
  const follower = followRestrictions({
    source: httpsFeed({ origin: 'https://vault.example', fetch: (url) => feed.fetch(url), monotonic }),
    store,
    keys,
    authors: () => authors,
    maxStaleSeconds: 5,
    monotonic,
    onState: (state, error) => states.push(error instanceof Error ? `${state}: ${error.message}` : state),
    onMissing: (count) => missing.push(count),
  });
  let ended = false;
  const end = async () => {
    if (ended) return;
    ended = true;
    follower.stop();
    await store.close();
  };
  opened.push({ close: end });
  const isRevoked = (jti: string, by = operator) =>
    'revoked' in set.find({ operator: { did: by }, links: [{ agent: 'did:test:a', jti, jkt: 'k', iat: 1 }] });
  return { store, set, follower, states, missing, clock, authors, isRevoked, end };
}

const soon = { timeout: 8000, interval: 10 };
const fresh = ({ follower }: Following) => expect.poll(() => follower.isFresh(), soon).toBe(true);
const said = (following: Following, part: string) =>
  expect.poll(() => following.states.at(-1), soon).toEqual(expect.stringContaining(part));
/** Long enough for a good many questions. */
const aWhile = () => new Promise((resolve) => setTimeout(resolve, 600));

test('is not fresh before everything was read, then has all of it in force, and what comes within a moment', async () => {
  const feed = new ScriptedFeed();
  feed.page = 2;
  feed.texts = [1, 2, 3, 4, 5].map((number) => signed(`jti-${number}`));
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { fetch } = feed;
  feed.fetch = (url) => (Number(url.searchParams.get('after')) === 4 ? held.then(() => fetch(url)) : fetch(url));
  const following = await follow(feed);
  await expect.poll(() => following.isRevoked('jti-4'), soon).toBe(true);
  expect(following.follower.isFresh()).toBe(false);
  release();
  await fresh(following);
  expect(following.isRevoked('jti-5')).toBe(true);
  expect(following.follower.highWaterMark).toBe(5);
  const at = performance.now();
  feed.texts.push(signed('jti-6'));
  await expect.poll(() => following.isRevoked('jti-6'), soon).toBe(true);
  expect(performance.now() - at).toBeLessThan(2000);
  expect(following.states).toEqual(['following']);
  expect(feed.asked.at(-1)?.searchParams.get('follower')).toMatch(/^[\w-]{22}$/);
  await expect.poll(() => feed.asked.at(-1)?.searchParams.get('applied'), soon).toBe('6');
});

test('H8 X32 is fresh no longer than the bound after the last answer, and again with the next', async () => {
  const feed = new ScriptedFeed();
  feed.texts = [signed('jti-1')];
  const following = await follow(feed);
  await fresh(following);
  feed.spoil = () => {
    throw new Error('connection refused');
  };
  await said(following, 'interrupted: connection refused');
  following.clock.ahead = 4000;
  expect(following.follower.isFresh()).toBe(true);
  following.clock.ahead = 6000;
  expect(following.follower.isFresh()).toBe(false);
  // What is known stays in force.
  expect(following.isRevoked('jti-1')).toBe(true);
  feed.spoil = (one) => one;
  await fresh(following);
  expect(following.states.at(-1)).toBe('following');
});

describe('H7 a feed that cannot be believed is refused, and the old set kept', () => {
  const lies: [string, (feed: ScriptedFeed) => void, string][] = [
    ['taken back', (feed) => feed.texts.pop(), 'taken back'],
    ['taken back to nothing', (feed) => feed.texts.splice(0), 'taken back'],
    ['taken back and filled up again', (feed) => feed.texts.splice(1, 2, signed('x'), signed('y')), 'not what was told before'],
    [
      'with a gap',
      (feed) => {
        feed.texts.push(signed('x'), signed('y'));
        feed.spoil = (one) => ({ ...one, restrictions: one.restrictions.slice(1) });
      },
      'is missing',
    ],
    [
      'truncated though it says that there is more',
      (feed) => {
        feed.spoil = (one) => ({ ...one, last: one.last + 1 });
      },
      'is missing',
    ],
    ['with one that is not signed', (feed) => feed.texts.push(signed('x').replace(/[^.]*$/, 'AAAA')), 'not signed by'],
    [
      'with one signed by someone else in the operator’s name',
      (feed) => {
        const [header, payload] = signed('x').split('.');
        feed.texts.push(`${header}.${payload}.${signed('y').split('.')[2]}`);
      },
      'not signed by',
    ],
    ['with one that is no restriction', (feed) => feed.texts.push('x.y.z'), 'is no restriction'],
    [
      'with two under one id',
      (feed) => feed.texts.push(...['x', 'y'].map((jti) => signed(jti, keyOf('operator'), { id: 'AAAAAAAAAAAAAAAAAAAAAA' }))),
      'the id of another',
    ],
    ['in another form', (feed) => Object.assign(feed, { spoil: () => ({ restrictions: [] }) }), 'form'],
    ['that is no JSON', (feed) => Object.assign(feed, { fetch: async () => Buffer.from('<html>') }), 'JSON'],
  ];

  test.each(lies)('%s', async (_, lie, why) => {
    const feed = new ScriptedFeed();
    feed.texts = [1, 2, 3].map((number) => signed(`jti-${number}`));
    const following = await follow(feed);
    await fresh(following);
    lie(feed);
    await said(following, 'refused: ');
    expect(following.states.at(-1)).toContain(why);
    await aWhile();
    for (const number of [1, 2, 3]) expect(following.isRevoked(`jti-${number}`)).toBe(true);
    expect(following.isRevoked('y')).toBe(false);
    // Nothing of it counts as having been heard of.
    following.clock.ahead = 5500;
    expect(following.follower.isFresh()).toBe(false);
  });
});

test('restrictions of authors who do not count here are passed over, and read again when they do', async () => {
  const feed = new ScriptedFeed();
  feed.texts = [signed('jti-1', keyOf('stranger')), signed('jti-2')];
  const following = await follow(feed);
  await fresh(following);
  expect(following.set.revocations.count).toBe(1);
  expect(following.isRevoked('jti-1', stranger)).toBe(false);
  // While a question is under way, whose answer is for the authors of before.
  const { fetch } = feed;
  await new Promise<void>((resolve, reject) => {
    feed.fetch = (url) => {
      feed.fetch = fetch;
      following.authors.push(stranger);
      following.follower.reread().then(resolve, reject);
      return fetch(url);
    };
  });
  expect(following.isRevoked('jti-1', stranger)).toBe(true);
  expect(following.store.lastSequence()).toBe(2);
  expect(following.missing).toEqual([]);
});

test('one signed by an issuer’s key verifies by itself', async () => {
  const feed = new ScriptedFeed();
  const key = keyOf('issuer');
  feed.texts = [
    signRestriction({ effect: 'revoke', target: { kind: 'token', value: 'leaf' }, at: 1, reason: '' }, { key, keyId: undefined }),
  ];
  const following = await follow(feed);
  await fresh(following);
  const link = (jti: string, jkt: string) => ({ agent: 'did:test:a', jti, jkt, iat: 1 });
  const below = { operator: { did: stranger }, links: [link('root', key.publicKey.jkt), link('leaf', 'k')] };
  expect(following.set.find(below)).toMatchObject({ revoked: { role: 'issuer', kind: 'token' } });
});

describe('a restart', () => {
  async function readOnce(feed: ScriptedFeed) {
    const first = await follow(feed);
    await fresh(first);
    await first.end();
    feed.asked.splice(0);
  }

  test('goes on where it was, without another signature, and is fresh only once the feed was heard of', async () => {
    const feed = new ScriptedFeed();
    feed.texts = [signed('jti-1'), signed('jti-2')];
    await readOnce(feed);
    feed.spoil = () => {
      throw new Error('down');
    };
    const never = () => Promise.reject(new Error('asked for a key'));
    const following = await follow(feed, { keys: never });
    expect(following.isRevoked('jti-2')).toBe(true);
    await said(following, 'interrupted');
    expect(following.follower.isFresh()).toBe(false);
    feed.spoil = (one) => one;
    await fresh(following);
    expect(feed.asked.map((url) => url.searchParams.get('after'))).not.toContain('0');
  });

  test('H7 remembers how far the feed had come', async () => {
    const feed = new ScriptedFeed();
    feed.texts = [signed('jti-1'), signed('jti-2')];
    await readOnce(feed);
    feed.texts.pop();
    const following = await follow(feed);
    await said(following, 'refused: it ends at 1, but 2 was read before');
    expect(following.isRevoked('jti-2')).toBe(true);
    expect(following.follower.isFresh()).toBe(false);
  });
});

test('another epoch: nothing counts as fresh before all was read again, and what it lacks stays in force', async () => {
  const feed = new ScriptedFeed();
  feed.page = 1;
  feed.texts = [1, 2, 3].map((number) => signed(`jti-${number}`));
  const following = await follow(feed);
  await fresh(following);
  const [one = ''] = feed.texts;
  let open = false;
  feed.spoil = (answer) => {
    if (!open && answer.restrictions[0]?.sequence === 2) throw new Error('not yet');
    return answer;
  };
  feed.texts = [signed('jti-4'), one];
  feed.epoch = 'epoch-2';
  await said(following, 'interrupted: not yet');
  expect(following.follower.isFresh()).toBe(false);
  open = true;
  await fresh(following);
  for (const number of [1, 2, 3, 4]) expect(following.isRevoked(`jti-${number}`)).toBe(true);
  expect(following.missing).toEqual([2]);
  expect(following.follower.highWaterMark).toBe(2);
});

test('a DID that cannot be had now is waited for, and not taken for a lie', async () => {
  const feed = new ScriptedFeed();
  feed.texts = [signed('jti-1')];
  let down = true;
  const keys: typeof resolved = (...question) =>
    down ? Promise.reject(new UnavailableDid('vault is down')) : resolved(...question);
  const following = await follow(feed, { keys });
  await said(following, 'interrupted: vault is down');
  expect(following.follower.isFresh()).toBe(false);
  down = false;
  await fresh(following);
  expect(following.isRevoked('jti-1')).toBe(true);
});

// The resolver's cache: bounded, single flight, refreshed ahead, bridging what cannot be had and nothing else.

import { describe, expect, test } from 'vitest';
import { type DidDocument, UnavailableDid, UnknownDid } from '../../src/vault/did-document.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { type DocumentSource, Resolver } from '../../src/vault/resolver.ts';
import { keyOf } from '../keys.ts';

const DID = 'did:test:agent';

function documentOf(did: string, versionId?: string): DidDocument {
  return { did, controller: [], verificationMethods: [], versionId };
}

interface Script {
  /** What each question is answered with, in order; the last one from then on. */
  readonly answers: readonly (DidDocument | Error | Promise<DidDocument>)[];
  readonly ttlSeconds?: number;
  readonly cacheEntries?: number;
}

function make({ answers, ttlSeconds, cacheEntries = 10 }: Script) {
  const clock = { now: 1_000_000 };
  const asked: string[] = [];
  const refreshErrors: unknown[] = [];
  const source: DocumentSource = async (did) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(did);
    const found = await answer;
    if (found === undefined || found instanceof Error) throw found;
    return { document: { ...found, did }, ttlSeconds };
  };
  const resolver = new Resolver({
    sources: { test: source },
    ttlSeconds: 100,
    maxStaleSeconds: 300,
    cacheEntries,
    monotonic: () => clock.now,
    onRefreshError: (_did, error) => refreshErrors.push(error),
  });
  return { resolver, clock, asked, refreshErrors };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('what is at hand is given at once', () => {
  test('the second question is answered without asking, and not with a promise', async () => {
    const { resolver, asked } = make({ answers: [documentOf(DID, '1-a')] });
    const first = await resolver.current(DID);
    expect(resolver.current(DID)).toBe(first);
    expect(asked).toHaveLength(1);
  });

  test('however many wait, the source is asked once', async () => {
    const { resolver, asked } = make({ answers: [documentOf(DID)] });
    const documents = await Promise.all(Array.from({ length: 50 }, () => resolver.current(DID)));
    expect(new Set(documents).size).toBe(1);
    expect(asked).toHaveLength(1);
  });

  test('a DID that is its own document needs no source and never grows old', async () => {
    const { resolver, clock } = make({ answers: [] });
    const did = didKeyOf(keyOf('agent').publicKey);
    const first = await resolver.current(did);
    clock.now += 1e12;
    expect(resolver.current(did)).toBe(first);
    expect(resolver.newer(first)).toBe(first);
  });

  test('memory is bounded: the oldest leaves', async () => {
    const { resolver, asked } = make({ answers: [documentOf(DID)], cacheEntries: 3 });
    for (const name of ['a', 'b', 'c', 'd']) await resolver.current(`did:test:${name}`);
    expect(resolver.current('did:test:d')).not.toBeInstanceOf(Promise);
    await resolver.current('did:test:a');
    expect(asked).toEqual(['did:test:a', 'did:test:b', 'did:test:c', 'did:test:d', 'did:test:a']);
  });

  test('what is in use stays, however many others come by once', async () => {
    const { resolver, asked } = make({ answers: [documentOf(DID)], cacheEntries: 3 });
    const operator = await resolver.current('did:test:operator');
    for (let visitor = 0; visitor < 50; visitor++) {
      await resolver.current(`did:test:${visitor}`);
      expect(resolver.current('did:test:operator')).toBe(operator);
    }
    expect(asked).toHaveLength(51);
  });

  test('where all of it is in use, the oldest leaves', async () => {
    const { resolver, asked } = make({ answers: [documentOf(DID)], cacheEntries: 3 });
    const names = ['a', 'b', 'c', 'd'].map((name) => `did:test:${name}`);
    for (const name of names.slice(0, 3)) await resolver.current(name);
    for (const name of names.slice(0, 3)) resolver.current(name);
    for (const name of names.slice(3)) await resolver.current(name);
    expect(resolver.current(names[1] ?? '')).not.toBeInstanceOf(Promise);
    expect(resolver.current(names[0] ?? '')).toBeInstanceOf(Promise);
    expect(asked).toEqual([...names, names[0]]);
  });

  test.each(['did:unknown:x', 'did:web:example.com', 'nonsense', 'did:constructor:x', ''])(
    'a method without a source is unknown: %s',
    async (did) => {
      await expect(make({ answers: [] }).resolver.current(did)).rejects.toThrow(UnknownDid);
    },
  );
});

describe('documents grow old', () => {
  test('ahead of its end a document is refreshed while it serves', async () => {
    const { resolver, clock, asked } = make({ answers: [documentOf(DID, '1-a'), documentOf(DID, '2-b')] });
    const first = await resolver.current(DID);
    clock.now += 81_000;
    expect(resolver.current(DID)).toBe(first);
    expect(resolver.current(DID)).toBe(first);
    await settle();
    expect(asked).toHaveLength(2);
    expect(resolver.current(DID)).toMatchObject({ versionId: '2-b' });
  });

  test('a refresh that finds the same version leaves the same object', async () => {
    const { resolver, clock } = make({ answers: [documentOf(DID, '1-a'), documentOf(DID, '1-a')] });
    const first = await resolver.current(DID);
    clock.now += 101_000;
    expect(await resolver.current(DID)).toBe(first);
    expect(resolver.current(DID)).toBe(first);
  });

  test.each([
    { ttlSeconds: 5, freshFor: 5 },
    { ttlSeconds: 100_000, freshFor: 100 },
    { ttlSeconds: 0, freshFor: 1 },
  ])('a ttl of $ttlSeconds s keeps it $freshFor s', async ({ ttlSeconds, freshFor }) => {
    const { resolver, clock, asked } = make({ answers: [documentOf(DID)], ttlSeconds });
    await resolver.current(DID);
    clock.now += freshFor * 1000 - 1;
    expect(resolver.current(DID)).not.toBeInstanceOf(Promise);
    await settle();
    const before = asked.length;
    clock.now += freshFor * 1000 + 1;
    await resolver.current(DID);
    expect(asked.length).toBe(before + 1);
  });

  test('what cannot be had now is bridged, until it is too old', async () => {
    const down = new UnavailableDid('host is down');
    const { resolver, clock } = make({ answers: [documentOf(DID), down] });
    const first = await resolver.current(DID);
    clock.now += 150_000;
    expect(await resolver.current(DID)).toBe(first);
    clock.now += 151_000;
    await expect(resolver.current(DID)).rejects.toBe(down);
  });

  test('a refresh in the background that fails is told, and does no harm', async () => {
    const down = new UnavailableDid('host is down');
    const { resolver, clock, refreshErrors } = make({ answers: [documentOf(DID), down] });
    const first = await resolver.current(DID);
    clock.now += 85_000;
    expect(resolver.current(DID)).toBe(first);
    await settle();
    expect(refreshErrors).toEqual([down]);
    expect(resolver.current(DID)).toBe(first);
  });
});

describe('what changed is in force at once', () => {
  test('the old document serves no more, not even while the new one cannot be had', async () => {
    const { resolver } = make({ answers: [documentOf(DID, '1-a'), new UnavailableDid('down')] });
    await resolver.current(DID);
    resolver.changed(DID);
    await expect(resolver.current(DID)).rejects.toThrow('down');
  });

  test('an answer that was under way when the change came is asked for again', async () => {
    const slow = Promise.withResolvers<DidDocument>();
    const { resolver, asked } = make({ answers: [slow.promise, documentOf(DID, '2-b')] });
    const waiting = resolver.current(DID);
    resolver.changed(DID);
    slow.resolve(documentOf(DID, '1-a'));
    expect(await waiting).toMatchObject({ versionId: '2-b' });
    expect(asked).toHaveLength(2);
  });

  test('changes of many are told apart', async () => {
    const { resolver } = make({ answers: [documentOf(DID)] });
    const [a, b] = ['did:test:a', 'did:test:b'];
    await Promise.all([resolver.current(a), resolver.current(b)]);
    resolver.changedWhere((did) => did === a);
    expect(resolver.current(a)).toBeInstanceOf(Promise);
    expect(resolver.current(b)).not.toBeInstanceOf(Promise);
  });

  test('a key that is missing asks again, but not more often than once a second', async () => {
    const { resolver, clock, asked } = make({ answers: [documentOf(DID, '1-a'), documentOf(DID, '2-b')] });
    const first = await resolver.current(DID);
    expect(resolver.newer(first)).toBe(first);
    clock.now += 1001;
    const second = await resolver.newer(first);
    expect(second.versionId).toBe('2-b');
    expect(resolver.newer(first)).toBe(second);
    expect(asked).toHaveLength(2);
  });
});

describe('failures', () => {
  test('a DID that failed is not asked for again at once, but soon (E16)', async () => {
    const { resolver, clock, asked } = make({ answers: [new UnknownDid('no such log'), documentOf(DID)] });
    await expect(resolver.current(DID)).rejects.toThrow('no such log');
    await expect(resolver.current(DID)).rejects.toThrow('no such log');
    expect(asked).toHaveLength(1);
    clock.now += 2001;
    await expect(resolver.current(DID)).resolves.toMatchObject({ did: DID });
  });

  test('a failure of one DID is nothing to another', async () => {
    const { resolver } = make({ answers: [new UnknownDid('no such log'), documentOf(DID)] });
    await expect(resolver.current('did:test:victim')).rejects.toThrow();
    await expect(resolver.current('did:test:other')).resolves.toBeDefined();
  });

  test('an error that nobody foresaw passes as it is and is not kept', async () => {
    const { resolver, asked } = make({ answers: [new TypeError('defect'), documentOf(DID)] });
    await expect(resolver.current(DID)).rejects.toThrow(TypeError);
    await expect(resolver.current(DID)).resolves.toBeDefined();
    expect(asked).toHaveLength(2);
  });

  test('10,000 DIDs that do not exist leave bounded memory behind (E17)', async () => {
    const { resolver, clock, asked } = make({ answers: [new UnknownDid('no')], cacheEntries: 100 });
    for (let i = 0; i < 10_000; i++) await Promise.resolve(resolver.current(`did:test:${i}`)).catch(() => {});
    await Promise.resolve(resolver.current('did:test:0')).catch(() => {});
    expect(asked).toHaveLength(10_001);
    clock.now += 1;
    await Promise.resolve(resolver.current('did:test:9999')).catch(() => {});
    expect(asked).toHaveLength(10_001);
  });
});

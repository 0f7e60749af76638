// A stretch of a feed taken over as it is: in force at once where the copy is the feed itself, once each everywhere, and nothing of one
// that is not what was told before.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nextHead } from '../../../../src/restrictions/feed-head.ts';
import { type FeedSegment, packSegment } from '../../../../src/restrictions/feed-segment.ts';
import { entryOf } from '../../../../src/restrictions/restrictable-chain.ts';
import { RestrictionSet } from '../../../../src/restrictions/restriction-set.ts';
import { ALWAYS } from '../../../../src/restrictions/revocation-table.ts';
import type { Restriction } from '../../../../src/restrictions/verify-restriction.ts';
import { SqliteRestrictionStore } from '../../../../src/stores/sqlite/restrictions/restriction-store.ts';
import { SegmentMaker } from '../../../../src/stores/sqlite/restrictions/segment-maker.ts';
import { by, chainWith, restrictionOf } from './statements.ts';

const details = { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5-nano'] } as const;
/** Every tenth narrows. */
const all = Array.from({ length: 60 }, (_, at) =>
  (at + 1) % 10 === 0
    ? restrictionOf(at + 1, { effect: 'narrow', details } as never)
    : restrictionOf(at + 1, at % 7 === 3 ? { before: 50 } : {}),
);
const headAt = (sequence: number) => all.slice(0, sequence).reduce((head, { compact }) => nextHead(head, compact), '');
const placeOf = (sequence: number) => ({ sequence, head: headAt(sequence) });
const positionOf = (sequence: number) => ({ epoch: 'e', ...placeOf(sequence), authors: 'a' });

function segmentOf(from: number, to: number, rows: readonly Restriction[] = all.slice(from, to)): FeedSegment {
  const packed = rows.map(({ id, compact, effect, target, before }) => ({
    id,
    compact,
    revokes: effect === 'revoke' ? { entry: entryOf(by, target.kind, target.value), before: before ?? ALWAYS } : undefined,
  }));
  return { bytes: packSegment(packed), start: placeOf(from), end: placeOf(to) };
}

let directory: string;
let file: string;
let opened: SqliteRestrictionStore[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'import-'));
  file = join(directory, 'copy.db');
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function openCopy() {
  const store = await SqliteRestrictionStore.open(file);
  opened.push(store);
  const set = new RestrictionSet({ administrators: [], read: (sequence) => store.read(sequence) });
  store.keepInForce(set);
  const has = (number: number, iat = 1) => {
    const found = set.find(chainWith(`jti-${number}`, iat));
    return 'revoked' in found || found.narrowed.length > 0;
  };
  return { store, set, has, inForce: () => all.filter((_, at) => has(at + 1)).length };
}
const kept = (store: SqliteRestrictionStore, count: number) =>
  expect.poll(() => store.lastSequence(), { timeout: 10_000, interval: 5 }).toBe(count);

async function expectWhole(store: SqliteRestrictionStore) {
  await kept(store, all.length);
  expect(store.failure).toBeUndefined();
  expect(store.after(0, 100).map(({ compact }) => compact)).toEqual(all.map(({ compact }) => compact));
  expect(store.headAt(all.length)).toBe(headAt(all.length));
  expect(store.position()).toEqual(positionOf(all.length));
}

test('an empty copy has it in force at once, and news before the copy is written', async () => {
  const { store, set, has, inForce } = await openCopy();
  await store.import(segmentOf(0, 25), placeOf(0), positionOf(25));
  expect(inForce()).toBe(25);
  // Nothing of it is kept yet: the thread has not been asked.
  expect(store.lastSequence()).toBe(0);
  expect(set.find(chainWith('jti-10'))).toMatchObject({ narrowed: [{ details }] });
  expect([has(4, 49), has(4, 50)]).toEqual([true, false]);
  await store.import(segmentOf(25, 50), placeOf(25), positionOf(50));
  const added = await store.append(all.slice(50, 55), positionOf(55));
  expect(added.map(({ sequence }) => sequence)).toEqual([51, 52, 53, 54, 55]);
  expect(inForce()).toBe(55);
  await store.append(all.slice(55), positionOf(60));
  await expectWhole(store);
  expect(set.find(chainWith('jti-1'))).toMatchObject({ revoked: { id: all[0]?.id } });
  await store.close();
  opened = [];
  const again = await openCopy();
  expect(again.inForce()).toBe(60);
  await again.store.append([restrictionOf(61)]);
  expect(again.has(61)).toBe(true);
});

test('a listener who asked for it is told once, when all of it is in force, on each of the two ways', async () => {
  const { store, inForce } = await openCopy();
  const told: (number | string)[] = [];
  store.subscribe(
    (_, sequence) => told.push(sequence),
    () => told.push(`many: ${inForce()}`),
  );
  await store.import(segmentOf(0, 25), placeOf(0), positionOf(25));
  expect(told).toEqual(['many: 25']);
  await kept(store, 25);
  // Not where the copy ends: taken over row by row, once the store has heard that what came before is kept.
  const taken = () => store.import(segmentOf(20, 60), placeOf(25), positionOf(60)).then(() => 'taken', String);
  await expect.poll(taken, { timeout: 5000, interval: 5 }).toBe('taken');
  expect(told).toEqual(['many: 25', 'many: 60']);
  await store.append([restrictionOf(61)], { ...positionOf(60), sequence: 61 });
  expect(told.at(-1)).toBe(61);
});

test('a listener to whom every one matters is told of every one', async () => {
  const { store } = await openCopy();
  const told: number[] = [];
  store.subscribe((_, sequence) => told.push(sequence));
  await store.import(segmentOf(0, 25), placeOf(0), positionOf(25));
  expect(told).toEqual(Array.from({ length: 25 }, (_, at) => at + 1));
});

test('one that ends in between goes on from there, and has its rows once', async () => {
  const { store, inForce } = await openCopy();
  await store.append(all.slice(0, 30), positionOf(30));
  await store.import(segmentOf(20, 40), placeOf(30), positionOf(40));
  expect(inForce()).toBe(40);
  await store.import(segmentOf(40, 60), placeOf(40), positionOf(60));
  expect(inForce()).toBe(60);
  await expectWhole(store);
});

test('a copy that knows more, or less, has what it lacks when it resolves, and knows all the same', async () => {
  const { store, set, inForce } = await openCopy();
  await store.append([restrictionOf(100), ...all.slice(3, 5)]);
  await store.import(segmentOf(0, 60), placeOf(0), positionOf(60));
  expect(inForce()).toBe(60);
  expect(store.lastSequence()).toBe(61);
  expect(set.find(chainWith('jti-100'))).toHaveProperty('revoked');
  expect(store.failure).toBeUndefined();
  await store.close();
  opened = [];
  expect((await openCopy()).inForce()).toBe(60);
});

test('stopped before it was written, a copy is whole up to where it says', async () => {
  const { store } = await openCopy();
  for (let from = 0; from < 60; from += 3) await store.import(segmentOf(from, from + 3), placeOf(from), positionOf(from + 3));
  await store.close();
  opened = [];
  const again = await openCopy();
  const { sequence } = again.store.position() ?? { sequence: 0 };
  expect(again.store.lastSequence()).toBe(sequence);
  expect(again.inForce()).toBe(sequence);
  if (sequence < 60) await again.store.import(segmentOf(sequence, 60), placeOf(sequence), positionOf(60));
  await expectWhole(again.store);
});

describe('H7 a segment that is not what was told before is refused, and nothing of it kept', () => {
  const lies: [string, number, () => [FeedSegment, number]][] = [
    ['with another beginning', 30, () => [segmentOf(20, 40, [restrictionOf(99), ...all.slice(21, 40)]), 30]],
    ['with another end', 30, () => [segmentOf(20, 40, [...all.slice(20, 39), restrictionOf(99)]), 30]],
    ['cut', 30, () => [segmentOf(20, 40, all.slice(20, 39)), 30]],
    ['of bytes that are none', 30, () => [{ ...segmentOf(20, 40), bytes: Buffer.from('none of it at all') }, 30]],
    ['of bytes that are none, for an empty copy', 0, () => [{ ...segmentOf(0, 20), bytes: Buffer.from('none of it at all') }, 0]],
    ['cut, for an empty copy', 0, () => [segmentOf(0, 20, all.slice(0, 19)), 0]],
    ['from further on', 10, () => [segmentOf(20, 40), 10]],
    ['with the id of another', 30, () => [segmentOf(30, 31, [restrictionOf(31, { id: all[0]?.id ?? '' })]), 30]],
  ];
  test.each(lies)('%s', async (_, known, lie) => {
    const { store, inForce } = await openCopy();
    if (known > 0) await store.append([...all.slice(0, known)], positionOf(known));
    // Other than the feed, so that it is looked at before it is in force.
    if (known > 0) await store.append([restrictionOf(100)]);
    const [segment, from] = lie();
    await expect(store.import(segment, placeOf(from), positionOf(segment.end.sequence))).rejects.toThrow(
      expect.objectContaining({ name: 'RefusedFeed' }),
    );
    expect(inForce()).toBe(known);
    expect(store.failure).toBeUndefined();
    expect(store.position()?.sequence).toBe(known || undefined);
  });

  test('one that was in force before it was found out ends the store: everything is denied', async () => {
    const { store } = await openCopy();
    await store.import(segmentOf(0, 20, [restrictionOf(99), ...all.slice(1, 20)]), placeOf(0), positionOf(20));
    await expect.poll(() => store.failure?.message, { timeout: 5000 }).toContain('not what was told before');
    expect(store.lastSequence()).toBe(0);
  });
});

test('the vault cuts its own into segments: whole ones only, the same each time, and a copy takes them over', {
  timeout: 60_000,
}, async () => {
  const source = await SqliteRestrictionStore.open(join(directory, 'vault.db'));
  opened.push(source);
  const many = Array.from({ length: 4100 }, (_, at) =>
    restrictionOf(at + 1, at === 7 ? ({ effect: 'narrow', details } as never) : {}),
  );
  for (let at = 0; at < many.length; at += 500) await source.append(many.slice(at, at + 500));
  const maker = new SegmentMaker(join(directory, 'vault.db'));
  try {
    const made = await maker.make(0);
    expect(made).toMatchObject({ to: 4096, head: source.headAt(4096) });
    expect(await maker.make(0)).toEqual(made);
    expect(await maker.make(4096)).toBeUndefined();
    const { store, set } = await openCopy();
    const end = { sequence: 4096, head: source.headAt(4096) ?? '' };
    await store.import({ bytes: made?.bytes ?? Buffer.alloc(0), start: placeOf(0), end }, placeOf(0), {
      epoch: 'e',
      ...end,
      authors: '',
    });
    expect(set.revocations.count).toBe(4095);
    await kept(store, 4096);
    expect(store.headAt(4096)).toBe(source.headAt(4096));
  } finally {
    await maker.close();
  }
});

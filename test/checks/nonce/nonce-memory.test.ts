// Row 9 of profile section 4, with a monotonic clock that the test moves.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NonceMemory } from '../../../src/checks/nonce/nonce-memory.ts';

const WINDOW = 120_000;
/** What is accepted within one goes together. */
const SLICE = WINDOW / 16;

function setUp(changes: Partial<ConstructorParameters<typeof NonceMemory>[0]> = {}) {
  const clock = { now: 5_000 };
  const memory = new NonceMemory({
    perKeyLimit: 100,
    windowMillis: WINDOW,
    monotonic: () => clock.now,
    forgottenThrough: 0,
    bornAt: 0,
    ...changes,
  });
  let decisions = 0;
  const consume = (entry: string, changes: Partial<Parameters<typeof memory.consume>[0]> = {}) => {
    const use = { jkt: 'key', created: 0, retainUntil: 1_000_000, streamId: 'stream', signature: 'sig' };
    return memory.consume({ entry, ...use, decisionId: `decision-${++decisions}`, ...changes });
  };
  return { clock, memory, consume };
}

test('a nonce is taken once', () => {
  const { consume } = setUp();
  expect(consume('a')).toBe('first');
  expect(consume('a', { streamId: 'other' })).toBe('replayed');
  expect(consume('b')).toBe('first');
});

describe('a Check that Envoy repeats', () => {
  test('is told the first decision, for less than two seconds', () => {
    const { clock, consume } = setUp();
    consume('a');
    clock.now += 1999;
    expect(consume('a')).toEqual({ repeated: 'decision-1' });
    clock.now += 1;
    expect(consume('a')).toBe('replayed');
  });

  test('does not win time by repeating', () => {
    const { clock, consume } = setUp();
    consume('a');
    clock.now += 1500;
    expect(consume('a')).toEqual({ repeated: 'decision-1' });
    clock.now += 500;
    expect(consume('a')).toBe('replayed');
  });

  test.each([
    ['another stream', { streamId: 'other' }],
    ['another signature', { signature: 'other' }],
    ['no stream id', { streamId: '' }],
  ])('is a replay with %s', (_, change) => {
    const { consume } = setUp();
    consume('a');
    expect(consume('a', change)).toBe('replayed');
  });

  test('is a replay where neither Check had a stream id', () => {
    const { consume } = setUp();
    consume('a', { streamId: '' });
    expect(consume('a', { streamId: '' })).toBe('replayed');
  });
});

describe('the quota', () => {
  test('is of each key alone, and repeats and replays do not count', () => {
    const { consume } = setUp({ perKeyLimit: 2 });
    expect([consume('a'), consume('a'), consume('a', { streamId: 'x' }), consume('b'), consume('c')]).toEqual([
      'first',
      { repeated: 'decision-1' },
      'replayed',
      'first',
      'quota',
    ]);
    expect(consume('c', { jkt: 'other' })).toBe('first');
  });

  test('is four times as much for all keys below one root, however many it makes', () => {
    const { clock, consume } = setUp({ perKeyLimit: 10 });
    const flood = (rootJkt: string, retainUntil = 1_000_000) =>
      Array.from({ length: 100 }, (_, at) =>
        consume(`${rootJkt}-${at}-${retainUntil}`, { jkt: `session-${rootJkt}-${at}`, rootJkt, retainUntil }),
      );
    const taken = (verdicts: readonly unknown[]) => verdicts.filter((verdict) => verdict === 'first').length;
    expect(taken(flood('root'))).toBe(40);
    expect(taken(flood('other'))).toBe(40);
    // Its own key has used nothing, but answers for those below it.
    expect(consume('own', { jkt: 'root' })).toBe('quota');
    expect(consume('delegated', { jkt: 'root', rootJkt: 'third' })).toBe('first');
    clock.now += WINDOW + SLICE;
    expect(taken(flood('root', 2_000_000))).toBe(40);
  });

  test('a nonce that was refused for it is not taken', () => {
    const { clock, consume } = setUp({ perKeyLimit: 1 });
    consume('a', { retainUntil: 10 });
    expect(consume('b', { retainUntil: 20 })).toBe('quota');
    clock.now += WINDOW + SLICE;
    expect(consume('b', { retainUntil: 20 })).toBe('first');
  });
});

describe('forgetting', () => {
  test('goes by the monotonic clock, and not before the window has passed', () => {
    const { clock, memory, consume } = setUp();
    consume('a', { retainUntil: 100 });
    clock.now += WINDOW;
    expect(consume('a', { retainUntil: 100, streamId: 'x' })).toBe('replayed');
    clock.now += SLICE;
    consume('b', { retainUntil: 200 });
    expect(memory.size).toBe(1);
  });

  test('leaves a floor: what could have been among the forgotten is refused', () => {
    const { clock, consume } = setUp();
    consume('a', { retainUntil: 100 });
    consume('b', { retainUntil: 300 });
    consume('c', { retainUntil: 200 });
    clock.now += WINDOW + SLICE;
    expect(consume('a', { retainUntil: 100 })).toBe('forgotten');
    expect(consume('never seen', { retainUntil: 300 })).toBe('forgotten');
    expect(consume('later', { retainUntil: 301 })).toBe('first');
  });

  test('does not lower a floor of an earlier process', () => {
    const { clock, consume } = setUp({ forgottenThrough: 500 });
    expect(consume('a', { retainUntil: 500 })).toBe('forgotten');
    expect(consume('b', { retainUntil: 501 })).toBe('first');
    clock.now += WINDOW + SLICE;
    expect(consume('c', { retainUntil: 501 })).toBe('forgotten');
  });
});

test('a store that is new takes nothing that was signed before it was', () => {
  const { consume } = setUp({ bornAt: 500 });
  expect(consume('a', { created: 499 })).toBe('forgotten');
  expect(consume('a', { created: 500 })).toBe('first');
});

describe('what an earlier process accepted', () => {
  test('is a replay, counts for its key and is forgotten in its turn', () => {
    const { clock, memory, consume } = setUp({ perKeyLimit: 1 });
    memory.load('a', 'key', 100);
    expect(consume('a')).toBe('replayed');
    expect(consume('b')).toBe('quota');
    clock.now += WINDOW + SLICE;
    expect(consume('a', { retainUntil: 100 })).toBe('forgotten');
    expect(consume('b', { retainUntil: 101 })).toBe('first');
  });

  test('is no repeated Check, whatever its stream id', () => {
    const { memory, consume } = setUp();
    memory.load('a', 'key', 1_000_000);
    expect(consume('a', { streamId: 'stream' })).toBe('replayed');
  });
});

test('over any course of time no nonce is first twice while its signature could be accepted', () => {
  const step = fc.record({
    wait: fc.constantFrom(0, 1, 999, 1000, 1999, 2000, SLICE, 60_000, WINDOW),
    entry: fc.constantFrom('a', 'b', 'c', 'd'),
    streamId: fc.constantFrom('s', 't'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, consume } = setUp();
      // An entry is one signature: its end never moves. The wall clock runs with the monotonic one here.
      const ends = new Map<string, number>();
      const taken = new Set<string>();
      for (const { wait, entry, streamId } of steps) {
        clock.now += wait;
        const retainUntil = ends.get(entry) ?? clock.now + 90_000;
        ends.set(entry, retainUntil);
        const verdict = consume(entry, { retainUntil, streamId });
        if (verdict === 'first') {
          expect(taken.has(entry)).toBe(false);
          taken.add(entry);
        }
      }
    }),
    { numRuns: 500 },
  );
});

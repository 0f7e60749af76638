// What is noticed of what replicas tell each other: gaps, foreign entries, the past told again, and one's own silence.

import { beforeEach, describe, expect, test, vi } from 'vitest';
import { FleetMac } from '../../../src/stores/redis/mac.ts';
import { HeardNonces } from '../../../src/stores/redis/nonces/heard-nonces.ts';
import { NonceTeller, sealBatch, type ToldBatch } from '../../../src/stores/redis/nonces/told-nonces.ts';

const mac = new FleetMac('a secret of thirty-two bytes or more', 'nonce-gossip');
const [OWN, OTHER] = ['own-own-own-own-', 'other-other-othe'];
const name = (letter: string) => letter.repeat(43);
let now = 0;
let missing: string[] = [];
let twice = 0;
let called = 0;
let heard: HeardNonces;
const tell = (replica: string, number: number, ...names: string[]) =>
  heard.hear(sealBatch(mac, 'key', { replica, number, names, calls: false }));

beforeEach(() => {
  now = 0;
  missing = [];
  twice = 0;
  called = 0;
  heard = new HeardNonces({
    replica: OWN,
    mac,
    key: 'key',
    windowMillis: 120_000,
    monotonic: () => now,
    isOwn: (each) => each === name('m'),
    onTwice: () => twice++,
    onCall: () => called++,
    onMissing: (why) => missing.push(why),
  });
});

describe('what is heard', () => {
  test('stays known for a window, in however many batches it came', () => {
    tell(OTHER, 7, name('a'), name('b'));
    tell(OTHER, 8);
    tell(OTHER, 9, name('c'));
    expect(['a', 'b', 'c', 'd'].map((letter) => heard.has(name(letter)))).toEqual([true, true, true, false]);
    now = 119_999;
    tell(OTHER, 10, name('d'));
    now = 239_000;
    tell(OTHER, 11, name('e'));
    expect(heard.has(name('d'))).toBe(true);
    now = 500_000;
    tell(OTHER, 12, name('f'));
    now = 700_000;
    tell(OTHER, 13, name('g'));
    expect(heard.has(name('d'))).toBe(false);
    expect(missing).toEqual([]);
  });

  test('is missing where a number is left out, and no more than once', () => {
    tell(OTHER, 1);
    tell(OTHER, 3, name('a'));
    expect(missing).toHaveLength(1);
    expect(heard.has(name('a'))).toBe(true);
    tell(OTHER, 4);
    tell(OTHER, 2, name('b'));
    expect(missing).toHaveLength(1);
    expect(heard.has(name('b'))).toBe(false);
  });

  test('begins with the first batch of a replica that starts later', () => {
    now = 6000;
    tell(OTHER, 1);
    expect(missing).toEqual([]);
    tell('third-third-thir', 2);
    expect(missing).toHaveLength(1);
  });

  test.each([
    ['nothing', ''],
    ['another key', sealBatch(mac, 'another', { replica: OTHER, number: 1, names: [], calls: false })],
    ['another purpose', new FleetMac('a secret of thirty-two bytes or more', 'nonce').seal('key', `${OTHER}.1.`)],
    [
      'another fleet',
      sealBatch(new FleetMac('x'.repeat(32), 'nonce-gossip'), 'key', { replica: OTHER, number: 1, names: [], calls: false }),
    ],
    [
      'a change',
      sealBatch(mac, 'key', { replica: OTHER, number: 1, names: [], calls: false }).replace(`${OTHER}.1`, `${OTHER}.2`),
    ],
  ])('of %s is not of the fleet', (_title, sealed) => {
    heard.hear(sealed);
    expect(missing).toEqual(['an entry that is not of the fleet']);
  });

  test('of a nonce that this replica took as well is an alarm', () => {
    tell(OTHER, 1, name('m'));
    expect(twice).toBe(1);
  });

  test('is current only after what this replica says now came back', () => {
    expect(heard.isCurrent).toBe(false);
    heard.listening(5);
    tell(OWN, 4);
    tell(OWN, 5);
    expect(heard.isCurrent).toBe(false);
    tell(OWN, 6);
    expect(heard.isCurrent).toBe(true);
    now = 3000;
    expect(heard.isCurrent).toBe(false);
    tell(OWN, 7);
    expect(heard.isCurrent).toBe(true);
    heard.deaf();
    tell(OWN, 8);
    expect(heard.isCurrent).toBe(false);
  });

  test('after a pause is current only when each replica that was there was heard again, behind this one’s own word', () => {
    heard.listening(0);
    tell(OWN, 1);
    tell(OTHER, 1);
    now = 1000;
    heard.deaf();
    heard.deaf();
    heard.listening(1);
    // Of before: what it told next may have been removed.
    tell(OTHER, 2);
    tell(OWN, 2);
    expect([heard.hearsItself, heard.isCurrent]).toEqual([true, false]);
    tell(OTHER, 4);
    expect(heard.isCurrent).toBe(true);
    expect(missing).toEqual(['an entry of another replica']);
  });

  test('does not wait for one that was gone before the pause, and fences for one that went in it', () => {
    heard.listening(0);
    tell(OWN, 1);
    tell('third-third-thir', 1);
    now = 3000;
    tell(OWN, 2);
    tell(OTHER, 1);
    heard.deaf();
    now = 4000;
    heard.listening(2);
    tell(OWN, 3);
    now = 6999;
    tell(OWN, 4);
    heard.giveUp();
    expect([heard.isCurrent, missing]).toEqual([false, []]);
    now = 7000;
    heard.giveUp();
    expect([heard.isCurrent, missing]).toEqual([true, ['a replica that was there before']]);
    heard.giveUp();
    expect(missing).toHaveLength(1);
  });

  test('one that asks for a word gets it, from the others', () => {
    heard.hear(sealBatch(mac, 'key', { replica: OTHER, number: 1, names: [name('a')], calls: true }));
    expect([called, heard.has(name('a'))]).toEqual([1, true]);
    heard.hear(sealBatch(mac, 'key', { replica: OWN, number: 1, names: [], calls: true }));
    expect(called).toBe(1);
  });
});

test('what is told is numbered without gaps, and told again as it was until it has arrived', async () => {
  const sent: ToldBatch[] = [];
  let fails = 2;
  const teller = new NonceTeller({
    replica: OWN,
    send: async (batch) => {
      sent.push(batch);
      if (batch.number > 1 && fails-- > 0) throw new Error('lost');
    },
  });
  try {
    for (const letter of ['a', 'b', 'c']) teller.tell(name(letter));
    for (const end = Date.now() + 5000; sent.flatMap(({ names }) => names).length < 9 && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(sent.map(({ number }) => number)).toEqual([1, 2, 2, 2]);
    expect(sent.slice(1).map(({ names }) => names)).toEqual(Array.from({ length: 3 }, () => ['a', 'b', 'c'].map(name)));
  } finally {
    teller.stop();
  }
});

test('a call is in the next batch, and in no other', async () => {
  const sent: boolean[] = [];
  const teller = new NonceTeller({ replica: OWN, send: async ({ calls }) => void sent.push(calls) });
  try {
    teller.call();
    teller.call();
    await new Promise((resolve) => setTimeout(resolve, 20));
    teller.tell(name('a'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sent).toEqual([false, true, false]);
  } finally {
    teller.stop();
  }
});

test('a batch that was under way when something new was asked for is followed by one at once', async () => {
  vi.useFakeTimers();
  const sent: number[] = [];
  let arrive = () => {};
  const teller = new NonceTeller({
    replica: OWN,
    send: ({ number }) =>
      new Promise((resolve) => {
        sent.push(number);
        arrive = resolve;
      }),
  });
  try {
    teller.beat();
    expect(sent).toEqual([1]);
    arrive();
    await vi.advanceTimersByTimeAsync(10);
    expect(sent).toEqual([1, 2]);
    arrive();
    await vi.advanceTimersByTimeAsync(100);
    expect(sent).toEqual([1, 2]);
  } finally {
    teller.stop();
    vi.useRealTimers();
  }
});

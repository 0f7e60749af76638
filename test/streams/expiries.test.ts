// One timer for all that will expire.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Expiries } from '../../src/streams/expiries.ts';

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

function make() {
  const told: string[] = [];
  const expiries = new Expiries<string>({ clock: Date.now, onExpired: (things) => told.push(...things) });
  return { expiries, told };
}

test('each is told once, in its second and not before, whatever the order they came in', () => {
  const { expiries, told } = make();
  for (const [name, second] of [
    ['late', 90],
    ['soon', 10],
    ['never', 20],
    ['soon too', 10],
  ] as const)
    expiries.add(name, second);
  expiries.delete('never', 20);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(9999);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(told).toEqual(['soon', 'soon too']);
  vi.advanceTimersByTime(79_999);
  expect(told).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(told).toEqual(['soon', 'soon too', 'late']);
  expect(vi.getTimerCount()).toBe(0);
});

test('what has expired already is told at once, and a lifetime of months is no overflow', () => {
  const { expiries, told } = make();
  vi.setSystemTime(1_000_000);
  expiries.add('months', 8_000_000);
  expiries.add('past', 1);
  vi.advanceTimersByTime(1);
  expect(told).toEqual(['past']);
});

test('a clock that is set forward is noticed within half a minute', () => {
  const { expiries, told } = make();
  expiries.add('hour', 3600);
  vi.setSystemTime(3_600_000);
  vi.advanceTimersByTime(30_000);
  expect(told).toEqual(['hour']);
});

test('nothing is told after it was closed', () => {
  const { expiries, told } = make();
  expiries.add('soon', 1);
  expiries.close();
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual([]);
});

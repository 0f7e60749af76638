// Threat model row E17: what goes out is bounded, and one host has a part of it.

import { describe, expect, test } from 'vitest';
import { FailedFetch } from '../../../src/vault/fetch/fetch-error.ts';
import { makeRequestBudget } from '../../../src/vault/fetch/request-budget.ts';

function budgetAt(changed: { requestsPerSecond?: number; maxConcurrent?: number; sharePerHost?: number } = {}) {
  let now = 0;
  const budget = makeRequestBudget({
    requestsPerSecond: 10,
    maxConcurrent: 1000,
    sharePerHost: 0.5,
    monotonic: () => now,
    ...changed,
  });
  const takes = (host: string): boolean => {
    try {
      budget.take(host)();
      return true;
    } catch (error) {
      expect(error).toBeInstanceOf(FailedFetch);
      return false;
    }
  };
  return {
    budget,
    pass: (millis: number) => {
      now += millis;
    },
    /** Of so many, how many were let through. */
    taken: (count: number, host: (index: number) => string) =>
      Array.from({ length: count }, (_, index) => takes(host(index))).filter(Boolean).length,
  };
}

const same = () => 'a.test';
const different = (index: number) => `${index}.test`;

describe('E17: rate', () => {
  test('one host gets its share, and the others the rest', () => {
    const { taken, pass } = budgetAt();
    expect(taken(100, same)).toBe(5);
    expect(taken(100, different)).toBe(5);
    pass(200);
    expect(taken(100, same)).toBe(1);
    expect(taken(100, different)).toBe(1);
  });

  test('over a minute no more than the rate, and rest is not saved up', () => {
    const { taken, pass } = budgetAt();
    pass(3_600_000);
    let all = 0;
    for (let tick = 0; tick < 600; tick++) {
      all += taken(50, different);
      pass(100);
    }
    expect(all).toBeGreaterThanOrEqual(600);
    expect(all).toBeLessThanOrEqual(610);
  });

  test('what was refused costs nothing', () => {
    const { taken, pass } = budgetAt({ sharePerHost: 1 });
    expect(taken(1000, same)).toBe(10);
    pass(1000);
    expect(taken(1000, same)).toBe(10);
  });

  test('less than one per second is let through one at a time', () => {
    const { taken, pass } = budgetAt({ requestsPerSecond: 0.5 });
    expect(taken(10, same)).toBe(1);
    pass(1999);
    expect(taken(10, different)).toBe(0);
    pass(2);
    expect(taken(10, different)).toBe(1);
  });

  test('10^5 hosts leave nothing behind', () => {
    const { budget, taken, pass } = budgetAt();
    let most = 0;
    for (let second = 0; second < 1000; second++) {
      taken(100, (index) => `${second}-${index}.test`);
      most = Math.max(most, budget.hosts);
      pass(1000);
    }
    expect(most).toBeLessThanOrEqual(30);
  });
});

describe('places', () => {
  test('one host takes its share of them, and each is free again once', () => {
    const { budget } = budgetAt({ requestsPerSecond: 1000, maxConcurrent: 4 });
    const [first] = [budget.take('a.test'), budget.take('a.test')];
    expect(() => budget.take('a.test')).toThrow('to this host');
    budget.take('b.test');
    budget.take('c.test');
    expect(() => budget.take('d.test')).toThrow('4 requests are under way');
    first();
    budget.take('d.test');
    expect(() => budget.take('a.test')).toThrow(FailedFetch);
  });

  test('even the smallest share is one', () => {
    const { budget } = budgetAt({ maxConcurrent: 1, sharePerHost: 0.01 });
    const release = budget.take('a.test');
    expect(() => budget.take('b.test')).toThrow(FailedFetch);
    release();
    expect(() => budget.take('b.test')).not.toThrow();
  });

  test('a host with a request under way is remembered however long it takes', () => {
    const { budget, pass } = budgetAt({ requestsPerSecond: 1000, maxConcurrent: 2 });
    const release = budget.take('a.test');
    pass(3_600_000);
    expect(() => budget.take('a.test')).toThrow('to this host');
    release();
    pass(3_600_000);
    budget.take('b.test');
    expect(budget.hosts).toBe(1);
  });
});

// What is kept of chains: as much of one agent as of another, and no more than there is room for.

import { expect, test } from 'vitest';
import { ChainMemory } from '../../../src/checks/chain/chain-memory.ts';

const long = (last: string, characters: number) => last.padStart(characters, 'x');

test('keeps as many as there are places, and forgets the oldest', () => {
  const memory = new ChainMemory<number>(3);
  for (let at = 0; at < 5; at++) memory.keep(`chain-${at}`, at);
  expect([0, 1, 2, 3, 4].map((at) => memory.get(`chain-${at}`))).toEqual([undefined, undefined, 2, 3, 4]);
  memory.forget('chain-3');
  memory.forget('chain-3');
  memory.keep('chain-5', 5);
  expect([2, 3, 4, 5].map((at) => memory.get(`chain-${at}`))).toEqual([2, undefined, 4, 5]);
});

test('a chain that is kept again takes its place once', () => {
  const memory = new ChainMemory<number>(2);
  memory.keep('a', 1);
  for (let at = 0; at < 5; at++) memory.keep('b', at);
  expect([memory.get('a'), memory.get('b')]).toEqual([1, 4]);
});

test('a long chain takes the place of several', () => {
  const memory = new ChainMemory<number>(10);
  for (let at = 0; at < 10; at++) memory.keep(`chain-${at}`, at);
  memory.keep(long('a', 4097), 100);
  expect([0, 1, 2].map((at) => memory.get(`chain-${at}`))).toEqual([undefined, undefined, 2]);
  memory.keep(long('b', 5 * 4096), 101);
  expect([6, 7, 8, 9].map((at) => memory.get(`chain-${at}`))).toEqual([undefined, 7, 8, 9]);
  expect([memory.get(long('a', 4097)), memory.get(long('b', 5 * 4096))]).toEqual([100, 101]);
  memory.forget(long('b', 5 * 4096));
  for (let at = 10; at < 15; at++) memory.keep(`chain-${at}`, at);
  expect(memory.get(long('a', 4097))).toBe(100);
});

test('chains as long as each other, which V8 would take for one key, are told apart', () => {
  const memory = new ChainMemory<number>(100);
  for (let at = 10; at < 20; at++) memory.keep(long(String(at), 24_000), at);
  expect([10, 19].map((at) => memory.get(long(String(at), 24_000)))).toEqual([10, 19]);
});

test('what there is no room for is not kept, and takes nobody’s place', () => {
  const memory = new ChainMemory<number>(2);
  memory.keep('a', 1);
  memory.keep(long('b', 3 * 4096), 2);
  expect([memory.get('a'), memory.get(long('b', 3 * 4096))]).toEqual([1, undefined]);
  const none = new ChainMemory<number>(0);
  none.keep('a', 1);
  expect(none.get('a')).toBeUndefined();
});

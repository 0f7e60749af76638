// A table of names in typed arrays, held against a Map.

import { hash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FlatTable, nameWords } from '../src/flat-table.ts';

const digest = (text: string) => hash('sha256', text, 'base64url');

test('has what a Map has, whatever was put, again or not', () => {
  const name = fc.integer({ min: 0, max: 3000 }).map((number) => (number % 2 ? digest(String(number)) : `name ${number}`));
  const put = fc.record({
    name,
    first: fc.integer({ min: 1, max: 0xffffffff }),
    second: fc.integer({ min: 0, max: 0xffffffff }),
  });
  fc.assert(
    fc.property(fc.array(put, { maxLength: 2000, size: 'max' }), fc.constantFrom(1, 4, 256), (puts, shards) => {
      const [table, map] = [new FlatTable(shards), new Map<string, readonly [number, number]>()];
      for (const { name, first, second } of puts) {
        table.put(nameWords(name), 0, first, second);
        map.set(name, [first, second]);
      }
      expect(table.size).toBe(map.size);
      for (let number = 0; number <= 3000; number++) {
        const name = number % 2 ? digest(String(number)) : `name ${number}`;
        const found = table.find(nameWords(name)) ? ([table.first, table.second] as const) : undefined;
        expect(found).toEqual(map.get(name));
      }
    }),
    { numRuns: 20 },
  );
});

test('takes no number that would be no entry', () => {
  for (const first of [0, -1, 2 ** 32, Number.NaN])
    expect(() => new FlatTable().put(nameWords('a'), 0, first, 0)).toThrow(RangeError);
});

test('a name is the same whatever was asked for before it', () => {
  const names = ['', 'a', digest('b'), `${'!'.repeat(42)}A`, 'A'.repeat(43), `${digest('b').slice(0, 42)}!`, 'ä'.repeat(43)];
  const words = names.map((name) => [...nameWords(name)]);
  for (const [at, name] of [...names.entries()].reverse()) {
    nameWords(digest(randomBytes(8).toString('hex')));
    expect([...nameWords(name)]).toEqual(words[at]);
  }
  expect(new Set(words.map(String)).size).toBe(names.length);
});

test('names that are made to lie in one place lie apart', () => {
  const places = new Set<number>();
  const name = randomBytes(32);
  for (let number = 0; number < 10_000; number++) {
    randomBytes(4).copy(name, 16);
    places.add((nameWords(name.toString('base64url'))[1] ?? 0) & 0xffff);
  }
  // By chance about 9,270 of 65,536: were the place taken from the name as it stands, it would be one.
  expect(places.size).toBeGreaterThan(8_500);
});

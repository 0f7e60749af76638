// Names whose name servers are silent do not hold up those that were found before.

import { expect, test } from 'vitest';
import type { Lookup } from '../../../src/vault/fetch/guarded-connection.ts';
import { makeFairLookup } from '../../../src/vault/fetch/system-lookup.ts';

function world() {
  const clock = { now: 0 };
  const running = new Map<string, Parameters<Lookup>[2]>();
  const fair = makeFairLookup({ lookup: (name, _, found) => void running.set(name, found), monotonic: () => clock.now });
  const found: string[] = [];
  return {
    clock,
    running,
    found,
    ask: (name: string) => fair(name, { all: true }, (error) => found.push(error ? `${name}!` : name)),
    end: (name: string, error: Error | null = null) => {
      const tell = running.get(name);
      running.delete(name);
      tell?.(error, []);
    },
  };
}

test('four names that are new are looked up at a time, and those that were found before at once', () => {
  const { ask, end, running, found } = world();
  ask('good');
  end('good');
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) ask(name);
  expect([...running.keys()]).toEqual(['a', 'b', 'c', 'd']);
  ask('good');
  expect(running.has('good')).toBe(true);
  end('good');
  end('b', new Error('silent'));
  expect([...running.keys()]).toEqual(['a', 'c', 'd', 'e']);
  for (const name of ['a', 'c', 'd', 'e', 'f']) end(name);
  expect(found).toEqual(['good', 'good', 'b!', 'a', 'c', 'd', 'e', 'f']);
  expect(running.size).toBe(0);
});

test('a name that turned slow, or is not found any more, is among the new ones again', () => {
  const { ask, end, running, clock } = world();
  for (const name of ['slow', 'gone']) {
    ask(name);
    end(name);
  }
  ask('slow');
  clock.now += 1000;
  end('slow');
  ask('gone');
  end('gone', new Error('ENOTFOUND'));
  for (const name of ['a', 'b', 'c', 'd', 'slow', 'gone']) ask(name);
  expect([...running.keys()]).toEqual(['a', 'b', 'c', 'd']);
});

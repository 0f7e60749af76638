// News of a vault are hints: followed without a gap, and where there was one, nothing of that vault is believed to be unchanged.

import { afterEach, describe, expect, test } from 'vitest';
import { followChanges } from '../../src/vault/follow-changes.ts';

type Answer = { epoch?: string; last: number; changes?: { sequence: number; did: string }[] } | Error | string;

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** Answers in order; the last question is never answered. */
function follow(answers: readonly Answer[]) {
  const asked: string[] = [];
  const events: string[] = [];
  const done = Promise.withResolvers<void>();
  stops.push(
    followChanges({
      origin: 'https://vault.example',
      fetch: async (url) => {
        const answer = answers[asked.length];
        asked.push(`${url.pathname}${url.search}`);
        if (answer === undefined) {
          done.resolve();
          return new Promise<Buffer>(() => {});
        }
        if (answer instanceof Error) throw answer;
        return Buffer.from(typeof answer === 'string' ? answer : JSON.stringify({ epoch: 'e1', changes: [], ...answer }));
      },
      onChanged: (did) => events.push(did),
      onLost: () => events.push('lost'),
      onState: (state) => events.push(state),
    }),
  );
  return { asked, events, done: done.promise };
}

describe('following', () => {
  test('begins at the newest, and asks for what comes after what it was told', async () => {
    const { asked, events, done } = follow([
      { last: 7 },
      {
        last: 9,
        changes: [
          { sequence: 8, did: 'did:a' },
          { sequence: 9, did: 'did:b' },
        ],
      },
      { last: 9 },
    ]);
    await done;
    expect(events).toEqual(['lost', 'following', 'did:a', 'did:b']);
    expect(asked).toEqual([
      '/v1/changes',
      '/v1/changes?after=7&epoch=e1&wait=20',
      '/v1/changes?after=9&epoch=e1&wait=20',
      '/v1/changes?after=9&epoch=e1&wait=20',
    ]);
  });

  test('a page that is not the last is followed by the next one', async () => {
    const { asked, done } = follow([{ last: 0 }, { last: 5000, changes: [{ sequence: 1000, did: 'did:a' }] }]);
    await done;
    expect(asked.at(-1)).toBe('/v1/changes?after=1000&epoch=e1&wait=20');
  });

  test.each([
    ['another epoch', { epoch: 'e2', last: 3 }],
    ['a sequence that went back', { last: 2 }],
  ])('%s: everything may have changed', async (_, answer) => {
    const { events, done } = follow([{ last: 5 }, answer]);
    await done;
    expect(events).toEqual(['lost', 'following', 'lost']);
  });

  test('after an interruption it goes on where it was', async () => {
    const { asked, events, done } = follow([
      { last: 5 },
      new Error('down'),
      new Error('down'),
      { last: 6, changes: [{ sequence: 6, did: 'did:a' }] },
    ]);
    await done;
    expect(events).toEqual(['lost', 'following', 'interrupted', 'did:a', 'following']);
    expect(asked[3]).toBe('/v1/changes?after=5&epoch=e1&wait=20');
  });

  test.each(['not JSON', '{}', '{"epoch":"e","last":-1,"changes":[]}', '{"epoch":"e","last":1,"changes":[{"did":5}]}'])(
    'an answer that is none interrupts and does not end it: %s',
    async (answer) => {
      const { events, done } = follow([answer, { last: 1 }]);
      await done;
      expect(events).toEqual(['interrupted', 'lost', 'following']);
    },
  );

  test('once ended it asks no more', async () => {
    const { asked, done } = follow([{ last: 1 }]);
    await done;
    for (const stop of stops.splice(0)) stop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(asked).toHaveLength(2);
  });
});

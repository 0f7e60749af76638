// Any change to a valid chain is refused, whoever of its holders makes it (profile section 3).

import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { anyDetails, picker } from '../../token/any-details.ts';
import { type Chain, makeChain, makeJudge } from './chain-pool.ts';
import { MUTATIONS, type Mutation } from './mutations.ts';

const CASES = 15_000;
const REFUSALS = ['chain-invalid', 'signature-key', 'identity-unknown'];

const judge = makeJudge();
const picks = fc.array(fc.nat(), { minLength: 64, maxLength: 64 });
let chains: readonly Chain[];

beforeAll(() => {
  const made = fc.tuple(fc.integer({ min: 1, max: 5 }), anyDetails, picks);
  chains = fc.sample(made, 100).map(([length, details, numbers]) => makeChain(length, { ...details }, picker(numbers)));
});

const tokensOf = (chain: readonly { compact: string }[]) => chain.map(({ compact }) => compact);

async function expectAllHold(): Promise<void> {
  for (const chain of chains)
    for (let length = 1; length <= chain.length; length++) {
      const part = chain.slice(0, length);
      expect(await judge(tokensOf(part), part.at(-1)?.key.publicKey.jkt ?? '')).toBeUndefined();
    }
}

test('the chains hold, and each of their beginnings for who holds its key', expectAllHold);

test('every mutation of every chain is refused', { timeout: 300_000 }, async () => {
  const applied = new Map<string, number>();
  const kinds = Object.entries(MUTATIONS);
  const one = fc.record({
    chain: fc.nat(),
    kind: fc.constantFrom(...kinds),
    numbers: fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(one, async ({ chain: number, kind: [name, mutate], numbers }) => {
      const chain = chains[number % chains.length];
      const mutant = chain && (mutate as Mutation)(chain, picker(numbers), chains);
      if (mutant === undefined) return;
      applied.set(name, (applied.get(name) ?? 0) + 1);
      const verdict = await judge(mutant.tokens, mutant.keyid);
      if (verdict === undefined || !REFUSALS.includes(verdict)) expect.fail(`${name}: ${verdict ?? 'accepted'}`);
    }),
    { numRuns: CASES },
  );
  expect([...applied.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(CASES * 0.8);
  for (const [name] of kinds) expect(applied.get(name), name).toBeGreaterThan(20);
  // What was kept of the good ones was not touched.
  await expectAllHold();
});

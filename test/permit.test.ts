// Permit is hard to say: test/permit.types.ts shows what does not compile, and this that a cast does not help.

import { expect, test } from 'vitest';
import { type Clearance, permit } from '../src/decision.ts';

const checks = [
  'form',
  'claimed',
  'chain',
  'identity',
  'signature',
  'body',
  'nonce',
  'restriction',
  'attestation',
  'access',
  'budget',
] as const;
const every = Object.fromEntries(checks.map((check) => [check, {}])) as unknown as Clearance;

test('with every proof it is an allow', () => {
  expect(permit(every)).toEqual({ effect: 'allow', clearance: every });
});

test.each(checks)('without the proof of %s it throws, whatever the types were told', (check) => {
  expect(() => permit({ ...every, [check]: undefined })).toThrow(`no proof of ${check}`);
});

test('the list of checks here is the whole of a clearance', () => {
  // A check that is added to the type and not to this list does not compile.
  const complete: Record<keyof Clearance, true> = Object.fromEntries(checks.map((check) => [check, true])) as Record<
    (typeof checks)[number],
    true
  >;
  expect(Object.keys(complete)).toHaveLength(11);
});

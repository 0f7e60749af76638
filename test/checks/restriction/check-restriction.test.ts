// Revocations that come while requests are under way (docs/threat-model.md D9): a request that is decided after a revocation was
// acknowledged is refused, a chain that was permitted before is no exception, and nothing is awaited in between.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Checks } from '../../../src/checks/checks.ts';
import { checkRestriction } from '../../../src/checks/restriction/check-restriction.ts';
import { RestrictionSet } from '../../../src/restrictions/restriction-set.ts';
import { signRestriction } from '../../../src/restrictions/sign-restriction.ts';
import { reopenRestriction } from '../../../src/restrictions/verify-restriction.ts';
import { resolveSelfDescribing } from '../../../src/vault/self-describing-did.ts';
import { arrive, makeGateChecks, partiesOf, START, scenarioSchema, signedRequest } from '../../scenario.ts';

const scenario = scenarioSchema.parse({});
const parties = partiesOf(scenario);

function open(after: (set: RestrictionSet) => void = () => {}) {
  const set = new RestrictionSet({ administrators: [], read: () => undefined });
  const events: string[] = [];
  const made = makeGateChecks(scenario, parties, { now: START });
  const checks: Checks = {
    ...made,
    restriction: (chain, nonce) => {
      const { highWaterMark } = set;
      const outcome = checkRestriction(chain, nonce, { find: (one) => set.find(one), highWaterMark, isFresh: () => true });
      after(set);
      return outcome;
    },
    budget: (...proofs) => {
      const outcome = made.budget(...proofs);
      // The last check: what passes it is permitted.
      if (!outcome.denied) events.push('permitted');
      return outcome;
    },
  };
  return { set, events, checks };
}

function revoke(set: RestrictionSet): void {
  const keyId = resolveSelfDescribing(parties.operatorDid).verificationMethods[0]?.id;
  const statement = {
    effect: 'revoke',
    target: { kind: 'agent', value: parties.agentDid },
    at: START / 1000,
    reason: '',
  } as const;
  set.add(reopenRestriction(signRestriction(statement, { key: parties.operator, keyId })), 1);
  set.reached(1);
}

const requests = (count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, at) =>
      signedRequest(scenarioSchema.parse({ signing: { nonce: `nonce-of-16-byte-${at}` } }), parties),
    ),
  );

describe('D9 a revocation that comes while a request is looked at', () => {
  test('cannot come between its check and the permit: nothing is awaited there', async () => {
    const { set, events, checks } = open((restrictions) => {
      const late = () => {
        if (restrictions.highWaterMark > 0) return;
        revoke(restrictions);
        events.push('revoked');
      };
      // As soon as anything else gets a turn.
      process.nextTick(late);
      queueMicrotask(late);
    });
    const [first, second] = await requests(2);
    expect((await arrive(first as never, checks, START)).decision.effect).toBe('allow');
    expect(events).toEqual(['permitted', 'revoked']);
    expect(set.highWaterMark).toBe(1);
    // The same chain, verified and permitted a moment ago.
    expect((await arrive(second as never, checks, START)).decision).toMatchObject({ effect: 'deny', reason: 'revoked' });
  });

  test('decide.ts awaits nothing from the check of restrictions on', () => {
    const source = readFileSync(new URL('../../../src/decide.ts', import.meta.url), 'utf8');
    const [, after = ''] = source.split('checks.restriction(');
    expect(after).toContain('permit(');
    expect(after).not.toMatch(/\bawait\b/);
  });

  test('of many requests under way, none is permitted after it', async () => {
    for (let round = 0; round < 8; round++) {
      const { set, events, checks } = open();
      const under = (await requests(24)).map((request) => arrive(request, checks, START));
      for (let turn = 0; turn < round; turn++) await Promise.resolve();
      if (round % 2 === 1) await new Promise((resolve) => setImmediate(resolve));
      revoke(set);
      events.push('revoked');
      const decisions = (await Promise.all(under)).map(({ decision }) => decision);
      expect(events.slice(events.indexOf('revoked') + 1)).toEqual([]);
      expect(decisions.filter(({ effect }) => effect === 'allow')).toHaveLength(events.indexOf('revoked'));
      for (const decision of decisions) if (decision.effect === 'deny') expect(decision.reason).toBe('revoked');
    }
  });
});

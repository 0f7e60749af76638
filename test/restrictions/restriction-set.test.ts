// The set against a straightforward reading of profile section 6, for random chains and restrictions.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RestrictableChain } from '../../src/restrictions/restrictable-chain.ts';
import { entryOf } from '../../src/restrictions/restrictable-chain.ts';
import { TARGET_KINDS, type TargetKind, THUMBPRINT_URN } from '../../src/restrictions/restriction.ts';
import { RestrictionSet } from '../../src/restrictions/restriction-set.ts';
import { ALWAYS } from '../../src/restrictions/revocation-table.ts';
import type { Restriction } from '../../src/restrictions/verify-restriction.ts';

const ADMINISTRATOR = 'did:test:administrator';
const details = { type: 'llm_access', actions: ['chat'] } as const;

// Few values, so that chains and restrictions meet.
const few = (name: string, count: number) => fc.integer({ min: 1, max: count }).map((number) => `${name}-${number}`);
const iat = fc.integer({ min: 100, max: 105 });
const link = fc.record({
  agent: few('did:test:agent', 4),
  jti: few('jti', 6),
  jkt: few('jkt', 6),
  sid: fc.option(few('sid', 2), { nil: undefined }),
  task: fc.option(few('task', 2), { nil: undefined }),
  iat,
});
const chains = fc.record({
  operator: fc.record({ did: few('did:test:operator', 2) }),
  links: fc.array(link, { minLength: 1, maxLength: 6 }),
});
const author = fc.oneof(
  few('did:test:operator', 3),
  few(`${THUMBPRINT_URN}jkt`, 6),
  fc.constantFrom(ADMINISTRATOR, 'did:test:stranger'),
);
const target = fc
  .constantFrom(...TARGET_KINDS)
  .chain((kind) =>
    few(
      { agent: 'did:test:agent', operator: 'did:test:operator', key: 'jkt', token: 'jti', session: 'sid', task: 'task' }[kind],
      4,
    ).map((value) => ({ kind, value })),
  );

interface Said {
  readonly by: string;
  readonly target: { readonly kind: TargetKind; readonly value: string };
  readonly before: number | undefined;
  readonly effect: 'revoke' | 'narrow' | 'lift';
  /** Index of what it lifts. */
  readonly lifts: number;
}
const said: fc.Arbitrary<Said> = fc.record({
  by: author,
  target,
  before: fc.option(fc.integer({ min: 99, max: 106 }), { nil: undefined }),
  effect: fc.constantFrom('revoke', 'narrow', 'narrow', 'lift'),
  lifts: fc.nat(7),
});

/** Signatures are another test's: here it is only about what follows. */
function restrictionsOf(all: readonly Said[]): Restriction[] {
  return all.map(({ by, target: aimed, before, effect, lifts }, index) => {
    const lifted = all[lifts % all.length];
    return {
      id: `id-${index}`,
      // A lift names what it lifts more often than not.
      target: effect === 'lift' && lifted !== undefined && lifts % 3 !== 0 ? lifted.target : aimed,
      before: effect === 'lift' ? undefined : before,
      effect,
      details: effect === 'narrow' ? details : undefined,
      lifts: effect === 'lift' ? `id-${lifts % all.length}` : undefined,
      by,
      at: 1,
      reason: '',
      compact: '',
    } as unknown as Restriction;
  });
}

function setOf(restrictions: readonly Restriction[]): RestrictionSet {
  const set = new RestrictionSet({ administrators: [ADMINISTRATOR], read: (sequence) => restrictions[sequence - 1] });
  for (const [index, restriction] of restrictions.entries()) set.add(restriction, index + 1);
  return set;
}

function idsOf(set: RestrictionSet, chain: RestrictableChain): 'revoked' | string[] {
  const finding = set.find(chain);
  return 'revoked' in finding ? 'revoked' : finding.narrowed.map(({ id }) => id).sort();
}

/** 0 for an administrator, 1 for the operator, then issuers from the root down; `undefined` for a stranger. */
function standing(by: string, chain: RestrictableChain): number | undefined {
  if (by === ADMINISTRATOR) return 0;
  if (by === chain.operator.did) return 1;
  const at = chain.links.findIndex(({ jkt }) => by === `${THUMBPRINT_URN}${jkt}`);
  return at < 0 ? undefined : at + 2;
}

/** Section 6, word for word and slowly. */
function applies({ by, target: { kind, value }, before }: Restriction, chain: RestrictableChain): boolean {
  const rank = standing(by, chain);
  if (rank === undefined) return false;
  if (before !== undefined && !((chain.links[0]?.iat ?? 0) < before)) return false;
  if (kind === 'operator') return rank < 2 && chain.operator.did === value;
  return chain.links.some((one, at) => {
    const below = rank < 2 || at > rank - 2;
    const there = { agent: one.agent, key: one.jkt, token: one.jti, session: one.sid, task: one.task }[kind];
    return below && there === value;
  });
}

function narrowingsOf(restrictions: readonly Restriction[], chain: RestrictableChain): string[] {
  return restrictions
    .filter((narrowing) => narrowing.effect === 'narrow' && applies(narrowing, chain))
    .filter(
      (narrowing) =>
        !restrictions.some(
          (lift) =>
            lift.lifts === narrowing.id &&
            lift.target.kind === narrowing.target.kind &&
            lift.target.value === narrowing.target.value &&
            (standing(lift.by, chain) ?? 99) <= (standing(narrowing.by, chain) ?? 0),
        ),
    )
    .map(({ id }) => id)
    .sort();
}

const many = { numRuns: 3000 };

describe('for random chains and restrictions', () => {
  test('the set finds what the profile says', () => {
    let revoked = 0;
    let narrowed = 0;
    fc.assert(
      fc.property(chains, fc.array(said, { maxLength: 8 }), (chain, all) => {
        const restrictions = restrictionsOf(all);
        const finding = setOf(restrictions).find(chain);
        if (restrictions.some((one) => one.effect === 'revoke' && applies(one, chain))) {
          revoked++;
          expect(finding).toHaveProperty('revoked');
        } else {
          const expected = narrowingsOf(restrictions, chain);
          if (expected.length > 0) narrowed++;
          expect('narrowed' in finding && finding.narrowed.map(({ id }) => id).sort()).toEqual(expected);
        }
      }),
      many,
    );
    // Or the two would agree about nothing.
    expect(revoked).toBeGreaterThan(100);
    expect(narrowed).toBeGreaterThan(100);
  });

  test('a revoked ancestor refuses every descendant, whoever delegated further and whenever', () => {
    fc.assert(
      fc.property(chains, fc.array(link, { maxLength: 4 }), fc.array(said, { maxLength: 6 }), (chain, more, all) => {
        const set = setOf(restrictionsOf(all));
        const below = { ...chain, links: [...chain.links, ...more] };
        if ('revoked' in set.find(chain)) expect(set.find(below)).toHaveProperty('revoked');
        const [above, here] = [set.find(chain), set.find(below)];
        if ('narrowed' in above && 'narrowed' in here) {
          const ids = here.narrowed.map(({ id }) => id);
          for (const { id } of above.narrowed) {
            expect(ids).toContain(id);
          }
        }
      }),
      many,
    );
  });

  test('the order in which restrictions come changes nothing, nor does one that comes twice', () => {
    fc.assert(
      fc.property(chains, fc.array(said, { minLength: 1, maxLength: 8 }), fc.nat(), (chain, all, turn) => {
        const restrictions = restrictionsOf(all);
        const other = new RestrictionSet({ administrators: [ADMINISTRATOR], read: (sequence) => restrictions[sequence - 1] });
        const numbered = restrictions.map((restriction, index) => [restriction, index + 1] as const);
        const at = turn % numbered.length;
        for (const [restriction, sequence] of [...numbered.slice(at), ...numbered.slice(0, at), ...numbered])
          other.add(restriction, sequence);
        expect(idsOf(other, chain)).toEqual(idsOf(setOf(restrictions), chain));
      }),
      many,
    );
  });

  test('what is expected counts as what was added, but for a lift, and not at all once it is forgotten', () => {
    fc.assert(
      fc.property(
        chains,
        fc.array(said, { maxLength: 6 }),
        fc.array(said, { minLength: 1, maxLength: 3 }),
        (chain, all, more) => {
          const restrictions = restrictionsOf([...all, ...more]);
          const set = setOf(restrictions.slice(0, all.length));
          const before = idsOf(set, chain);
          const news = restrictions.slice(all.length);
          const forgets = news.map((restriction) => set.expect(restriction));
          const without = restrictions.filter((one, at) => at < all.length || one.effect !== 'lift');
          expect(idsOf(set, chain)).toEqual(idsOf(setOf(without), chain));
          for (const forget of forgets) forget();
          expect(idsOf(set, chain)).toEqual(before);
        },
      ),
      many,
    );
  });

  test('adding never allows more, but for a lift; and a lift takes away one narrowing and nothing else', () => {
    fc.assert(
      fc.property(chains, fc.array(said, { maxLength: 6 }), said, (chain, all, last) => {
        const restrictions = restrictionsOf([...all, last]);
        const added = restrictions.at(-1);
        const set = setOf(restrictions.slice(0, -1));
        const before = set.find(chain);
        if (added !== undefined) set.add(added, restrictions.length);
        const after = set.find(chain);
        if ('revoked' in before) expect(after).toHaveProperty('revoked');
        else if ('narrowed' in after) {
          const ids = after.narrowed.map(({ id }) => id);
          const gone = before.narrowed.filter(({ id }) => !ids.includes(id)).map(({ id }) => id);
          expect(gone).toEqual(gone.length > 0 ? [added?.lifts] : []);
        }
      }),
      many,
    );
  });
});

describe('the set', () => {
  const chain = { operator: { did: 'did:test:o' }, links: [{ agent: 'did:test:a', jti: 't', jkt: 'k', iat: 100 }] };
  const [revocation] = restrictionsOf([
    { by: 'did:test:o', target: { kind: 'agent', value: 'did:test:a' }, before: undefined, effect: 'revoke', lifts: 0 },
  ]) as [Restriction];

  test('gives the same finding until it changes', () => {
    const set = setOf([]);
    const first = set.find(chain);
    expect(set.find(chain)).toBe(first);
    set.add(revocation, 1);
    expect(set.find(chain)).toMatchObject({ revoked: { kind: 'agent', role: 'operator' } });
  });

  test('refuses also where the record of a revocation cannot be read', () => {
    const set = new RestrictionSet({
      administrators: [],
      read: () => {
        throw new Error('disk');
      },
    });
    set.add(revocation, 1);
    expect(set.find(chain)).toEqual({ revoked: { id: undefined, kind: 'agent', role: 'operator', at: undefined } });
  });

  test('administrators can change', () => {
    const set = new RestrictionSet({ administrators: [], read: () => undefined });
    set.add({ ...revocation, by: ADMINISTRATOR }, 1);
    expect(set.find(chain)).toEqual({ narrowed: [] });
    set.administeredBy([ADMINISTRATOR]);
    expect(set.find(chain)).toMatchObject({ revoked: { role: 'administrator' } });
    set.administeredBy([]);
    expect(set.find(chain)).toEqual({ narrowed: [] });
  });

  test('the high-water mark rises only', () => {
    const set = setOf([]);
    set.reached(7);
    set.reached(3);
    expect(set.highWaterMark).toBe(7);
  });

  test('holds many, each found and no other', () => {
    const count = 50_000;
    const set = new RestrictionSet({ administrators: [], read: () => undefined });
    const row = (at: number) => {
      const numbers = Buffer.alloc(8);
      numbers.writeUInt32BE(at + 1);
      numbers.writeUInt32BE(ALWAYS, 4);
      return Buffer.concat([entryOf('did:test:o', 'token', `jti-${at}`), numbers]);
    };
    set.addRevocations(Buffer.concat(Array.from({ length: count }, (_, at) => row(at))));
    expect(set.revocations.count).toBe(count);
    const holding = (jti: string) => ({ operator: { did: 'did:test:o' }, links: [{ agent: 'a', jti, jkt: 'k', iat: 100 }] });
    for (let at = 0; at < count; at += 7) {
      expect('revoked' in set.find(holding(`jti-${at}`))).toBe(true);
      expect('revoked' in set.find(holding(`jti-${count + at}`))).toBe(false);
    }
  });
});

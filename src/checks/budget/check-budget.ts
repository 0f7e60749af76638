// Row 14 of profile section 4: the budget of every link covers the request. No accounts are kept yet, and a limit that
// nobody counts is no limit, so a chain with a budget permits nothing.

import { type Denied, denied, type Outcome, passed } from '../../outcome.ts';
import type { VerifiedChain } from '../chain/check-chain.ts';
import type { UnrestrictedChain } from '../restriction/check-restriction.ts';

declare const reserved: unique symbol;

/** No link has a budget: nothing had to be reserved. */
export interface BudgetReservation {
  readonly [reserved]: true;
  readonly accounts: readonly string[];
}

const NOT_REQUIRED = { accounts: [] as readonly string[] } as BudgetReservation;

export function checkBudget(chain: VerifiedChain, { narrowed, highWaterMark }: UnrestrictedChain): Outcome<BudgetReservation> {
  const counting = narrowed.find(({ details }) => details.budget !== undefined);
  if (counting !== undefined) return { ...exhausted(), restriction: { id: counting.id, highWaterMark } };
  if (chain.details.budget === undefined && chain.operator.ceiling?.budget === undefined) return passed(NOT_REQUIRED);
  return exhausted();
}

function exhausted(): Denied {
  return denied(
    'budget-exhausted',
    'The capability has a budget, and this gateway keeps no accounts yet: use one without "budget".',
  );
}

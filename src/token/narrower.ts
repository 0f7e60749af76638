// Narrower (profile section 3): what a child of a token may say, so that nothing is allowed under it that its parent does not allow.

import { type AuthorizationDetails, covers } from './authorization-details.ts';

/** @returns the member in which the child is broader than the parent; a limit that it leaves out is one. */
export function findBroader(child: AuthorizationDetails, parent: AuthorizationDetails): string | undefined {
  if (child.type !== parent.type) return 'type';
  if (!child.actions.every((action) => parent.actions.includes(action))) return 'actions';
  // Without a list no model is granted, and every tool is.
  if (!(parent.models === undefined ? !child.models?.length : isCovered(child.models, parent.models))) return 'models';
  if (parent.tools !== undefined && !isCovered(child.tools, parent.tools)) return 'tools';
  for (const limit of ['output_tokens', 'input_bytes', 'tools'] as const) {
    const [most, asked] = [parent.max?.[limit], child.max?.[limit]];
    if (most !== undefined && (asked === undefined || asked > most)) return `max.${limit}`;
  }
  if (parent.budget !== undefined && !isWithin(child.budget, parent.budget)) return 'budget';
  if (parent.attestation !== undefined && (child.attestation ?? 0) < parent.attestation) return 'attestation';
  return undefined;
}

/** A pattern that covers another's text covers all that the other does: `*` stands at its end only. */
function isCovered(child: readonly string[] | undefined, parent: readonly string[]): boolean {
  return child?.every((entry) => parent.some((pattern) => covers(pattern, entry))) ?? false;
}

type Budget = NonNullable<AuthorizationDetails['budget']>;

function isWithin(child: Budget | undefined, parent: Budget): boolean {
  return child?.unit === parent.unit && child.decimals === parent.decimals && child.amount <= parent.amount;
}

// Who may restrict what (profile section 6): an operator, an administrator, or the holder of an issuer's key over what is below it.
// What could have no effect is refused, since its author would take it for one that has.

import { type RestrictionTarget, THUMBPRINT_URN, type UntrustedRestriction } from '../restrictions/restriction.ts';
import type { PresentedChain } from './presented-chain.ts';
import { Problem } from './problem.ts';

export interface AuthorSettings {
  /** DIDs of the operators who may restrict what is theirs. */
  readonly operators: () => readonly string[];
  /** DIDs of those who may restrict anything. */
  readonly administrators: () => readonly string[];
  /** The chain, verified under one of these operators; `undefined` when it does not verify. Rejects with `UnavailableDid`. */
  readonly verifyChain: (tokens: readonly string[]) => Promise<PresentedChain | undefined>;
}

export interface Entitled {
  /** Of an issuer: the agent that its chain began with, and how deep the key stands, whose holders share what they may post. */
  readonly share: string | undefined;
}

/** @param tokens the chain that an issuer presents @throws {Problem} */
export async function entitle(
  { untrustedClaims: { by, target } }: UntrustedRestriction,
  tokens: readonly string[] | undefined,
  { operators, administrators, verifyChain }: AuthorSettings,
): Promise<Entitled> {
  if (!by.startsWith(THUMBPRINT_URN)) {
    if (operators().includes(by) || administrators().includes(by)) return { share: undefined };
    throw notEntitled('The author is neither an operator nor an administrator of this vault.');
  }
  if (tokens === undefined) throw notEntitled('An issuer’s key comes with a chain in which a link binds it.', 'chain');
  const chain = await verifyChain(tokens);
  const place = chain?.links.findIndex(({ jkt }) => `${THUMBPRINT_URN}${jkt}` === by) ?? -1;
  if (chain === undefined || place === -1 || !operators().includes(chain.operator.did))
    throw notEntitled('The chain does not verify under an operator of this vault, or does not bind the key.', 'chain');
  if (chain.room[place] === 0)
    throw notEntitled('The chain leaves no room below the key, so nothing is the key’s to restrict.', 'chain');
  assertBelow(chain, place, target);
  return { share: `${place} ${chain.links[0]?.agent}` };
}

/** Keys and tokens stand in one place; agents, sessions and tasks may stand below as well. */
function assertBelow({ links }: PresentedChain, place: number, { kind, value }: RestrictionTarget): void {
  const isAbove = links
    .slice(0, place + 1)
    .some(({ jkt, jti }) => (kind === 'key' && jkt === value) || (kind === 'token' && jti === value));
  if (isAbove) throw invalid('restriction.target', 'is not below the key that signs: an issuer has no say over it');
}

/** A lift counts by someone who stands at least as high over a chain as whoever narrowed it. @throws {Problem} */
export function assertMayLift(by: string, narrowedBy: string, { administrators }: AuthorSettings): void {
  if (by === narrowedBy || administrators().includes(by)) return;
  // Which of two issuers stands higher depends on the chain; an operator stands above all of its own.
  if (narrowedBy.startsWith(THUMBPRINT_URN)) return;
  throw invalid('restriction.lifts', 'was narrowed by someone who stands above the author: only they can lift it');
}

export function invalid(field: string, detail: string): Problem {
  return new Problem('invalid-body', 'The restriction is not one that could be in force.', { errors: [{ field, detail }] });
}

function notEntitled(detail: string, field = 'restriction.by'): Problem {
  return new Problem('operator-not-allowed', detail, { errors: [{ field, detail: 'gives no say over anything here' }] });
}

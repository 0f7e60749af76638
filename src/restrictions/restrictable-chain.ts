// What restrictions can be about in a chain, and who has a say over it (profile section 6). A request carries its ancestors, so
// that every descendant of what is restricted is found without a graph.

import { hash } from 'node:crypto';
import { type TargetKind, THUMBPRINT_URN } from './restriction.ts';

export interface RestrictableLink {
  readonly agent: string;
  readonly jti: string;
  /** Thumbprint of the key that the link binds. */
  readonly jkt: string;
  readonly sid?: string | undefined;
  readonly task?: string | undefined;
  /** Seconds since the epoch. */
  readonly iat: number;
}

export interface RestrictableChain {
  readonly operator: { readonly did: string };
  /** Root first. */
  readonly links: readonly RestrictableLink[];
}

export type AuthorRole = 'administrator' | 'operator' | 'issuer';

/** Something that a restriction of someone could be about, so that it would count for the chain. */
export interface Restrictable {
  readonly by: string;
  readonly role: AuthorRole;
  readonly kind: TargetKind;
  readonly value: string;
}

/**
 * Everything in a chain that a restriction could target, once for each author who has a say over it: an administrator over all, the
 * operator over its chains, an issuer's key over the links below the one that binds it.
 */
export function* restrictablesOf(
  { operator, links }: RestrictableChain,
  administrators: readonly string[],
): Generator<Restrictable> {
  const authors: { by: string; role: AuthorRole }[] = [
    ...administrators.map((by) => ({ by, role: 'administrator' as const })),
    { by: operator.did, role: 'operator' },
  ];
  for (const author of authors) yield { ...author, kind: 'operator', value: operator.did };
  for (const { agent, jkt, jti, sid, task } of links) {
    for (const author of authors) {
      yield { ...author, kind: 'agent', value: agent };
      yield { ...author, kind: 'key', value: jkt };
      yield { ...author, kind: 'token', value: jti };
      if (sid !== undefined) yield { ...author, kind: 'session', value: sid };
      if (task !== undefined) yield { ...author, kind: 'task', value: task };
    }
    authors.push({ by: `${THUMBPRINT_URN}${jkt}`, role: 'issuer' });
  }
}

/** How far above the chain an author stands, 0 the highest; `undefined` for one with no say over it. */
export function rankOf(
  by: string,
  { operator, links }: RestrictableChain,
  administrators: readonly string[],
): number | undefined {
  if (administrators.includes(by)) return 0;
  if (by === operator.did) return 1;
  const at = links.findIndex(({ jkt }) => `${THUMBPRINT_URN}${jkt}` === by);
  return at === -1 ? undefined : at + 2;
}

/** Bytes of {@link entryOf}. */
export const ENTRY_BYTES = 16;

/** A fixed-size name of (author, target). None of the three can hold a line end, and nobody finds a second one with the same name. */
export function entryOf(by: string, kind: TargetKind, value: string): Buffer {
  return hash('sha256', `${by}\n${kind}\n${value}`, 'buffer').subarray(0, ENTRY_BYTES);
}

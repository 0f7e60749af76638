// What restrictions make of a link that was seen, judged by what judges requests (row 10 of profile section 4): the link with
// everything above it is the chain of a request under it.

import type { RestrictableChain } from '../restrictions/restrictable-chain.ts';
import type { Finding } from '../restrictions/restriction-set.ts';
import type { Restriction } from '../restrictions/verify-restriction.ts';
import type { KeptLink, SightingReader } from './sighting-reader.ts';
import type { ConcerningView, LinkState } from './views.ts';

/** What was seen, and what is in force over it. */
export interface Sighted {
  readonly reader: SightingReader;
  readonly find: (chain: RestrictableChain) => Finding;
  /** The restriction with an id, where it can be read. */
  readonly restriction: (id: string) => Restriction | undefined;
}

export interface JudgedLink {
  readonly link: KeptLink;
  readonly above: JudgedLink | undefined;
  readonly state: LinkState;
  readonly revokedBy: string | undefined;
  readonly narrowedBy: readonly string[];
}

/** @param now seconds since the epoch */
export function judgeLink(link: KeptLink, above: JudgedLink | undefined, find: Sighted['find'], now: number): JudgedLink {
  const expired = link.exp <= now;
  if (above?.state === 'revoked' || above?.state === 'fallen')
    return { link, above, state: 'fallen', revokedBy: above.revokedBy, narrowedBy: [] };
  const finding = find({ operator: { did: link.operator }, links: pathTo(link, above) });
  if ('revoked' in finding) return { link, above, state: 'revoked', revokedBy: finding.revoked.id, narrowedBy: [] };
  const narrowedBy = finding.narrowed.map(({ id }) => id);
  const state = expired ? 'expired' : narrowedBy.length > 0 ? 'narrowed' : 'live';
  return { link, above, state, revokedBy: undefined, narrowedBy };
}

/** Judges a link by itself. @returns `undefined` when something above it is not kept any more */
export function judgeAlone(link: KeptLink, { reader, find }: Sighted, now: number): JudgedLink | undefined {
  const path = [link];
  for (let parent = link.parent; parent !== undefined; parent = path[0]?.parent) {
    const found = reader.find(parent);
    if (found === undefined) return undefined;
    path.unshift(found);
  }
  return path.reduce<JudgedLink | undefined>((above, each) => judgeLink(each, above, find, now), undefined);
}

export function isInForce({ state }: JudgedLink): boolean {
  return state === 'live' || state === 'narrowed';
}

/** Each restriction that was found, once. */
export function concerningRestrictions(judged: readonly JudgedLink[], read: Sighted['restriction']): ConcerningView[] {
  const ids = new Set(
    judged.flatMap(({ revokedBy, narrowedBy }) => [...(revokedBy === undefined ? [] : [revokedBy]), ...narrowedBy]),
  );
  return [...ids].flatMap((id) => {
    const found = read(id);
    if (found === undefined || found.effect === 'lift') return [];
    const { effect, target, by, at, reason, details } = found;
    return [{ id, effect, target: { [target.kind]: target.value }, by, at, reason, ...(details && { details }) }];
  });
}

function pathTo(link: KeptLink, above: JudgedLink | undefined): KeptLink[] {
  const path = [link];
  for (let each = above; each !== undefined; each = each.above) path.unshift(each.link);
  return path;
}

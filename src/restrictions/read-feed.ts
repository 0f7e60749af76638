// What a gateway makes of an answer of the feed: every statement of someone who counts here verifies, none is missing, and all of it
// goes on from what was read before. Anything else is refused as a whole (docs/threat-model.md H7).

import { setImmediate as nextTurn } from 'node:timers/promises';
import { nextHead } from './feed-head.ts';
import type { FeedPage } from './feed-source.ts';
import { isSameStatement, parseRestriction, RestrictionError, THUMBPRINT_URN, type UntrustedRestriction } from './restriction.ts';
import type { FeedPosition, RestrictionStore } from './restriction-store.ts';
import { type Restriction, type SignerKeys, verifyRestriction } from './verify-restriction.ts';

/** Whoever serves the feed took something back, left something out, or tells what nobody signed. */
export class RefusedFeed extends Error {
  override readonly name = 'RefusedFeed';
}

export interface ReadFeedSettings {
  readonly store: Pick<RestrictionStore, 'findById'>;
  readonly keys: SignerKeys;
  /** DIDs whose restrictions can count for a chain here. */
  readonly authors: ReadonlySet<string>;
}

export interface ReadPage {
  readonly restrictions: readonly Restriction[];
  /** How many of the page are kept here, now or since before. */
  readonly known: number;
  readonly position: FeedPosition;
}

/** A million signatures are looked at in slices, so that requests are answered meanwhile. */
const SLICE_MILLIS = 5;

/** @throws {RefusedFeed}; rejects with `UnavailableDid` when it cannot be told now */
export async function readFeed(
  feed: Omit<FeedPage, 'epoch' | 'heardAt'>,
  from: FeedPosition,
  settings: ReadFeedSettings,
): Promise<ReadPage> {
  if (feed.last < from.sequence)
    throw new RefusedFeed(`it ends at ${feed.last}, but ${from.sequence} was read before: it was taken back`);
  const restrictions: Restriction[] = [];
  let { sequence, head } = from;
  const texts = new Map<string, string>();
  let known = 0;
  let sliced = performance.now();
  for (const { sequence: number, restriction: compact } of feed.restrictions) {
    if (number !== sequence + 1) throw new RefusedFeed(`number ${sequence + 1} is missing`);
    sequence = number;
    head = nextHead(head, compact);
    const untrusted = parse(compact, number);
    const { id, by } = untrusted.untrustedClaims;
    const there = texts.get(id) ?? settings.store.findById(id)?.compact;
    if (there !== undefined) {
      if (!isSameStatement(there, compact)) throw new RefusedFeed(`number ${number} has the id of another restriction`);
      known++;
    } else if (settings.authors.has(by) || by.startsWith(THUMBPRINT_URN)) {
      restrictions.push(await verify(untrusted, number, settings));
      texts.set(id, compact);
      known++;
    }
    if (performance.now() - sliced < SLICE_MILLIS) continue;
    await nextTurn();
    sliced = performance.now();
  }
  if (sequence > feed.last || head !== feed.head) throw new RefusedFeed(`up to ${sequence} it is not what was told before`);
  return { restrictions, known, position: { ...from, sequence, head } };
}

function parse(compact: string, number: number): UntrustedRestriction {
  try {
    return parseRestriction(compact);
  } catch (error) {
    if (error instanceof RestrictionError) throw new RefusedFeed(`number ${number} is no restriction: ${error.message}`);
    throw error;
  }
}

async function verify(untrusted: UntrustedRestriction, number: number, { keys }: ReadFeedSettings): Promise<Restriction> {
  const { by, at } = untrusted.untrustedClaims;
  const restriction = await verifyRestriction(untrusted, keys, at * 1000);
  if (restriction === undefined) throw new RefusedFeed(`number ${number} is not signed by ${by}, whom it names`);
  return restriction;
}

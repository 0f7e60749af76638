// Puts a stretch of a feed in force before it is kept: from the names in it, and from the texts only where one is no revocation.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { type FeedSegment, SegmentNames, unpackSegment } from '../../../restrictions/feed-segment.ts';
import { ENTRY_BYTES } from '../../../restrictions/restrictable-chain.ts';
import { REVOCATION_BYTES, type RestrictionSet } from '../../../restrictions/restriction-set.ts';
import { reopenRestriction } from '../../../restrictions/verify-restriction.ts';

const SLICE_MILLIS = 5;

/** Each with the number that it has in the feed. @throws {RangeError} when there are not as many rows as it says */
export async function putInForce({ bytes, start, end }: FeedSegment, sets: Iterable<RestrictionSet>): Promise<void> {
  const names = new SegmentNames(bytes);
  if (names.count !== end.sequence - start.sequence) throw new RangeError('it does not have as many rows as it says');
  const revocations = Buffer.alloc(names.count * REVOCATION_BYTES);
  let at = 0;
  for (let index = 0; index < names.count; index++) {
    const revokes = names.revokes(index);
    if (revokes === undefined) continue;
    revocations.set(revokes.entry, at);
    revocations.writeUInt32BE(start.sequence + 1 + index, at + ENTRY_BYTES);
    revocations.writeUInt32BE(revokes.before, at + ENTRY_BYTES + 4);
    at += REVOCATION_BYTES;
  }
  for (const set of sets) set.addRevocations(revocations.subarray(0, at));
  if (at === revocations.length) return;
  let sliced = performance.now();
  let sequence = start.sequence;
  for (const { compact, revokes } of unpackSegment(bytes)) {
    sequence++;
    if (revokes !== undefined) continue;
    for (const set of sets) set.add(reopenRestriction(compact), sequence);
    if (performance.now() - sliced < SLICE_MILLIS) continue;
    await nextTurn();
    sliced = performance.now();
  }
}

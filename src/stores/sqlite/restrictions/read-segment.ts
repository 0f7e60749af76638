// The rows of a stretch of a feed that are not known yet, with every head worked out anew: a segment that does not go on from what was
// read, or does not end where it says, is no part of the feed.

import { nextHead } from '../../../restrictions/feed-head.ts';
import { type FeedPlace, type FeedSegment, type SegmentRow, unpackSegment } from '../../../restrictions/feed-segment.ts';

export class SegmentLie extends Error {
  override readonly name = 'SegmentLie';
}

/** A row beyond `from`, and its place in the feed. */
export interface PlacedRow {
  readonly row: SegmentRow;
  readonly place: FeedPlace;
}

/** @throws {SegmentLie} at the end, too: nothing of it is to be kept before all of it was read */
export function* readSegment({ bytes, start, end }: FeedSegment, from: FeedPlace): Generator<PlacedRow> {
  let { sequence, head } = start;
  if (from.sequence < sequence || from.sequence >= end.sequence) throw new SegmentLie(`it does not go on from ${from.sequence}`);
  if (from.sequence === sequence && from.head !== head) throw new SegmentLie(another(sequence));
  for (const row of rowsOf(bytes)) {
    sequence++;
    head = nextHead(head, row.compact);
    if (sequence === from.sequence && head !== from.head) throw new SegmentLie(another(sequence));
    if (sequence > from.sequence) yield { row, place: { sequence, head } };
  }
  if (sequence !== end.sequence || head !== end.head) throw new SegmentLie(another(end.sequence));
}

function* rowsOf(bytes: Uint8Array): Generator<SegmentRow> {
  try {
    yield* unpackSegment(bytes);
  } catch (error) {
    throw new SegmentLie('it cannot be read', { cause: error });
  }
}

const another = (sequence: number) => `up to ${sequence} it is not what was told before`;

// The stream of restrictions, one entry each: its id is the number of the restriction, so that none can come between.

import { RefusedFeed } from '../../../restrictions/read-feed.ts';

export interface StreamEntry {
  readonly sequence: number;
  readonly compact: string;
  /** As the vault sealed it. */
  readonly head: string;
}

/** As ioredis gives an entry of XRANGE and XREAD. */
export type RawEntry = [id: string, fields: string[]];

export const streamId = (sequence: number) => `${sequence}-0`;

export function fieldsOf({ compact, head }: Omit<StreamEntry, 'sequence'>): string[] {
  return ['r', compact, 'h', head];
}

/** @throws {RefusedFeed} for what the vault did not write */
export function readEntry([id, [r, compact, h, head]]: RawEntry): StreamEntry {
  const number = /^([1-9]\d{0,14})-0$/.exec(id)?.[1];
  if (number === undefined || r !== 'r' || compact === undefined || h !== 'h' || head === undefined)
    throw new RefusedFeed('the stream has an entry that is none of the vault');
  return { sequence: Number(number), compact, head };
}

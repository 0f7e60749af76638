// When a chain is noted: the first time that it comes, and then once a minute. For a chain that was noted, a look at the chain.

import { Note } from '../note.ts';
import { type SightedChain, type SightingSink, seenLinksOf } from './sighting.ts';

export interface SightingNotesSettings {
  readonly sink: SightingSink;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Told when what was seen could not be noted: no reason to answer the request differently. */
  readonly onError: (error: unknown) => void;
}

/** @param tokens the compact tokens that the chain was verified from */
export type NoteSighting = (chain: SightedChain, tokens: readonly string[]) => void;

const AGAIN_MILLIS = 60_000;

export function makeSightingNotes({ sink, clock, onError }: SightingNotesSettings): NoteSighting {
  // A chain is one object for as long as the gateway keeps that it verified.
  const notedAt = new Note<SightedChain, number>('sighting');
  return (chain, tokens) => {
    const now = clock();
    const before = notedAt.get(chain);
    if (before !== undefined && Math.abs(now - before) < AGAIN_MILLIS) return;
    try {
      sink.note(seenLinksOf(chain, tokens), Math.floor(now / 1000));
      notedAt.set(chain, now);
    } catch (error) {
      onError(error);
    }
  };
}

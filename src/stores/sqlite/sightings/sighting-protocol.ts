// What the store of sightings and the thread that writes it say to each other.

import type { SightingsConfiguration } from '../../../sightings/configuration.ts';
import type { SeenLink } from '../../../sightings/sighting.ts';
import type { SightingFacts } from './sighting-database.ts';

export interface SightingRow extends SeenLink {
  /** Seconds since the epoch. */
  readonly at: number;
  readonly gateway: string;
}

export interface SightingThreadData {
  readonly file: string;
  readonly limits: SightingsConfiguration;
  readonly facts: SightingFacts;
}

/** `now`: seconds since the epoch. */
export type ToSightingWriter =
  | { readonly rows: readonly SightingRow[]; readonly now: number }
  | { readonly prune: true; readonly now: number }
  | { readonly close: true };

export type FromSightingWriter =
  | { readonly ready: true }
  | { readonly failed: string }
  /** How many there was no room for. */
  | { readonly written: number }
  /** How many of a batch; 0 when it was no batch that failed. */
  | { readonly lost: number; readonly why: string };

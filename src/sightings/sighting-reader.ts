// What those who look at sightings ask of whoever keeps them. What is asked for by the hundred comes as token hashes: a link may be
// large, and is then read by itself, so that no answer holds up what a gateway decides.

import type { SeenLink } from './sighting.ts';

export interface KeptLink extends SeenLink {
  /** Seconds since the epoch. */
  readonly firstSeen: number;
  /** Of a request under it or under a link below it; up to a minute too early. */
  readonly lastSeen: number;
  /** Name of the gateway that saw it last. */
  readonly gateway: string;
}

export const TREE_KINDS = ['agent', 'operator', 'key', 'token', 'session', 'task'] as const;
export type TreeKind = (typeof TREE_KINDS)[number];

export interface LinksWanted {
  /** DID of the one operator whose chains are looked at; all without it. */
  readonly operator: string | undefined;
  /** Seconds since the epoch: only links that expire later. */
  readonly endsAfter: number;
  readonly limit: number;
}

export interface SessionsWanted extends LinksWanted {
  readonly agent: string | undefined;
  /** Where the page before ended. */
  readonly after: { readonly exp: number; readonly tokenHash: string } | undefined;
}

export interface SightingReader {
  find(tokenHash: string): KeptLink | undefined;
  /** Links that name something; of an operator, its roots. Those that last longest first. */
  matching(kind: TreeKind, id: string, wanted: LinksWanted): readonly string[];
  /** Links directly below one. Those that last longest first. */
  below(tokenHash: string, wanted: Omit<LinksWanted, 'operator'>): readonly string[];
  /** Links that open a session. Those that last longest first. */
  sessions(wanted: SessionsWanted): readonly string[];
  /** Links with the session of one that opens it and of the same root agent, at most as many as are looked at. */
  countWithin(link: KeptLink, wanted: Omit<LinksWanted, 'operator'>): { readonly tasks: number; readonly delegations: number };
}

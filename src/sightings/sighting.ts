// A sighting: a link that a gateway saw in a chain that verified, under a request whose own signature did. Sidecars mint links
// without asking anyone, so what was seen is all that anybody knows of sessions, tasks and delegations. Nothing is decided by it.

import type { AuthorizationDetails } from '../token/authorization-details.ts';

export interface SeenLink {
  /** base64url SHA-256 of the compact token. */
  readonly tokenHash: string;
  /** Of the token above it; `undefined` for a root. */
  readonly parent: string | undefined;
  readonly operator: string;
  /** Whom the operator issued the root to: who answers for everything below it. */
  readonly rootAgent: string;
  readonly agent: string;
  readonly jti: string;
  readonly jkt: string;
  readonly sid: string | undefined;
  readonly task: string | undefined;
  readonly depth: number;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly exp: number;
  readonly details: AuthorizationDetails;
  /** Whether it begins the session, sets the task, or passes the work on to another agent: what the token above it does not say. */
  readonly opensSession: boolean;
  readonly setsTask: boolean;
  readonly delegates: boolean;
}

/** Where sightings go: a store of the gateway's own, or whoever gathers those of many. */
export interface SightingSink {
  /**
   * Returns at once and never throws; what cannot be kept is lost.
   * @param links of one chain, root first
   * @param at seconds since the epoch
   */
  note(links: readonly SeenLink[], at: number): void;
}

export interface SightedChain {
  readonly operator: { readonly did: string };
  /** Root first. */
  readonly links: readonly {
    readonly tokenHash: string;
    readonly agent: string;
    readonly jti: string;
    readonly jkt: string;
    readonly sid: string | undefined;
    readonly task: string | undefined;
    readonly iat: number;
    readonly exp: number;
  }[];
}

/** @param tokens the compact tokens that the chain was verified from */
export function seenLinksOf({ operator, links }: SightedChain, tokens: readonly string[]): SeenLink[] {
  return links.map(({ tokenHash, agent, jti, jkt, sid, task, iat, exp }, depth) => {
    const above = links[depth - 1];
    return {
      tokenHash,
      parent: above?.tokenHash,
      operator: operator.did,
      rootAgent: links[0]?.agent ?? agent,
      agent,
      jti,
      jkt,
      sid,
      task,
      depth,
      iat,
      exp,
      details: detailsOf(tokens[depth] ?? ''),
      opensSession: sid !== undefined && above?.sid === undefined,
      setsTask: task !== undefined && above?.task === undefined,
      delegates: above !== undefined && above.agent !== agent,
    };
  });
}

function detailsOf(compact: string): AuthorizationDetails {
  const payload = Buffer.from(compact.split('.')[1] ?? '', 'base64url').toString('utf8');
  const { authorization_details } = JSON.parse(payload) as { authorization_details: [AuthorizationDetails] };
  return authorization_details[0];
}

// Sessions as they were seen: each link that opens one, judged, and what is in it.

import { isInForce, type JudgedLink, judgeAlone, type Sighted } from './judge-link.ts';
import { makePause, readTree, type TreeWanted } from './read-tree.ts';
import type { SightingReader } from './sighting-reader.ts';
import type { SessionItem, SessionView } from './views.ts';

export interface SessionsQuery {
  /** DID of the one operator whose sessions are looked at; all without it. */
  readonly operator: string | undefined;
  readonly agent: string | undefined;
  /** Those that have expired or are revoked, too. */
  readonly all: boolean;
  readonly limit: number;
  readonly after: { readonly exp: number; readonly tokenHash: string } | undefined;
}

export interface FoundSessions {
  readonly items: SessionItem[];
  /** `after` of the next page; `undefined` when there is none. */
  readonly next: SessionsQuery['after'];
}

/** Links that are looked at for one page: where nearly all are revoked, it has less than its limit. */
const MOST_LOOKED_AT = 1000;
const MOST_COUNTED = 1000;

/** @param now seconds since the epoch */
export async function readSessions(query: SessionsQuery, sighted: Sighted, now: number): Promise<FoundSessions> {
  const { operator, agent, all, limit } = query;
  const pause = makePause();
  const items: SessionItem[] = [];
  let after = query.after;
  for (let looked = 0; looked < MOST_LOOKED_AT; ) {
    const wanted = limit - items.length + 1;
    const hashes = sighted.reader.sessions({ operator, agent, endsAfter: all ? 0 : now, limit: wanted, after });
    for (const tokenHash of hashes) {
      if (items.length === limit) return { items, next: after };
      const link = sighted.reader.find(tokenHash);
      looked++;
      // It has gone since.
      if (link === undefined) continue;
      const judged = judgeAlone(link, sighted, now);
      if (judged !== undefined && (all || isInForce(judged))) items.push(itemOf(judged, sighted.reader, now));
      after = { exp: link.exp, tokenHash };
      await pause();
    }
    if (hashes.length < wanted) return { items, next: undefined };
  }
  return { items, next: after };
}

/** @param now seconds since the epoch @returns `undefined` when no link was seen that opens the session */
export async function readSession(
  sid: string,
  wanted: Pick<TreeWanted, 'operator' | 'limit'>,
  sighted: Sighted,
  now: number,
): Promise<SessionView | undefined> {
  const { asOf, links, restrictions, truncated } = await readTree(
    { kind: 'session', id: sid, live: false, depth: Number.POSITIVE_INFINITY, ...wanted },
    sighted,
    now,
  );
  const pause = makePause();
  const sessions: SessionItem[] = [];
  for (const { token, sid: its, opensSession } of links) {
    const link = its === sid && opensSession ? sighted.reader.find(token) : undefined;
    const judged = link && judgeAlone(link, sighted, now);
    if (judged !== undefined) sessions.push(itemOf(judged, sighted.reader, now));
    await pause();
  }
  return sessions.length === 0 ? undefined : { sid, sessions, asOf, links, restrictions, truncated };
}

function itemOf({ link, state, revokedBy, narrowedBy }: JudgedLink, reader: SightingReader, now: number): SessionItem {
  const { tokenHash, operator, agent, jti, jkt, sid = '', iat, exp, firstSeen, lastSeen, gateway } = link;
  return {
    sid,
    token: tokenHash,
    operator,
    agent,
    jti,
    jkt,
    issued: iat,
    expires: exp,
    firstSeen,
    lastSeen,
    gateway,
    ...reader.countWithin(link, { endsAfter: now, limit: MOST_COUNTED }),
    state,
    ...(revokedBy !== undefined && { revokedBy }),
    narrowedBy: [...narrowedBy],
  };
}

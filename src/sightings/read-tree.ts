// The tree of delegations through something: every link seen above it and below it. Read and judged in slices, since what decides
// requests may share the event loop.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { concerningRestrictions, isInForce, type JudgedLink, judgeLink, type Sighted } from './judge-link.ts';
import type { KeptLink, TreeKind } from './sighting-reader.ts';
import type { LinkView, TreeView } from './views.ts';

export interface TreeWanted {
  readonly kind: TreeKind;
  readonly id: string;
  /** DID of the one operator whose chains are looked at; all without it. */
  readonly operator: string | undefined;
  /** Only what is in force. */
  readonly live: boolean;
  /** How deep links are shown; those that match, and what is above them, are shown anyway. */
  readonly depth: number;
  /** Most links. */
  readonly limit: number;
}

const SLICE_MILLIS = 5;
const MOST_DEPTH = 5;
/** Of what links may do, all together: some may name hundreds of models. */
const MOST_CHARACTERS = 1_000_000;

/** @param now seconds since the epoch */
export async function readTree(wanted: TreeWanted, sighted: Sighted, now: number): Promise<TreeView> {
  const { kind, id } = wanted;
  const pause = makePause();
  const { found, matches, truncated } = await gather(wanted, sighted, now, pause);
  const judged = await judgeAll(found, sighted, now, pause);
  const shown = wanted.live ? judged.filter(isInForce) : judged;
  return {
    kind,
    id,
    asOf: now,
    links: shown.map((each) => viewOf(each, matches.has(each.link.tokenHash))),
    restrictions: concerningRestrictions(shown, sighted.restriction),
    truncated,
  };
}

async function gather({ kind, id, operator, live, depth, limit }: TreeWanted, { reader }: Sighted, now: number, pause: Pause) {
  const endsAfter = live ? now : 0;
  const found = new Map<string, KeptLink>();
  const matching = reader.matching(kind, id, { operator, endsAfter, limit: limit + 1 });
  let truncated = matching.length > limit;
  let characters = 0;
  const wanted: KeptLink[] = [];
  for (const tokenHash of matching.slice(0, limit)) {
    if (isFull() && !found.has(tokenHash)) {
      truncated = true;
      continue;
    }
    const link = found.get(tokenHash) ?? reader.find(tokenHash);
    if (link !== undefined && addWithAncestors(link)) wanted.push(link);
    await pause();
  }
  const matches = new Set(wanted.map(({ tokenHash }) => tokenHash));
  // By breadth: where not all fit, what is near to what was asked for stays.
  const looked = new Set<string>();
  for (let level = wanted; level.length > 0; ) {
    const next: KeptLink[] = [];
    for (const { tokenHash, depth: at } of level) {
      if (at >= Math.min(depth, MOST_DEPTH) || looked.has(tokenHash)) continue;
      looked.add(tokenHash);
      for (const hash of reader.below(tokenHash, { endsAfter, limit: limit + 1 })) {
        const link = found.get(hash) ?? (isFull() ? undefined : reader.find(hash));
        if (link !== undefined) next.push(add(link));
        else if (isFull()) truncated = true;
        await pause();
      }
    }
    level = next;
  }
  return { found, matches, truncated };

  function isFull(): boolean {
    return found.size >= limit || characters > MOST_CHARACTERS;
  }

  function add(link: KeptLink): KeptLink {
    if (!found.has(link.tokenHash)) characters += JSON.stringify(link.details).length;
    found.set(link.tokenHash, link);
    return link;
  }

  /** All or nothing: what is above it may be a little more than fits. */
  function addWithAncestors(link: KeptLink): boolean {
    const path = [link];
    for (let parent = link.parent; parent !== undefined && !found.has(parent); parent = path.at(-1)?.parent) {
      const above = reader.find(parent);
      // It has expired long ago, and so has everything below it.
      if (above === undefined) return false;
      path.push(above);
    }
    for (const each of path) add(each);
    return true;
  }
}

/** In the order of a drawing: each link after the one above it, siblings by when they were issued. */
async function judgeAll(
  found: ReadonlyMap<string, KeptLink>,
  { find }: Sighted,
  now: number,
  pause: Pause,
): Promise<JudgedLink[]> {
  const below = Map.groupBy(found.values(), ({ parent }) => parent);
  const judged: JudgedLink[] = [];
  const waiting: { link: KeptLink; above: JudgedLink | undefined }[] = [];
  const wait = (parent: string | undefined, above: JudgedLink | undefined) => {
    const siblings = (below.get(parent) ?? []).toSorted(inOrder).reverse();
    for (const link of siblings) waiting.push({ link, above });
  };
  wait(undefined, undefined);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const one = judgeLink(next.link, next.above, find, now);
    judged.push(one);
    wait(next.link.tokenHash, one);
    await pause();
  }
  return judged;
}

function inOrder(one: KeptLink, other: KeptLink): number {
  if (one.operator !== other.operator) return one.operator < other.operator ? -1 : 1;
  return one.iat - other.iat || (one.tokenHash < other.tokenHash ? -1 : 1);
}

export function viewOf({ link, state, revokedBy, narrowedBy }: JudgedLink, matches: boolean): LinkView {
  const { tokenHash, parent, depth, operator, agent, jti, jkt, sid, task, opensSession, setsTask, delegates } = link;
  return {
    token: tokenHash,
    ...(parent !== undefined && { parent }),
    depth,
    operator,
    agent,
    jti,
    jkt,
    ...(sid !== undefined && { sid }),
    ...(task !== undefined && { task }),
    opensSession,
    setsTask,
    delegates,
    issued: link.iat,
    expires: link.exp,
    firstSeen: link.firstSeen,
    lastSeen: link.lastSeen,
    gateway: link.gateway,
    details: link.details,
    state,
    ...(revokedBy !== undefined && { revokedBy }),
    narrowedBy: [...narrowedBy],
    matches,
  };
}

export type Pause = () => Promise<void>;

/** Lets others have their turn when this one has taken long enough. */
export function makePause(): Pause {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < SLICE_MILLIS) return;
    await nextTurn();
    since = performance.now();
  };
}

// Restrictions over the control API: posted by their authors, listed, fed to gateways, and acknowledged by them (profile section 6).

import { EMPTY_HEAD } from '../restrictions/feed-head.ts';
import { feedSchema, type RestrictionFeed } from '../restrictions/restriction-feed.ts';
import type { KeptRestriction, RestrictionStore } from '../restrictions/restriction-store.ts';
import { reopenRestriction } from '../restrictions/verify-restriction.ts';
import { type AcceptRestrictionSettings, acceptRestriction, read } from './accept-restriction.ts';
import { ChangeWaiters } from './change-waiters.ts';
import { type Followers, LEAST_LIVE_SECONDS } from './followers.ts';
import { defineOperation, type Operation } from './operation.ts';
import { Problem } from './problem.ts';
import {
  acceptedRestriction,
  acknowledgement,
  acknowledgementParameters,
  acknowledgementQuery,
  feedQuery,
  keptRestriction,
  postedRestriction,
  restrictionPage,
  restrictionParameters,
  restrictionsQuery,
} from './restriction-schemas.ts';
import { noParameters } from './schemas.ts';

export interface RestrictionApiSettings extends AcceptRestrictionSettings {
  readonly followers: Followers;
  /** Most callers that may wait at a time. */
  readonly mostWaiting: number;
}

export interface RestrictionApi {
  readonly operations: readonly Operation[];
  /** Answers those who wait. */
  close(): void;
}

const FEED_ROWS = 500;
/** A page ends with the restriction that goes beyond. */
const FEED_CHARACTERS = 1024 * 1024;

export function restrictionApi(settings: RestrictionApiSettings): RestrictionApi {
  const { store, followers } = settings;
  const news = new ChangeWaiters(settings.mostWaiting);
  const reports = new ChangeWaiters(settings.mostWaiting);
  let closed = false;
  const unsubscribe = store.subscribe(() => {
    news.wake();
    // One in this process has it by now.
    reports.wake();
  });
  const forget = followers.subscribe(() => reports.wake());
  const operations = [
    defineOperation({
      id: 'postRestriction',
      method: 'POST',
      path: '/v1/restrictions',
      summary: 'Revokes or narrows, or lifts a narrowing',
      description:
        'The statement is signed, and the request need not be. Durable when it is answered. To post the same again changes nothing and gets the same answer.',
      parameters: noParameters,
      query: noParameters,
      body: postedRestriction,
      authenticatesItself: true,
      responses: {
        201: { description: 'Kept, now or before.', schema: acceptedRestriction, headers: { location: 'where it is' } },
      },
      problems: [
        'malformed-request',
        'signature-invalid',
        'operator-not-allowed',
        'content-too-large',
        'unsupported-media-type',
        'invalid-body',
        'idempotency-key-reused',
        'too-many-requests',
        'unavailable',
      ],
      answer: ({ request }) => acceptRestriction(request.body, settings),
    }),
    defineOperation({
      id: 'listRestrictions',
      method: 'GET',
      path: '/v1/restrictions',
      summary: 'Lists restrictions, oldest first',
      parameters: noParameters,
      query: restrictionsQuery,
      responses: { 200: { description: 'A page.', schema: restrictionPage } },
      problems: ['bad-parameter', 'unavailable'],
      answer: ({ query: { after, limit } }) => {
        const found = read(() => store.after(after, limit + 1));
        const items = found.slice(0, limit);
        const next = found.length > limit ? items.at(-1)?.sequence : undefined;
        return { status: 200, body: { items: items.map(viewOf), ...(next !== undefined && { next }) } };
      },
    }),
    defineOperation({
      id: 'followRestrictions',
      method: 'GET',
      path: '/v1/restrictions/feed',
      summary: 'Tells gateways what is restricted, and waits for it',
      description:
        'Ask without `epoch` first, then with the `epoch` of the answer before and the `sequence` of the last restriction. A `last` below `after`, a gap, or a `head` that does not follow: the vault took something back, and is not to be believed.',
      parameters: noParameters,
      query: feedQuery,
      responses: { 200: { description: 'The restrictions there are, none when the time is over.', schema: feedSchema } },
      problems: ['bad-parameter', 'unavailable'],
      answer: async ({ query: { after, epoch, wait, follower, applied, bound }, gone }) => {
        const goesOn = epoch === store.epoch;
        if (follower !== undefined && goesOn) {
          // Before it can rely on an answer: after a restart it may still do so while it cannot be heard.
          await keepBound(store, Math.max(LEAST_LIVE_SECONDS, bound ?? 0));
          if (applied !== undefined) followers.report(follower, applied, bound ?? 0);
        }
        const asked = performance.now();
        if (goesOn && after === read(() => store.lastSequence()) && wait > 0) await news.wait(wait * 1000, gone);
        // It may rely on the answer for as long as its bound from now on, even if nothing is heard of it again.
        if (follower !== undefined && goesOn) followers.relies(follower, bound ?? 0);
        const waited = Math.floor(performance.now() - asked);
        return { status: 200, body: read(() => feedOf(store, goesOn ? after : undefined, waited)) };
      },
    }),
    defineOperation({
      id: 'getRestriction',
      method: 'GET',
      path: '/v1/restrictions/{id}',
      summary: 'One restriction',
      parameters: restrictionParameters,
      query: noParameters,
      responses: { 200: { description: 'The restriction.', schema: keptRestriction } },
      problems: ['bad-parameter', 'not-found', 'unavailable'],
      answer: ({ parameters: { id } }) => {
        const kept = read(() => store.findById(id));
        if (kept === undefined) throw new Problem('not-found', 'No restriction has this id.');
        return { status: 200, body: viewOf(kept) };
      },
    }),
    defineOperation({
      id: 'getAcknowledgement',
      method: 'GET',
      path: '/v1/restrictions/{sequence}/acknowledged',
      summary: 'Says whether every live gateway has a restriction in force, and waits for it',
      parameters: acknowledgementParameters,
      query: acknowledgementQuery,
      responses: { 200: { description: 'Who has, and who is missing when the time is over.', schema: acknowledgement } },
      problems: ['bad-parameter', 'not-found', 'unavailable'],
      answer: async ({ parameters: { sequence }, query: { wait }, gone }) => {
        if (sequence > read(() => store.lastSequence())) throw new Problem('not-found', 'No restriction has this number.');
        const until = performance.now() + wait * 1000;
        for (;;) {
          const { followers: live, missing } = followers.acknowledged(sequence);
          const left = until - performance.now();
          if (missing.length === 0 || left <= 0 || gone.aborted || closed)
            return { status: 200, body: { sequence, acknowledged: missing.length === 0, followers: live, missing } };
          // Also looked at when nobody reports: one that is missing may be gone.
          await reports.wait(Math.min(left, 250), gone);
        }
      },
    }),
  ];
  return {
    operations,
    close: () => {
      closed = true;
      unsubscribe();
      forget();
      news.close();
      reports.close();
    },
  };
}

function viewOf({ sequence, compact }: KeptRestriction) {
  const { target, before, details, lifts, id, effect, by, at, reason } = reopenRestriction(compact);
  return {
    sequence,
    id,
    target: { [target.kind]: target.value },
    ...(before !== undefined && { before }),
    effect,
    ...(details !== undefined && { details }),
    ...(lifts !== undefined && { lifts }),
    by,
    at,
    reason,
    restriction: compact,
  };
}

async function keepBound(store: RestrictionStore, seconds: number): Promise<void> {
  try {
    await store.keepBound(seconds);
  } catch (cause) {
    throw new Problem('unavailable', 'The store does not take anything now.', { cause });
  }
}

/** @param after `undefined` for one who has to begin anew */
function feedOf(store: RestrictionStore, after: number | undefined, waited: number): RestrictionFeed {
  const last = store.lastSequence();
  const rows = after === undefined ? [] : store.after(after, FEED_ROWS);
  const restrictions: RestrictionFeed['restrictions'] = [];
  let characters = 0;
  for (const { sequence, compact } of rows) {
    if (characters > FEED_CHARACTERS) break;
    characters += compact.length;
    restrictions.push({ sequence, restriction: compact });
  }
  const upTo = restrictions.at(-1)?.sequence ?? Math.min(after ?? 0, last);
  return { epoch: store.epoch, last: Math.max(last, upTo), restrictions, head: store.headAt(upTo) ?? EMPTY_HEAD, waited };
}

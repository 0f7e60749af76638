// Sessions and trees of delegations over the control API. To read and nothing else: a session is ended or narrowed by a restriction,
// which its author signs.

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Sighted } from '../sightings/judge-link.ts';
import { readSession, readSessions } from '../sightings/read-sessions.ts';
import { readTree } from '../sightings/read-tree.ts';
import { TREE_KINDS } from '../sightings/sighting-reader.ts';
import { sessionPage, sessionView, treeView } from '../sightings/views.ts';
import type { AuthenticateReader, Reader } from './authenticate-reader.ts';
import { badCursor, decodeCursor, encodeCursor } from './cursor.ts';
import { digits } from './digits.ts';
import { type Call, defineOperation, type Operation, type Reply } from './operation.ts';
import { Problem, type ProblemCode, SIGNED_PROBLEMS } from './problem.ts';
import { noParameters } from './schemas.ts';

export interface SightingApiSettings {
  readonly sighted: () => Sighted | undefined;
  readonly authenticate: AuthenticateReader;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

const PROBLEMS: readonly ProblemCode[] = [...SIGNED_PROBLEMS, 'sightings-off', 'too-many-requests'];
const SIGNED = { method: 'GET', signed: true, problems: PROBLEMS } as const;
/** Of reads that work: the others have their turn. */
const MOST_AT_A_TIME = 4;

const identifier = z
  .string()
  .min(1)
  .max(4200)
  .regex(/^[!-~]+$/, 'must be visible ASCII characters');
const flag = z.enum(['true', 'false']).default('false');
const links = digits(1, 1000).default(200).describe('most links');

const sessionsQuery = z.strictObject({
  operator: identifier.optional().describe('DID: only its chains; an operator sees no others anyway'),
  agent: identifier.optional().describe('DID: only sessions that this agent opened'),
  all: flag.describe('those that have expired or are revoked, too'),
  cursor: z.string().max(4096).optional().describe('`next` of the page before'),
  limit: digits(1, 200).default(50).describe('most items of the page'),
});
const sessionParameters = z.strictObject({ sid: identifier.max(256).describe('percent-encoded') });
const treeQuery = z.strictObject({
  kind: z.enum(TREE_KINDS).describe('what `id` is; of a key, its thumbprint, of a token, its jti'),
  id: identifier,
  live: flag.describe('only what is in force'),
  depth: digits(0, 5).default(5).describe('how deep below the root what is below `id` is shown'),
  limit: links,
});

export function sightingOperations({ sighted, authenticate, clock }: SightingApiSettings): Operation[] {
  let reading = 0;
  const answer =
    <P, Q>(read: (call: Call<P, Q>, reader: Reader, shown: Sighted, now: number) => Promise<unknown>) =>
    async (call: Call<P, Q>): Promise<Reply> => {
      const reader = await authenticate(call.request);
      const shown = sighted();
      if (shown === undefined)
        throw new Problem(
          'sightings-off',
          'This vault has no gateway that keeps sightings: ask on the machine of one, with --store.',
        );
      while (reading >= MOST_AT_A_TIME && !call.gone.aborted) await sleep(10);
      reading++;
      try {
        return { status: 200, body: await read(call, reader, shown, Math.floor(clock() / 1000)) };
      } catch (cause) {
        if (cause instanceof Problem) throw cause;
        throw new Problem('unavailable', 'The sightings cannot be read now.', { cause });
      } finally {
        reading--;
      }
    };
  return [
    defineOperation({
      ...SIGNED,
      id: 'listSessions',
      path: '/v1/sessions',
      summary: 'Lists sessions that were seen, those that end last first',
      description:
        'Nobody registers a session: what is shown is what a gateway saw. Signed as a write is; an operator sees its own chains, an administrator all.',
      parameters: noParameters,
      query: sessionsQuery,
      responses: { 200: { description: 'A page.', schema: sessionPage } },
      answer: answer(async ({ query: { operator, agent, all, cursor, limit } }, reader, shown, now) => {
        const after = positionOf(decodeCursor('sessions', cursor));
        // What is of others is not there, as if it had never been seen.
        if (reader.operator !== undefined && operator !== undefined && operator !== reader.operator) return { items: [] };
        const query = { operator: reader.operator ?? operator, agent, all: all === 'true', limit, after };
        const { items, next } = await readSessions(query, shown, now);
        return { items, ...(next && { next: encodeCursor('sessions', `${next.exp} ${next.tokenHash}`) }) };
      }),
    }),
    defineOperation({
      ...SIGNED,
      id: 'getSession',
      path: '/v1/sessions/{sid}',
      summary: 'One session: the links above and below it, and what concerns them',
      description:
        'An agent names its sessions itself, so that two may have one `sid`; a restriction of a session is about both.',
      parameters: sessionParameters,
      query: z.strictObject({ limit: links }),
      responses: { 200: { description: 'The session.', schema: sessionView } },
      problems: [...PROBLEMS, 'session-not-seen'],
      answer: answer(async ({ parameters: { sid }, query: { limit } }, { operator }, shown, now) => {
        const session = await readSession(sid, { operator, limit }, shown, now);
        if (session === undefined) throw new Problem('session-not-seen', 'No session of this id was seen, or is kept.');
        return session;
      }),
    }),
    defineOperation({
      ...SIGNED,
      id: 'getTree',
      path: '/v1/tree',
      summary: 'Who gave what to whom: every link seen above and below something',
      parameters: noParameters,
      query: treeQuery,
      responses: { 200: { description: 'The links, each after the one above it.', schema: treeView } },
      answer: answer(({ query: { kind, id, live, depth, limit } }, { operator }, shown, now) =>
        readTree({ kind, id, operator, live: live === 'true', depth, limit }, shown, now),
      ),
    }),
  ];
}

/** @throws {Problem} */
function positionOf(position: string | undefined): { exp: number; tokenHash: string } | undefined {
  if (position === undefined) return undefined;
  const [, exp, tokenHash] = /^(\d{1,15}) ([\w-]{43})$/.exec(position) ?? [];
  if (exp === undefined || tokenHash === undefined) throw badCursor();
  return { exp: Number(exp), tokenHash };
}

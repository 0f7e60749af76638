// The feed of restrictions as it goes over the wire: what a follower asks with, and what it is answered.

import { z } from 'zod';
import { MAX_RESTRICTION_CHARACTERS } from './restriction.ts';

export const FEED_PATH = '/v1/restrictions/feed';

export const feedSchema = z
  .strictObject({
    epoch: z
      .string()
      .max(200)
      .describe('another one after a restore from a backup: read everything again, and keep what is known beyond'),
    last: z.int().min(0).describe('sequence of the newest restriction there is'),
    restrictions: z
      .array(
        z.strictObject({
          sequence: z.int().min(1),
          restriction: z.string().max(MAX_RESTRICTION_CHARACTERS).describe('compact JWS, typ agent-restriction+jwt'),
        }),
      )
      .max(1000)
      .describe('those after `after`, in order and without gaps'),
    head: z
      .string()
      .max(43)
      .describe(
        'stands for everything up to the last one here: base64url SHA-256 of the head before, a line feed and the restriction; empty before the first',
      ),
    waited: z.int().min(0).describe('milliseconds for which the answer was held back'),
  })
  .meta({ title: 'RestrictionFeed', description: 'Restrictions, oldest first.' });
export type RestrictionFeed = z.infer<typeof feedSchema>;

export interface FeedQuestion {
  readonly after: number;
  /** As the answer before gave it. */
  readonly epoch: string | undefined;
  /** Seconds to hold the answer back when there is no news. */
  readonly wait: number;
  /** Unguessable name of the gateway, so that nobody else acknowledges for it. */
  readonly follower: string;
  /** Everything up to this sequence is in force there. */
  readonly applied: number;
  /** Seconds without an answer after which the gateway denies everything. */
  readonly bound: number;
}

export function feedUrl(origin: string, { epoch, ...question }: FeedQuestion): URL {
  const url = new URL(FEED_PATH, origin);
  for (const [name, value] of Object.entries({ ...question, ...(epoch !== undefined && { epoch }) }))
    url.searchParams.set(name, String(value));
  return url;
}

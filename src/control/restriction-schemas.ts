// What the control API takes and gives of restrictions, each schema closed.

import { z } from 'zod';
import { MAX_RESTRICTION_CHARACTERS, TARGET_KINDS } from '../restrictions/restriction.ts';
import { feedSchema } from '../restrictions/restriction-feed.ts';
import { authorizationDetailsSchema } from '../token/authorization-details.ts';
import { digits } from './digits.ts';

const id = z.string().describe('128 bits, base64url');
const sequence = z.int().min(1).describe('its number in this vault, from 1 without gaps');
const compact = z.string().min(1).max(MAX_RESTRICTION_CHARACTERS).describe('compact JWS, typ agent-restriction+jwt');

export const postedRestriction = z
  .strictObject({
    restriction: compact,
    chain: z
      .array(
        z
          .string()
          .min(1)
          .max(24 * 1024),
      )
      .min(1)
      .max(6)
      .optional()
      .describe('only for an issuer’s key: a chain, root first, in which a link binds that key'),
  })
  .meta({ title: 'PostedRestriction', description: 'A restriction as its author signed it.' });

export const acceptedRestriction = z.strictObject({ id, sequence }).meta({
  title: 'AcceptedRestriction',
  description: 'The restriction is kept: it is durable, and on its way to every gateway.',
});

export const keptRestriction = z
  .strictObject({
    sequence,
    id,
    target: z.partialRecord(z.enum(TARGET_KINDS), z.string()).describe('exactly one'),
    before: z.int().optional().describe('seconds since the epoch: only chains whose root was issued before'),
    effect: z.enum(['revoke', 'narrow', 'lift']),
    details: authorizationDetailsSchema.optional().describe('what may be done at most; of a narrowing'),
    lifts: z.string().optional().describe('id of the narrowing that ends; of a lift'),
    by: z.string().describe('DID, or thumbprint URN of an issuer’s key'),
    at: z.int().describe('seconds since the epoch'),
    reason: z.string(),
    restriction: compact,
  })
  .meta({ title: 'Restriction', description: 'A restriction, and the statement that it was read from.' });

export const restrictionPage = z
  .strictObject({
    items: z.array(keptRestriction),
    next: z.int().optional().describe('`after` of the next page; absent on the last'),
  })
  .meta({ title: 'RestrictionPage', description: 'Restrictions in the order in which they were accepted.' });

export const acknowledgement = z
  .strictObject({
    sequence,
    acknowledged: z.boolean().describe('whether every live gateway has it in force'),
    followers: z.int().min(0).describe('live gateways: heard of within 5 seconds, or their own bound where that is longer'),
    missing: z.array(z.string()).describe('those that have not; a name stands for a gateway until it restarts'),
  })
  .meta({ title: 'Acknowledgement', description: 'Where a restriction is in force.' });

/** By their names in the OpenAPI document. */
export const RESTRICTION_COMPONENTS = {
  PostedRestriction: postedRestriction,
  AcceptedRestriction: acceptedRestriction,
  Restriction: keptRestriction,
  RestrictionPage: restrictionPage,
  RestrictionFeed: feedSchema,
  Acknowledgement: acknowledgement,
} as const;

const wait = digits(0, 25).default(0);

export const restrictionParameters = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9_-]{22}$/, 'must be the id of a restriction'),
});
export const acknowledgementParameters = z.strictObject({ sequence: digits(1) });
export const acknowledgementQuery = z.strictObject({ wait: wait.describe('seconds to wait for those that are missing') });
export const restrictionsQuery = z.strictObject({
  after: digits(0).default(0).describe('`next` of the page before'),
  limit: digits(1, 200).default(50).describe('most items of the page'),
});
export const feedQuery = z.strictObject({
  after: digits(0).default(0).describe('sequence of the last restriction that was read'),
  epoch: z.string().max(200).optional().describe('as the answer before gave it; without it nothing is told but the epoch'),
  wait: wait.describe('seconds to wait for a restriction'),
  follower: z
    .string()
    .regex(/^[A-Za-z0-9_-]{22,43}$/, 'must be 128 bits or more in base64url')
    .optional()
    .describe('secret name of the gateway that asks'),
  applied: digits(0).optional().describe('sequence everything up to which is in force there'),
  bound: digits(0, 3600).optional().describe('seconds without an answer after which it denies everything'),
});

// The section `verify.restrictions`: where a gateway hears of restrictions, and how old its knowledge may be.

import { z } from 'zod';

const did = z.string().regex(/^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/, 'must be a DID');

export const restrictionsConfiguration = z.strictObject({
  feed: z
    .union([
      z.enum(['redis', 'store']),
      z.url({ protocol: /^https$/ }).refine((origin) => URL.canParse(origin) && new URL(origin).origin === origin, {
        message: 'must be an origin in lower case: https://HOST[:PORT], no path',
      }),
    ])
    .optional()
    .describe(
      'where restrictions come from: the origin of a vault that is followed, `redis` for what a vault publishes there, or `store` for what commands write into the store. Without it: the role `control` in this process, or else `redis` where there is one, or else `store`',
    ),
  maxStaleSeconds: z
    .number()
    .min(1)
    .max(3600)
    .default(5)
    .describe('a feed that was not heard of for this time denies everything with 503'),
  administrators: z
    .array(did)
    .default([])
    .describe('DIDs whose restrictions count for every chain; an operator’s count for its own chains'),
});
export type RestrictionsConfiguration = z.infer<typeof restrictionsConfiguration>;

// The section `verify.sightings`: for how long, and how many of, the links that were seen are kept for those who look.

import { z } from 'zod';

export const sightingsConfiguration = z.strictObject({
  keepSeconds: z
    .int()
    .min(0)
    .max(366 * 86_400)
    .default(7 * 86_400)
    .describe('for how long a link that has expired is shown by `session` and `tree`; 0 keeps no sightings at all'),
  maxLinks: z
    .int()
    .min(1)
    .max(100_000_000)
    .default(1_000_000)
    .describe('most links that are kept: those that expired first go first, and when none has expired nothing new is kept'),
  maxLinksPerAgent: z
    .int()
    .min(1)
    .max(100_000_000)
    .default(10_000)
    .describe('the same for all chains whose root is one agent’s, whoever they were passed on to'),
});
export type SightingsConfiguration = z.infer<typeof sightingsConfiguration>;

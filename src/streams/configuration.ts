// The section `verify.streams`: what becomes of a response that runs when its chain ends.

import { z } from 'zod';

export const streamsConfiguration = z.strictObject({
  cut: z
    .boolean()
    .default(true)
    .describe(
      'end a running response when a link of its chain is revoked or expires, through an `ext_proc` filter; with `false` only new requests are denied',
    ),
});

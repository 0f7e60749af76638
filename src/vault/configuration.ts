// How a gateway finds DID documents (profile section 1): which methods, from where, and how long they are kept.

import { z } from 'zod';
import { addressRange } from './fetch/address-policy.ts';

const host = z.string().regex(/^[a-z0-9.-]+(?::[0-9]+)?$/, 'must be a host name in lower case, with a port if it is not 443');

export const resolutionConfiguration = z.strictObject({
  vaults: z
    .array(z.url({ protocol: /^https$/ }))
    .default([])
    .describe('origins of vaults whose news are followed, so that a rotation or deactivation is in force at once'),
  web: z.array(host).default([]).describe('hosts whose did:web is accepted; it has no history, so none by default'),
  allowedAddresses: z
    .array(addressRange)
    .default([])
    .describe('address ranges that may be connected to although they are not public, e.g. `10.0.0.0/8` for a vault inside'),
  trustedCa: z
    .string()
    .optional()
    .describe("file with the CA certificates that hosts of DIDs are verified against; the system's by default"),
  ttlSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(300)
    .describe("how long a document is kept without asking again; a log's own `ttl` may shorten it"),
  maxStaleSeconds: z
    .int()
    .min(0)
    .max(86_400)
    .default(600)
    .describe('how long after it was found a document serves while its host cannot be reached'),
  cacheEntries: z.int().min(0).max(1_000_000).default(10_000).describe('documents kept in memory'),
  timeoutMillis: z
    .int()
    .min(50)
    .max(10_000)
    .default(500)
    .describe('longest time to fetch a document, all of it; below `service.deadlineMillis`, which ends the wait of a request'),
  maxBytes: z
    .int()
    .min(4096)
    .max(4 * 1024 * 1024)
    .default(65_536)
    .describe('largest document or log that is read'),
  requestsPerSecond: z
    .int()
    .min(1)
    .max(10_000)
    .default(200)
    .describe('most fetches in a second, over all hosts; one host gets half of them'),
});
export type ResolutionConfiguration = z.infer<typeof resolutionConfiguration>;

// Where the embedded store keeps what must survive, and how long a decision waits for it.

import { z } from 'zod';

export const storeConfiguration = z.strictObject({
  file: z
    .string()
    .min(1)
    .default('run/hermesbridge.db')
    .describe('the embedded store: records and nonces, one SQLite file and its -wal and -shm'),
  recordTimeoutMillis: z
    .int()
    .min(10)
    .max(10_000)
    .default(200)
    .describe('a record that is not durable after this time denies with 503'),
});
export type StoreConfiguration = z.infer<typeof storeConfiguration>;

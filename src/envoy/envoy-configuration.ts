// How the program runs its Envoy (`up`) or writes its bootstrap (`envoy`), as the configuration file says it.

import { z } from 'zod';

const listen = z.string().regex(/^(?:[^\s:]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/, 'must be HOST:PORT; port 0 takes a free one');

export const envoyConfiguration = (defaultListen: string) =>
  z.strictObject({
    listen: listen.default(defaultListen).describe('where this Envoy listens, `IP:PORT`; port 0 takes a free one'),
    tls: z
      .strictObject({
        certificate: z.string().describe('file with the certificate chain, PEM'),
        key: z.string().describe('file with its private key, PEM'),
      })
      .optional()
      .describe('TLS towards its clients; without it the listener speaks clear text'),
    directory: z
      .string()
      .optional()
      .describe("Envoy's run directory: bootstrap, admin socket, credentials by reference; beside this file by default"),
    concurrency: z.int().min(1).max(256).default(2).describe("Envoy's worker threads"),
    drainSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(10)
      .describe('longest time that streams in flight are given to end when `up` is stopped; a second signal stops at once'),
    logLevel: z
      .enum(['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'])
      .default('warning')
      .describe("Envoy's log level"),
    accessLog: z.boolean().default(false).describe('one JSON line for each request on stdout, without headers, query or body'),
  });
export type EnvoyConfiguration = z.infer<ReturnType<typeof envoyConfiguration>>;

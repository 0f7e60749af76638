// The section of the role `control`: where the vault serves, as whom, and who may write.

import { z } from 'zod';
import { eventsConfiguration } from '../events/configuration.ts';

const LOOPBACK = /^(?:unix:.+|localhost:\d{1,5}|127\.\d+\.\d+\.\d+:\d{1,5}|\[::1\]:\d{1,5})$/;

const control = z.strictObject({
  service: z
    .strictObject({
      listen: z
        .string()
        .regex(/^(?:unix:.+|[^\s:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})$/, 'must be unix:PATH or HOST:PORT')
        .default('127.0.0.1:8444')
        .describe('where the vault serves: `HOST:PORT`, or `unix:PATH` (relative to this file); beyond loopback it needs `tls`'),
      tls: z
        .strictObject({
          certificate: z.string().min(1).describe('file with the certificate chain, PEM; read again when it changes'),
          key: z.string().min(1).describe('file with its private key, PEM'),
        })
        .optional()
        .describe(
          'HTTPS; without it something in front of the vault has to speak it, and must leave the path and Host as they are',
        ),
      maxConnections: z
        .int()
        .min(16)
        .max(65_536)
        .default(2048)
        .describe('most connections at a time; half of them may wait for changes'),
    })
    .refine(({ listen, tls }) => tls !== undefined || LOOPBACK.test(listen), {
      path: ['tls'],
      message: 'is required to listen beyond loopback',
    })
    .prefault({})
    .describe('the HTTP service'),
  origin: z
    .url({ protocol: /^https$/ })
    .refine((origin) => URL.canParse(origin) && new URL(origin).origin === origin, {
      message: 'must be an origin in lower case: https://HOST[:PORT], no path',
    })
    .describe('where the world reaches the vault, `https://vault.example`: the DIDs registered here have this host'),
  operators: z
    .array(z.string().regex(/^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/, 'must be a DID'))
    .min(1)
    .describe('DIDs of the operators who may register, rotate and deactivate'),
  administrators: z
    .array(z.string().regex(/^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/, 'must be a DID'))
    .default([])
    .describe('DIDs of those who may revoke and narrow whatever operators and agents there are'),
  store: z
    .strictObject({
      file: z
        .string()
        .min(1)
        .default('run/vault.db')
        .describe('the registrations: one SQLite file and its -wal and -shm; `vault backup` copies it while it runs'),
    })
    .prefault({})
    .describe('where registrations are kept'),
  maxLogBytes: z
    .int()
    .min(8192)
    .max(4 * 1024 * 1024)
    .default(65_536)
    .describe(
      'largest log, all versions of a DID together; no larger than the `resolution.maxBytes` of the gateways that read it',
    ),
  key: z
    .union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ environment: z.string().min(1) })])
    .optional()
    .describe(
      'the Ed25519 key that signs the directory of keys and security events, JWK or PEM: {file: PATH} with mode 0600, or {environment: NAME}',
    ),
  events: eventsConfiguration
    .optional()
    .describe('security events (CAEP, RISC): told of restrictions, and taken as revocations; needs `key`'),
});

export const controlConfiguration = control.refine(({ events, key }) => events === undefined || key !== undefined, {
  path: ['events'],
  message: 'needs control.key, which signs what is told and what becomes of events',
});
export type ControlConfiguration = z.infer<typeof controlConfiguration>;

// The section `control.events`: who is told of restrictions, and whose events become some.

import { z } from 'zod';
import { addressRange } from '../vault/fetch/address-policy.ts';
import { TOLD_EVENTS } from './event-types.ts';
import { configuredSubject, subjectName } from './subject-identifier.ts';

const https = z.url({ protocol: /^https$/ });
const did = z.string().regex(/^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/, 'must be a DID');
const secret = z.union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ environment: z.string().min(1) })], {
  error: 'must be {file: PATH} or {environment: NAME}: a secret never stands in this file',
});
/** An issuer or an audience: compared as text. */
const party = z.string().min(1).max(1000);

const receiver = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be of a-z, 0-9 and inner hyphens')
    .describe('under which it is remembered how far the receiver has been told: keep it when the URL changes'),
  url: https.describe('where events are pushed to (RFC 8935); redirects are not followed'),
  audience: party.describe('`aud` of what it is told'),
  credential: secret.optional().describe('secret that is sent as `Authorization: Bearer`'),
  events: z.array(z.enum(TOLD_EVENTS)).min(1).optional().describe('types that the receiver wants; all by default'),
});

const transmitter = z.strictObject({
  issuer: party.describe('`iss` of its events'),
  audience: party.describe('`aud` that they must have: the name of this vault there'),
  jwks: z
    .union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ url: https })])
    .describe('its keys, a JWK Set: {url: URL}, or {file: PATH}'),
  token: secret.optional().describe('secret that it must send as `Authorization: Bearer`'),
  operators: z
    .array(did)
    .min(1)
    .optional()
    .describe('only agents that these operators registered here can be revoked by it; without this, whatever there is'),
  subjects: z
    .array(
      z.strictObject({
        subject: configuredSubject.describe(
          'as RFC 9493 has it: `{format: iss_sub, iss: …, sub: …}`, `{format: email, email: …}`',
        ),
        did: did.describe('DID of the agent or operator that it names'),
      }),
    )
    .default([])
    .refine((rows) => new Set(rows.map(({ subject }) => subjectName(subject))).size === rows.length, 'names a subject twice')
    .describe('what its names for agents and operators stand for; a subject of format `did` needs no entry'),
  maxAgeSeconds: z.int().min(60).max(604_800).default(3600).describe('oldest event that is accepted'),
  eventsPerMinute: z
    .int()
    .min(1)
    .max(100_000)
    .default(600)
    .describe('more than that are answered with 429; those without effect are counted by themselves'),
});

const unique = <T>(name: (item: T) => string) =>
  [(items: readonly T[]) => new Set(items.map(name)).size === items.length, 'names one twice'] as const;

export const eventsConfiguration = z.strictObject({
  issuer: https.optional().describe('`iss` of what is told; `control.origin` by default'),
  receivers: z
    .array(receiver)
    .refine(...unique<z.infer<typeof receiver>>(({ name }) => name))
    .default([])
    .describe('who is told of each restriction'),
  transmitters: z
    .array(transmitter)
    .refine(...unique<z.infer<typeof transmitter>>(({ issuer }) => issuer))
    .default([])
    .describe('whose events revoke: identity providers, other vaults'),
  allowedAddresses: z
    .array(addressRange)
    .default([])
    .describe('address ranges that may be connected to although they are not public, e.g. `10.0.0.0/8` for a receiver inside'),
  trustedCa: z
    .string()
    .optional()
    .describe("file with the CA certificates that receivers and transmitters are verified against; the system's by default"),
});
export type EventsConfiguration = z.infer<typeof eventsConfiguration>;
export type ReceiverConfiguration = EventsConfiguration['receivers'][number];
export type TransmitterConfiguration = EventsConfiguration['transmitters'][number];

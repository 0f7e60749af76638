// What the control API takes and gives of security events, each schema closed.

import { z } from 'zod';

export const postedEvent = z
  .string()
  .meta({ title: 'SecurityEvent', description: 'A security event token (RFC 8417): a compact JWS, typ secevent+jwt.' });

export const eventError = z
  .strictObject({
    err: z.enum([
      'invalid_request',
      'invalid_key',
      'invalid_issuer',
      'invalid_audience',
      'authentication_failed',
      'access_denied',
    ]),
    description: z.string(),
  })
  .meta({ title: 'EventError', description: 'RFC 8935 section 2.3.' });

export const eventKeys = z
  .strictObject({
    keys: z.array(z.looseObject({ kty: z.string(), kid: z.string(), alg: z.string(), use: z.literal('sig') })),
  })
  .meta({ title: 'EventKeys', description: 'A JWK Set.' });

export const transmitterDescription = z
  .strictObject({
    spec_version: z.literal('1_0'),
    issuer: z.url(),
    jwks_uri: z.url(),
    delivery_methods_supported: z.array(z.string()),
    default_subjects: z.literal('ALL'),
  })
  .meta({ title: 'Transmitter', description: 'There is no API for streams: receivers stand in the configuration of the vault.' });

/** By their names in the OpenAPI document. */
export const EVENT_COMPONENTS = {
  SecurityEvent: postedEvent,
  EventError: eventError,
  EventKeys: eventKeys,
  Transmitter: transmitterDescription,
} as const;

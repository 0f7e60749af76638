// Security events over the control API: pushed in by transmitters (RFC 8935), and what their receivers verify ours with (SSF 1.0).

import type { Logger } from 'pino';
import type { PrivateKey } from '../crypto/private-key.ts';
import { type AcceptEventSettings, type AcceptedEvent, acceptEvent } from '../events/accept-event.ts';
import { TooManyEvents } from '../events/event-rate.ts';
import { EVENT_MEDIA_TYPE, PUSH_DELIVERY } from '../events/event-types.ts';
import { EventRefused } from '../events/read-event.ts';
import { UnavailableKeys } from '../events/transmitter-keys.ts';
import { eventError, eventKeys, postedEvent, transmitterDescription } from './event-schemas.ts';
import { defineOperation, type Operation, type Reply } from './operation.ts';
import { Problem } from './problem.ts';
import { noParameters } from './schemas.ts';

export interface EventApiSettings {
  /** `undefined` where events are told and none are taken. */
  readonly accept: AcceptEventSettings | undefined;
  readonly key: PrivateKey;
  /** `iss` of what is told. */
  readonly issuer: string;
  readonly origin: string;
  readonly log: Logger;
}

const JWKS_PATH = '/.well-known/jwks.json';

export function eventOperations({ accept, key, issuer, origin, log }: EventApiSettings): Operation[] {
  return [
    ...(accept === undefined ? [] : [pushOperation(accept, log)]),
    defineOperation({
      id: 'getEventKeys',
      method: 'GET',
      path: JWKS_PATH,
      summary: 'The key that security events of this vault verify under',
      parameters: noParameters,
      query: noParameters,
      responses: { 200: { description: 'A JWK Set (RFC 7517).', schema: eventKeys } },
      problems: [],
      answer: () => {
        const { jwk, jkt } = key.publicKey;
        const keys = [{ ...jwk, kid: jkt, alg: key.algorithm, use: 'sig' }];
        return { status: 200, headers: { 'cache-control': 'public, max-age=300' }, body: { keys } };
      },
    }),
    defineOperation({
      id: 'getTransmitter',
      method: 'GET',
      path: '/.well-known/ssf-configuration',
      summary: 'What this vault says of itself as a transmitter of security events',
      parameters: noParameters,
      query: noParameters,
      responses: { 200: { description: 'Transmitter metadata (SSF 1.0 section 7).', schema: transmitterDescription } },
      problems: [],
      answer: () => ({
        status: 200,
        body: {
          spec_version: '1_0',
          issuer,
          jwks_uri: `${origin}${JWKS_PATH}`,
          delivery_methods_supported: [PUSH_DELIVERY],
          default_subjects: 'ALL',
        },
      }),
    }),
  ];
}

function pushOperation(accept: AcceptEventSettings, log: Logger): Operation {
  return defineOperation({
    id: 'pushEvent',
    method: 'POST',
    path: '/v1/events',
    summary: 'Takes a security event of a transmitter that the vault knows (RFC 8935)',
    description:
      'The event is signed, and the request need not be; some transmitters send a token of theirs as well. What it revokes is durable when it is accepted. To push the same again changes nothing and gets the same answer.',
    parameters: noParameters,
    query: noParameters,
    body: postedEvent,
    bodyMediaType: EVENT_MEDIA_TYPE,
    authenticatesItself: true,
    responses: {
      202: { description: 'Accepted, now or before; it may be about nobody who is known here.' },
      400: {
        description: 'Not accepted: do not send it again.',
        schema: eventError,
        headers: { 'content-language': 'of the description' },
      },
    },
    problems: ['malformed-request', 'content-too-large', 'unsupported-media-type', 'too-many-requests', 'unavailable'],
    answer: async ({ request: { body, fields } }): Promise<Reply> => {
      try {
        tell(await acceptEvent(body, fields.get('authorization')?.join(), accept), log);
        return { status: 202 };
      } catch (error) {
        if (!(error instanceof EventRefused)) throw toProblem(error);
        // Anyone can have one refused: no reason to wake anybody.
        log.info({ err: error.err, why: error.message }, 'security event refused');
        return {
          status: 400,
          headers: { 'content-language': 'en' },
          body: { err: error.err, description: error.message },
        };
      }
    },
  });
}

function tell({ unknownSubject, revoked, ...event }: AcceptedEvent, log: Logger): void {
  if (revoked.length > 0) log.warn({ ...event, revoked }, 'security event accepted: revoked');
  // The usual case of a transmitter that tells of all its accounts.
  else if (unknownSubject) log.info(event, 'security event accepted without effect: its subject is nobody who is known here');
  else log.info(event, 'security event accepted: it only informs');
}

function toProblem(error: unknown): Problem {
  if (error instanceof TooManyEvents) {
    const headers = { 'retry-after': String(error.retryAfterSeconds) };
    return new Problem('too-many-requests', 'More events than this transmitter may send.', { headers });
  }
  if (error instanceof UnavailableKeys)
    return new Problem('unavailable', 'The keys of the issuer cannot be had now: send it again.', { cause: error.cause });
  return new Problem('unavailable', 'The event could not be kept: send it again.', { cause: error });
}

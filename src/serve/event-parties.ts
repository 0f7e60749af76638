// The parties of security events as the configuration names them: their secrets, their keys, and the way to them.

import { readFile } from 'node:fs/promises';
import { ConfigurationError } from '../config.ts';
import type { Transmitter } from '../events/accept-event.ts';
import type { EventsConfiguration, ReceiverConfiguration, TransmitterConfiguration } from '../events/configuration.ts';
import type { DeliverySettings } from '../events/deliver-events.ts';
import type { KnownDid } from '../events/event-effect.ts';
import { EventRate } from '../events/event-rate.ts';
import { EVENT_MEDIA_TYPE } from '../events/event-types.ts';
import { subjectName } from '../events/subject-identifier.ts';
import { TransmitterKeys } from '../events/transmitter-keys.ts';
import { type GuardedFetch, makeGuardedFetch } from '../vault/fetch/guarded-fetch.ts';
import { makeGuardedPost } from '../vault/fetch/guarded-post.ts';
import { readSecret, SecretError, type SecretSource } from './secret.ts';

export interface EventReceiver extends ReceiverConfiguration {
  readonly push: DeliverySettings['push'];
}

export interface EventParties {
  readonly receivers: readonly EventReceiver[];
  readonly transmitters: readonly Transmitter[];
}

const FETCH = { timeoutMillis: 3000, maxBytes: 256 * 1024, requestsPerSecond: 10, maxConcurrent: 16, sharePerHost: 1 };
const PUSH_MILLIS = 10_000;
const JWKS_TYPES = ['application/json', 'application/jwk-set+json'];
const monotonic = () => performance.now();

/** @throws {ConfigurationError} */
export async function readEventParties(
  events: EventsConfiguration,
  find: (did: string) => KnownDid | undefined,
): Promise<EventParties> {
  const trustedCa = events.trustedCa === undefined ? undefined : await readCa(events.trustedCa);
  const rules = { allowedAddresses: events.allowedAddresses, trustedCa };
  const post = makeGuardedPost({ ...rules, timeoutMillis: PUSH_MILLIS });
  const guarded = makeGuardedFetch({ ...FETCH, ...rules, monotonic });
  const receivers = events.receivers.map(async (receiver, at) => {
    const credential = await secret(receiver.credential, `control.events.receivers[${at}].credential`);
    const headers = {
      'content-type': EVENT_MEDIA_TYPE,
      accept: 'application/json',
      ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
    };
    return { ...receiver, push: (compact: string) => post(new URL(receiver.url), headers, compact) };
  });
  const transmitters = events.transmitters.map((one, at) => readTransmitter(one, at, guarded, find));
  return { receivers: await Promise.all(receivers), transmitters: await Promise.all(transmitters) };
}

async function readTransmitter(
  transmitter: TransmitterConfiguration,
  at: number,
  guarded: GuardedFetch,
  find: (did: string) => KnownDid | undefined,
): Promise<Transmitter> {
  const { jwks, token, subjects, eventsPerMinute, ...rest } = transmitter;
  const load = async () => ('file' in jwks ? readFile(jwks.file) : guarded.fetch(new URL(jwks.url), JWKS_TYPES));
  const keys = new TransmitterKeys({ load, monotonic });
  // A file that is not there is a mistake to be told of at once; a host that is down now may be up when it is needed.
  if ('file' in jwks)
    await keys.current().catch(() => {
      throw new ConfigurationError([`control.events.transmitters[${at}].jwks: ${jwks.file} is missing or no JWK Set`]);
    });
  return {
    ...rest,
    keys,
    find,
    token: await secret(token, `control.events.transmitters[${at}].token`),
    operators: transmitter.operators,
    subjects: new Map(subjects.map(({ subject, did }) => [subjectName(subject), did])),
    rate: new EventRate(eventsPerMinute, monotonic),
  };
}

async function secret(source: SecretSource | undefined, what: string): Promise<string | undefined> {
  if (source === undefined) return undefined;
  try {
    const text = await readSecret(source, what);
    if (!/^[!-~]+$/.test(text)) throw new SecretError(`${what}: must be visible ASCII characters on one line`);
    return text;
  } catch (error) {
    if (error instanceof SecretError) throw new ConfigurationError([error.message]);
    throw error;
  }
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new ConfigurationError([`control.events.trustedCa: ${file} cannot be read`]);
  }
}

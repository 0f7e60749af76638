// Security events of the vault, wired: receivers that are told of restrictions, transmitters whose events become some, and the DIDs
// under which they did.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { ConfigurationError, type ControlConfiguration } from '../config.ts';
import type { ControlSettings } from '../control/start-control.ts';
import type { PrivateKey } from '../crypto/private-key.ts';
import type { Transmitter } from '../events/accept-event.ts';
import type { EventsConfiguration, ReceiverConfiguration, TransmitterConfiguration } from '../events/configuration.ts';
import { type Delivery, deliverEvents } from '../events/deliver-events.ts';
import type { DeliveryPositions } from '../events/delivery-positions.ts';
import { type EventAuthor, makeEventAuthor } from '../events/event-author.ts';
import type { KnownDid } from '../events/event-effect.ts';
import { EventRate } from '../events/event-rate.ts';
import { EVENT_MEDIA_TYPE } from '../events/event-types.ts';
import { subjectName } from '../events/subject-identifier.ts';
import { TransmitterKeys } from '../events/transmitter-keys.ts';
import type { RestrictionStore } from '../restrictions/restriction-store.ts';
import { SqliteEventStore } from '../stores/sqlite/event-store.ts';
import { type GuardedFetch, makeGuardedFetch } from '../vault/fetch/guarded-fetch.ts';
import { type GuardedPost, makeGuardedPost } from '../vault/fetch/guarded-post.ts';
import type { VaultStore } from '../vault/registry.ts';
import { readSecret, SecretError } from './secret.ts';

export interface EventSettings {
  readonly configuration: ControlConfiguration;
  readonly operators: () => readonly string[];
  readonly key: PrivateKey | undefined;
  readonly vault: VaultStore;
  readonly restrictions: RestrictionStore;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly log: Logger;
}

export interface RunningEvents {
  /** For the control API; without the section there is nothing to serve. */
  readonly api: ControlSettings['events'];
  /** DIDs under which events were turned into restrictions, now or at any time before: what they revoked is for good. */
  readonly authors: readonly string[];
  stop(): void;
}

const FETCH = { timeoutMillis: 3000, maxBytes: 256 * 1024, requestsPerSecond: 10, maxConcurrent: 16, sharePerHost: 1 };
const PUSH_MILLIS = 10_000;
const JWKS_TYPES = ['application/json', 'application/jwk-set+json'];

/** @throws {ConfigurationError} or {@link StoreError}: nothing is left running then. */
export async function startEvents(settings: EventSettings): Promise<RunningEvents> {
  const { configuration, key, log } = settings;
  const { events, origin } = configuration;
  const file = `${configuration.store.file}-events`;
  if (events === undefined || key === undefined) return withoutEvents(file);
  if (key.algorithm !== 'Ed25519') throw new ConfigurationError(['control.key: must be an Ed25519 key']);
  const trustedCa = events.trustedCa === undefined ? undefined : await readCa(events.trustedCa);
  const rules = { allowedAddresses: events.allowedAddresses, trustedCa };
  const guarded = makeGuardedFetch({ ...FETCH, ...rules, monotonic: () => performance.now() });
  const transmitters = await Promise.all(events.transmitters.map((one, at) => transmitterOf(one, at, guarded, settings)));
  const credentials = await Promise.all(
    events.receivers.map(({ credential }, at) => credential && secret(credential, `control.events.receivers[${at}].credential`)),
  );
  const author = makeEventAuthor(key);
  const store = SqliteEventStore.open(file);
  const post = makeGuardedPost({ ...rules, timeoutMillis: PUSH_MILLIS });
  const signer = { key, issuer: events.issuer ?? origin };
  let deliveries: Delivery[] = [];
  try {
    if (transmitters.length > 0) takeEvents(author, store, events, log);
    deliveries = events.receivers.map((receiver, at) =>
      deliver(receiver, {
        ...settings,
        positions: store,
        signer,
        own: author.did,
        push: pusher(receiver, credentials[at], post),
      }),
    );
  } catch (error) {
    store.close();
    throw error;
  }
  return {
    api: {
      accept:
        transmitters.length === 0 ? undefined : { transmitters, author, store: settings.restrictions, clock: settings.clock },
      ...signer,
    },
    authors: store.authors(),
    stop: () => {
      for (const delivery of deliveries) delivery.stop();
      store.close();
    },
  };
}

/** Transmitters that are configured no more have revoked all the same. */
function withoutEvents(file: string): RunningEvents {
  if (!existsSync(file)) return { api: undefined, authors: [], stop: () => {} };
  const store = SqliteEventStore.open(file);
  try {
    return { api: undefined, authors: store.authors(), stop: () => {} };
  } finally {
    store.close();
  }
}

function takeEvents({ did }: EventAuthor, store: SqliteEventStore, { transmitters }: EventsConfiguration, log: Logger): void {
  store.addAuthor(did);
  log.info(
    { administrator: did, administrators: store.authors(), issuers: transmitters.map(({ issuer }) => issuer) },
    'security events are taken: gateways elsewhere have to list these administrators under verify.restrictions.administrators',
  );
}

type Telling = EventSettings &
  Pick<Parameters<typeof deliverEvents>[0], 'signer' | 'own' | 'push'> & { positions: DeliveryPositions };

function deliver(receiver: ReceiverConfiguration, { log, restrictions: store, ...settings }: Telling): Delivery {
  const { name } = receiver;
  return deliverEvents({
    ...settings,
    receiver,
    store,
    onState: (state, err) =>
      state === 'delivering'
        ? log.info({ receiver: name }, 'security events are delivered')
        : log.warn({ receiver: name, err }, 'security events are not delivered: they wait in order, and are tried again'),
    onRefused: (refused) =>
      log.error({ receiver: name, ...refused }, 'a security event was refused by its receiver, and given up'),
  });
}

function pusher({ url }: ReceiverConfiguration, credential: string | undefined, post: GuardedPost) {
  const headers = {
    'content-type': EVENT_MEDIA_TYPE,
    accept: 'application/json',
    ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
  };
  return (compact: string) => post(new URL(url), headers, compact);
}

async function transmitterOf(
  transmitter: TransmitterConfiguration,
  at: number,
  guarded: GuardedFetch,
  { vault, operators }: EventSettings,
): Promise<Transmitter> {
  const { jwks, token, subjects, eventsPerMinute, ...rest } = transmitter;
  const monotonic = () => performance.now();
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
    token: token && (await secret(token, `control.events.transmitters[${at}].token`)),
    operators: transmitter.operators,
    subjects: new Map(subjects.map(({ subject, did }) => [subjectName(subject), did])),
    rate: new EventRate(eventsPerMinute, monotonic),
    find: (did) => vault.find(did) ?? listed(did, operators()),
  };
}

/** An operator without a log here: did:key and did:jwk. */
function listed(did: string, operators: readonly string[]): KnownDid | undefined {
  return operators.includes(did) ? { kind: 'operator', operator: did } : undefined;
}

async function secret(source: Parameters<typeof readSecret>[0], what: string): Promise<string> {
  try {
    return await readSecret(source, what);
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

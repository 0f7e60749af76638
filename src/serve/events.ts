// Security events of the vault, wired: receivers that are told of restrictions, transmitters whose events become some, and the DIDs
// under which they did.

import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import { ConfigurationError, type ControlConfiguration } from '../config.ts';
import type { ControlSettings } from '../control/start-control.ts';
import type { PrivateKey } from '../crypto/private-key.ts';
import type { EventsConfiguration } from '../events/configuration.ts';
import { type Delivery, type DeliverySettings, deliverEvents } from '../events/deliver-events.ts';
import { type EventAuthor, makeEventAuthor } from '../events/event-author.ts';
import type { KnownDid } from '../events/event-effect.ts';
import type { RestrictionStore } from '../restrictions/restriction-store.ts';
import { SqliteEventStore } from '../stores/sqlite/event-store.ts';
import type { VaultStore } from '../vault/registry.ts';
import { type EventReceiver, readEventParties } from './event-parties.ts';

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

/** @throws {ConfigurationError} or {@link StoreError}: nothing is left running then. */
export async function startEvents(settings: EventSettings): Promise<RunningEvents> {
  const { configuration, key, vault, operators, restrictions, clock, log } = settings;
  const { events, origin } = configuration;
  const file = `${configuration.store.file}-events`;
  if (events === undefined || key === undefined) return withoutEvents(file);
  if (key.algorithm !== 'Ed25519') throw new ConfigurationError(['control.key: must be an Ed25519 key']);
  const parties = await readEventParties(events, (did) => vault.find(did) ?? listed(did, operators()));
  const author = makeEventAuthor(key);
  const signer = { key, issuer: events.issuer ?? origin };
  const store = SqliteEventStore.open(file);
  const deliveries: Delivery[] = [];
  const stop = () => {
    for (const delivery of deliveries) delivery.stop();
    store.close();
  };
  try {
    if (parties.transmitters.length > 0) takeEvents(author, store, events, log);
    for (const receiver of parties.receivers)
      deliveries.push(deliver(receiver, { store: restrictions, positions: store, signer, own: author.did, clock }, log));
    const accept = { transmitters: parties.transmitters, author, store: restrictions, clock };
    return {
      api: { accept: parties.transmitters.length === 0 ? undefined : accept, ...signer },
      authors: store.authors(),
      stop,
    };
  } catch (error) {
    stop();
    throw error;
  }
}

/** Transmitters that are configured no more have revoked all the same. */
function withoutEvents(file: string): RunningEvents {
  const none = { api: undefined, stop: () => {} };
  if (!existsSync(file)) return { ...none, authors: [] };
  const store = SqliteEventStore.open(file);
  try {
    return { ...none, authors: store.authors() };
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

type Telling = Pick<DeliverySettings, 'store' | 'positions' | 'signer' | 'own' | 'clock'>;

function deliver({ push, ...receiver }: EventReceiver, telling: Telling, log: Logger): Delivery {
  const { name } = receiver;
  return deliverEvents({
    ...telling,
    receiver,
    push,
    onState: (state, err) =>
      state === 'delivering'
        ? log.info({ receiver: name }, 'security events are delivered')
        : log.warn({ receiver: name, err }, 'security events are not delivered: they wait in order, and are tried again'),
    onRefused: (refused) =>
      log.error({ receiver: name, ...refused }, 'a security event was refused by its receiver, and given up'),
  });
}

/** An operator without a log here: did:key and did:jwk. */
function listed(did: string, operators: readonly string[]): KnownDid | undefined {
  return operators.includes(did) ? { kind: 'operator', operator: did } : undefined;
}

// The role `control`, served: the API, the logs and the directory over HTTPS, from a store that someone else opened.

import { chmod, readFile, stat } from 'node:fs/promises';
import type { Server } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { PrivateKey } from '../crypto/private-key.ts';
import type { RestrictionStore } from '../restrictions/restriction-store.ts';
import { makeSignerKeys } from '../restrictions/signer-keys.ts';
import type { Sighted } from '../sightings/judge-link.ts';
import type { LogToVerify } from '../vault/admit.ts';
import type { DidDocument } from '../vault/did-document.ts';
import { keyHistory } from '../vault/key-history.ts';
import type { VaultStore } from '../vault/registry.ts';
import type { DidResolver } from '../vault/resolver.ts';
import type { VerifiedLog } from '../vault/webvh/verified-log.ts';
import { makeReaderAuthentication } from './authenticate-reader.ts';
import { makeAuthentication } from './authenticate-write.ts';
import { availableStore } from './available-store.ts';
import { ChangeWaiters } from './change-waiters.ts';
import type { ControlConfiguration } from './configuration.ts';
import { directoryOperation } from './directory-operation.ts';
import { type EventApiSettings, eventOperations } from './event-operations.ts';
import type { Followers } from './followers.ts';
import { makeHttpServer } from './http-server.ts';
import { IssuerRate } from './issuer-rate.ts';
import { KeptDocuments } from './kept-documents.ts';
import { logOperations } from './log-operations.ts';
import { describeOperations } from './openapi.ts';
import type { Operation } from './operation.ts';
import { makePresentedChainCheck } from './presented-chain.ts';
import { registrationOperations } from './registration-operations.ts';
import { type RestrictionApi, restrictionApi } from './restriction-operations.ts';
import { changesOperation, healthOperation, openApiOperation } from './service-operations.ts';
import { sightingOperations } from './sighting-operations.ts';
import { clearSocket } from './unix-socket.ts';

export interface ControlSettings {
  readonly configuration: ControlConfiguration;
  /** Who may write, where that can change meanwhile; `configuration.operators` otherwise. */
  readonly operators?: () => readonly string[];
  readonly store: VaultStore;
  /** Restrictions as this vault keeps them; without them it takes and tells none. */
  readonly restrictions?: {
    readonly store: RestrictionStore;
    readonly followers: Followers;
    readonly administrators: () => readonly string[];
    /** For DIDs that are not registered here. */
    readonly resolver: DidResolver;
  };
  /** What a gateway in this process sees; `undefined` where there is none. */
  readonly sightings?: () => Sighted | undefined;
  /** Security events; without them none are taken, and no key for them is shown. */
  readonly events?: Omit<EventApiSettings, 'origin' | 'log'> | undefined;
  readonly verifier: { verify(log: LogToVerify): Promise<VerifiedLog> };
  /** Signs the directory; without it there is none. */
  readonly key?: PrivateKey | undefined;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly log: Logger;
}

export interface RunningControl {
  /** As bound: `unix:PATH` or `HOST:PORT` with the actual port. */
  readonly address: string;
  /** Answers those who wait for changes, finishes what is in flight, stops. The store stays open. */
  stop(): Promise<void>;
}

const FINISH_MILLIS = 5000;
const CERTIFICATE_CHECK_MILLIS = 10_000;
/** As the gateways allow it that read the feed. */
const CLOCK_SKEW_MILLIS = 30_000;

/** @throws when the address is taken, the TLS files cannot be read, or the key is not of Ed25519. */
export async function startControl(settings: ControlSettings): Promise<RunningControl> {
  const { configuration, key, log } = settings;
  if (key !== undefined && key.algorithm !== 'Ed25519') throw new Error('control.key: must be an Ed25519 key');
  const store = availableStore(settings.store);
  const { listen, tls, maxConnections } = configuration.service;
  const waiters = new ChangeWaiters(Math.floor(maxConnections / 2));
  const documents = new KeptDocuments(store);
  const restrictions = makeRestrictionApi({ ...settings, store }, documents, Math.floor(maxConnections / 2));
  const app = makeHttpServer({
    operations: makeOperations({ ...settings, store }, documents, waiters, restrictions?.operations ?? []),
    tls: tls && (await readTls(tls)),
    maxConnections,
    log,
  });
  const unsubscribe = store.subscribe(() => waiters.wake());
  const certificates = tls && watchTls(tls, app.server, log);
  const release = () => {
    unsubscribe();
    clearInterval(certificates);
  };
  try {
    const address = await bind(app, listen);
    return {
      address,
      stop: async () => {
        waiters.close();
        restrictions?.close();
        const force = setTimeout(() => app.server.closeAllConnections(), FINISH_MILLIS);
        await app.close();
        clearTimeout(force);
        release();
      },
    };
  } catch (error) {
    release();
    await app.close();
    throw error;
  }
}

function operatorDocument(store: VaultStore, documents: KeptDocuments, did: string): DidDocument | undefined {
  const registered = store.find(did);
  return registered?.kind === 'operator' ? documents.read(registered) : undefined;
}

function makeRestrictionApi(
  settings: ControlSettings,
  documents: KeptDocuments,
  mostWaiting: number,
): RestrictionApi | undefined {
  const { configuration, store, restrictions, clock } = settings;
  if (restrictions === undefined) return undefined;
  const operators = settings.operators ?? (() => configuration.operators);
  const current = (did: string) => operatorDocument(store, documents, did) ?? restrictions.resolver.current(did);
  const resolver: DidResolver = { current, newer: ({ did }) => current(did) };
  const isHere = (did: string) => operatorDocument(store, documents, did) !== undefined;
  const historyAlone: DidResolver = {
    current: (did) =>
      isHere(did) ? { did, controller: [], verificationMethods: [], versionId: undefined } : restrictions.resolver.current(did),
    newer: (document) => document,
  };
  const formerKeys = async ({ did }: DidDocument) => keyHistory(did, (isHere(did) && store.readLog(did)?.log) || '');
  return restrictionApi({
    ...restrictions,
    operators,
    keys: makeSignerKeys({ resolver, clockSkewMillis: 0 }),
    formerKeys: makeSignerKeys({ resolver: historyAlone, formerKeys, clockSkewMillis: CLOCK_SKEW_MILLIS }),
    verifyChain: makePresentedChainCheck({ operators, resolver, clock }),
    rate: new IssuerRate(() => performance.now()),
    clock,
    mostWaiting,
  });
}

function makeOperations(
  settings: ControlSettings,
  documents: KeptDocuments,
  waiters: ChangeWaiters,
  restrictions: readonly Operation[],
): Operation[] {
  const { configuration, store, verifier, key, clock, log } = settings;
  const { origin, maxLogBytes } = configuration;
  const operators = settings.operators ?? (() => configuration.operators);
  const authority = new URL(origin).host;
  const authenticate = makeAuthentication({
    authority,
    operators,
    documentOf: (did) => operatorDocument(store, documents, did),
    clock,
    monotonic: () => performance.now(),
  });
  const sightings = sightingOperations({
    sighted: () => settings.sightings?.(),
    authenticate: makeReaderAuthentication({
      authority,
      operators,
      administrators: settings.restrictions?.administrators ?? (() => []),
      documentOf: (did) => operatorDocument(store, documents, did),
      clock,
      monotonic: () => performance.now(),
    }),
    clock,
  });
  const admission = { registered: store, verify: (log: LogToVerify) => verifier.verify(log), origin, maxLogBytes, clock };
  const registrations = { ...admission, store, documents, authenticate, log };
  const operations = [
    ...registrationOperations('operator', registrations),
    ...registrationOperations('agent', registrations),
    changesOperation(store, waiters),
    healthOperation(store),
    openApiOperation(() => description),
    ...restrictions,
    ...sightings,
    ...(settings.events ? eventOperations({ ...settings.events, origin, log }) : []),
    ...logOperations(store),
    directoryOperation({ store, documents, key, authority, clock }),
  ];
  const description = describeOperations(operations, origin);
  return operations;
}

type TlsFiles = NonNullable<ControlConfiguration['service']['tls']>;

async function readTls({ certificate, key }: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  return { cert: await readFile(certificate), key: await readFile(key) };
}

/** A certificate is renewed while the vault runs; one that does not fit its key yet is left for the next look. */
function watchTls(files: TlsFiles, server: Server, log: Logger): NodeJS.Timeout {
  let known = '';
  const look = async () => {
    const found = (await Promise.all([stat(files.certificate), stat(files.key)]))
      .map(({ mtimeMs, ino }) => `${mtimeMs} ${ino}`)
      .join();
    if (known !== '' && known !== found && server instanceof HttpsServer) {
      server.setSecureContext({ ...(await readTls(files)), minVersion: 'TLSv1.2' });
      log.info('certificate changed');
    }
    known = found;
  };
  const warn = (error: unknown) => log.warn({ err: error }, 'the certificate cannot be read again; the old one stays');
  void look().catch(warn);
  return setInterval(() => void look().catch(warn), CERTIFICATE_CHECK_MILLIS).unref();
}

async function bind(app: FastifyInstance, listen: string): Promise<string> {
  if (listen.startsWith('unix:')) {
    const path = listen.slice('unix:'.length);
    await clearSocket(path);
    await app.listen({ path });
    await chmod(path, 0o660);
    return listen;
  }
  const at = listen.lastIndexOf(':');
  await app.listen({ host: listen.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(listen.slice(at + 1)) });
  const { port } = app.server.address() as AddressInfo;
  return `${listen.slice(0, at)}:${port}`;
}

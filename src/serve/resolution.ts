// How this gateway resolves DIDs, wired: what it fetches under which rules, what it verifies in a worker, what it remembers,
// and whose news it follows.

import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { ConfigurationError } from '../config.ts';
import type { Followers } from '../control/followers.ts';
import type { RestrictionStore } from '../restrictions/restriction-store.ts';
import type { Sighted } from '../sightings/judge-link.ts';
import { SqliteSeenLogs } from '../stores/sqlite/seen-logs/seen-logs.ts';
import type { ResolutionConfiguration } from '../vault/configuration.ts';
import { type DidDocument, UnavailableDid, UnknownDid } from '../vault/did-document.ts';
import { locationOfDidWebvh, scidOf, whetherAt } from '../vault/did-location.ts';
import { makeWebSource } from '../vault/did-web.ts';
import { FailedFetch, NotFound, RefusedFetch } from '../vault/fetch/fetch-error.ts';
import { type GuardedFetch, makeGuardedFetch } from '../vault/fetch/guarded-fetch.ts';
import { followChanges } from '../vault/follow-changes.ts';
import { type DatedKey, keyHistory } from '../vault/key-history.ts';
import type { VaultStore } from '../vault/registry.ts';
import { Resolver } from '../vault/resolver.ts';
import { LogVerifier } from '../vault/webvh/log-verifier.ts';
import { findBreak, makeWebvhSource, type ServedLog } from '../vault/webvh-source.ts';

/** The restrictions of a vault in this very process. */
export interface LocalRestrictions {
  readonly origin: string;
  readonly store: RestrictionStore;
  readonly followers: Followers;
  readonly administrators: readonly string[];
}

/** A vault in this very process: read directly, and verified all the same. */
export interface LocalVault {
  readonly origin: string;
  readonly store: VaultStore;
  readonly restrictions: LocalRestrictions;
  /** What the gateway sees, for the API of the vault; `undefined` when it keeps no sightings, or has ended. */
  showSightings(sighted: Sighted | undefined): void;
}

export interface ResolutionSettings {
  readonly configuration: ResolutionConfiguration;
  /** Where the highest version seen of each log is kept. */
  readonly seenFile: string;
  readonly localVault: LocalVault | undefined;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

export interface Resolution {
  readonly resolver: Resolver;
  /** Every key in the verified history of a DID; none for a method without one. */
  formerKeys(document: DidDocument): Promise<readonly DatedKey[]>;
  /** Fetches answers that a vault holds back for as many seconds. */
  fetchFeed(waitSeconds: number): (url: URL) => Promise<Buffer>;
  stop(): Promise<void>;
}

/** Fetches at a time, over all hosts. */
const MOST_CONCURRENT = 64;
/** Beyond the time that a feed holds its answer back. */
const FEED_MILLIS = 1500;
/** One host, which the configuration names, asked as fast as it answers while everything is read. */
const FEED_RULES = { maxBytes: 4 * 1024 * 1024, queries: true, requestsPerSecond: 1000, sharePerHost: 1 };

/** @throws {ConfigurationError} or {@link StoreError}: nothing is left running then. */
export async function startResolution(settings: ResolutionSettings): Promise<Resolution> {
  const { configuration, seenFile, localVault, log, clock } = settings;
  const trustedCa = configuration.trustedCa && (await readCa(configuration.trustedCa));
  const monotonic = () => performance.now();
  const rules = { ...configuration, trustedCa: trustedCa || undefined, maxConcurrent: MOST_CONCURRENT, monotonic };
  const guarded = makeGuardedFetch(rules);
  const seen = await SqliteSeenLogs.open(seenFile);
  const verifier = LogVerifier.start();
  const isLocal = localVault && whetherAt(localVault.origin);
  const readLog = (did: string) => (localVault && isLocal?.(did) ? readLocal(did, localVault.store) : fetchLog(did, guarded));
  const resolver = new Resolver({
    ...configuration,
    sources: {
      webvh: makeWebvhSource({
        readLog,
        verify: (request) => verifier.verify({ ...request, maxBytes: configuration.maxBytes }),
        seen,
        clock,
        onRollback: (did, detail) => log.error({ did, detail }, 'a DID log was taken back or forked: refused'),
      }),
      web: makeWebSource(guarded, configuration.web),
    },
    monotonic,
    onRefreshError: (did, err) => log.warn({ did, err }, 'DID not refreshed: the document at hand serves until it is too old'),
  });
  const stops = configuration.vaults.map((origin) => {
    // The vault holds an answer back until there is news, so this one may take longer than a document.
    const news = makeGuardedFetch({ ...rules, timeoutMillis: 30_000, maxBytes: 4 * 1024 * 1024, queries: true });
    return followChanges({
      origin,
      fetch: (url) => news.fetch(url, ['application/json']),
      onChanged: (did) => resolver.changed(did),
      onLost: () => resolver.changedWhere(whetherAt(origin)),
      onState: (state, err) =>
        state === 'following'
          ? log.info({ vault: origin }, 'following the vault')
          : log.warn({ vault: origin, err }, 'news of the vault interrupted: documents are kept no longer than their ttl'),
    });
  });
  if (localVault) stops.push(localVault.store.subscribe(({ did }) => resolver.changed(did)));
  return {
    resolver,
    formerKeys: async ({ did }) => {
      if (!did.startsWith('did:webvh:')) return [];
      const served = await readLog(did);
      const verified = await verifier.verify({ did, ...served, now: clock(), maxBytes: configuration.maxBytes });
      // What ends before a version that was seen would let a key go on that was rotated out in it.
      const before = seen.find(scidOf(did));
      const broken = before && findBreak(verified, before);
      if (broken !== undefined) throw new UnknownDid(broken);
      return keyHistory(did, served.log);
    },
    fetchFeed: (waitSeconds) => {
      const timeoutMillis = waitSeconds * 1000 + FEED_MILLIS;
      const feed = makeGuardedFetch({ ...rules, ...FEED_RULES, timeoutMillis });
      return (url) => feed.fetch(url, ['application/json']);
    },
    stop: async () => {
      for (const stop of stops) stop();
      await verifier.close();
      await seen.close();
    },
  };
}

function readLocal(did: string, store: VaultStore): ServedLog {
  const served = store.readLog(did);
  if (served === undefined) throw new UnknownDid('not registered in this vault');
  return served;
}

const LOG_TYPES = [
  'text/jsonl',
  'application/jsonl',
  'application/jsonlines',
  'application/x-ndjson',
  'application/json',
  'text/plain',
  'application/octet-stream',
];

async function fetchLog(did: string, guarded: GuardedFetch): Promise<ServedLog> {
  const location = locationOfDidWebvh(did);
  try {
    const log = (await guarded.fetch(location.log, LOG_TYPES)).toString();
    // Without witnesses in force there is nothing to ask for; a log that hides that it has some does not verify.
    if (!log.includes('"threshold"')) return { log, witness: undefined };
    return { log, witness: await fetchWitness(location.witness, guarded) };
  } catch (error) {
    if (error instanceof NotFound) throw new UnknownDid('there is no log at the location of the DID', { cause: error });
    if (error instanceof RefusedFetch) throw new UnknownDid(error.message, { cause: error });
    if (error instanceof FailedFetch) throw new UnavailableDid(error.message, { cause: error });
    throw error;
  }
}

async function fetchWitness(url: URL, guarded: GuardedFetch): Promise<string | undefined> {
  try {
    return (await guarded.fetch(url, ['application/json', 'text/plain', 'application/octet-stream'])).toString();
  } catch (error) {
    if (error instanceof NotFound) return undefined;
    throw error;
  }
}

export async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new ConfigurationError([`verify.resolution.trustedCa: ${file} cannot be read`]);
  }
}

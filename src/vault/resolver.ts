// From a DID to its document in force: kept in memory, asked for once however many wait for it, refreshed ahead of need, and
// asked for again at once when the vault says that a log grew. What a method needs to know is in its source.

import type { DidDocument } from './did-document.ts';
import { UnavailableDid, UnknownDid } from './did-document.ts';
import { resolveSelfDescribing } from './self-describing-did.ts';

export interface DidResolver {
  /** The document in force, at once where it is at hand. Rejects with {@link UnknownDid} or {@link UnavailableDid}; never throws. */
  current(did: string): DidDocument | Promise<DidDocument>;
  /** A document newer than this one if there is one: what is missing in it may have been published just now. */
  newer(document: DidDocument): DidDocument | Promise<DidDocument>;
}

export interface ResolvedDocument {
  readonly document: DidDocument;
  /** Seconds for which its author lets it be kept; `undefined` leaves it to the configuration. */
  readonly ttlSeconds: number | undefined;
}

/** Finds a document of one method anew. @throws {UnknownDid} or {@link UnavailableDid} */
export type DocumentSource = (did: string) => Promise<ResolvedDocument>;

export interface ResolverSettings {
  /** By the method's name: `webvh`, `web`. */
  readonly sources: Readonly<Record<string, DocumentSource | undefined>>;
  readonly ttlSeconds: number;
  /** How long after it was found a document serves while no newer one can be had. */
  readonly maxStaleSeconds: number;
  readonly cacheEntries: number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
  /** Told what a refresh that nobody waits for ran into. */
  readonly onRefreshError: (did: string, error: unknown) => void;
}

interface Kept {
  readonly document: DidDocument;
  /** Monotonic milliseconds. */
  readonly foundAt: number;
  readonly refreshAt: number;
  readonly freshUntil: number;
  readonly staleUntil: number;
  /** Asked for since it was kept, or since it was last passed over when something had to leave. */
  used: boolean;
}

interface Failed {
  readonly error: unknown;
  readonly until: number;
}

/** A DID that failed is asked for again soon: whoever made it fail must not lock out its agent for long. */
const FAILURE_KEPT_MILLIS = 2000;
/** However often a key is missing in it, a document is not asked for more often than this. */
const LEAST_AGE_MILLIS = 1000;
const REFRESH_AT = 0.8;
/** Where nearly all of a large cache is in use, none of it is looked for until the end. */
const MOST_PASSED_OVER = 100;

export class Resolver implements DidResolver {
  readonly #settings: ResolverSettings;
  readonly #kept = new Map<string, Kept>();
  readonly #failed = new Map<string, Failed>();
  readonly #flights = new Map<string, Promise<DidDocument>>();
  /** DIDs that changed while they were being asked for: the answer under way may be from before. */
  readonly #outdated = new Set<string>();

  constructor(settings: ResolverSettings) {
    this.#settings = settings;
  }

  current(did: string): DidDocument | Promise<DidDocument> {
    const kept = this.#kept.get(did);
    if (kept === undefined) return this.#find(did);
    const now = this.#settings.monotonic();
    if (now < kept.freshUntil) {
      if (now >= kept.refreshAt) this.#refresh(did);
      kept.used = true;
      return kept.document;
    }
    return this.#find(did).catch((error: unknown) => {
      // Be it that nothing can be had or that what is served does not verify: what did verify bridges it, only for so long.
      // `changed` leaves nothing to bridge with.
      if (this.#settings.monotonic() < kept.staleUntil && this.#kept.get(did) === kept) return kept.document;
      throw error;
    });
  }

  newer(document: DidDocument): DidDocument | Promise<DidDocument> {
    const kept = this.#kept.get(document.did);
    if (kept === undefined) return this.current(document.did);
    if (kept.document !== document) return kept.document;
    if (kept.freshUntil === Number.POSITIVE_INFINITY || this.#settings.monotonic() - kept.foundAt < LEAST_AGE_MILLIS) {
      return document;
    }
    return this.#find(document.did);
  }

  /** Someone says that the DID has a newer document: the one at hand is not in force any more. */
  changed(did: string): void {
    this.#kept.delete(did);
    this.#failed.delete(did);
    if (this.#flights.has(did)) this.#outdated.add(did);
  }

  /** The same for every DID that is chosen: what changed is not known any more. */
  changedWhere(chosen: (did: string) => boolean): void {
    for (const did of [...this.#kept.keys(), ...this.#flights.keys()]) if (chosen(did)) this.changed(did);
  }

  #refresh(did: string): void {
    if (this.#flights.has(did) || this.#recentFailure(did) !== undefined) return;
    this.#find(did).catch((error: unknown) => this.#settings.onRefreshError(did, error));
  }

  #find(did: string): Promise<DidDocument> {
    const flight = this.#flights.get(did);
    if (flight !== undefined) return flight;
    const failure = this.#recentFailure(did);
    if (failure !== undefined) return Promise.reject(failure.error);
    const started = this.#ask(did).finally(() => this.#flights.delete(did));
    this.#flights.set(did, started);
    return started;
  }

  async #ask(did: string): Promise<DidDocument> {
    for (let attempt = 0; ; attempt++) {
      this.#outdated.delete(did);
      try {
        const found = await this.#fromSource(did);
        if (this.#outdated.has(did) && attempt < 3) continue;
        return this.#keep(did, found);
      } catch (error) {
        if (this.#outdated.has(did) && attempt < 3) continue;
        this.#keepFailure(did, error);
        throw error;
      } finally {
        this.#outdated.delete(did);
      }
    }
  }

  async #fromSource(did: string): Promise<ResolvedDocument> {
    const method = did.split(':', 2)[1] ?? '';
    const source = Object.hasOwn(this.#settings.sources, method) ? this.#settings.sources[method] : undefined;
    if (source !== undefined) return source(did);
    return { document: resolveSelfDescribing(did), ttlSeconds: Number.POSITIVE_INFINITY };
  }

  #keep(did: string, found: ResolvedDocument): DidDocument {
    const { maxStaleSeconds, cacheEntries, monotonic } = this.#settings;
    const { ttlSeconds } = found;
    // What an author asks for is at least a second, or each request would pay for it, and at most what is configured.
    const seconds = ttlSeconds === Number.POSITIVE_INFINITY ? ttlSeconds : this.#boundedTtl(ttlSeconds);
    const now = monotonic();
    const before = this.#kept.get(did)?.document;
    this.#failed.delete(did);
    this.#kept.delete(did);
    // One version, one object: whoever remembers what followed from it need not look again.
    const same = before?.versionId !== undefined && before.versionId === found.document.versionId;
    const document = same ? before : found.document;
    if (cacheEntries === 0) return document;
    while (this.#kept.size >= cacheEntries) this.#forgetUnused();
    this.#kept.set(did, {
      document,
      foundAt: now,
      refreshAt: now + seconds * REFRESH_AT * 1000,
      freshUntil: now + seconds * 1000,
      staleUntil: now + Math.max(seconds, maxStaleSeconds) * 1000,
      used: false,
    });
    return document;
  }

  /**
   * Room for one more. What was used meanwhile stays for another round: however many agents come by once, an operator whose
   * agents they are is not forgotten, and with its document all that was found to hold under it.
   */
  #forgetUnused(): void {
    let passedOver = 0;
    for (const [did, kept] of this.#kept) {
      this.#kept.delete(did);
      if (!kept.used || ++passedOver > MOST_PASSED_OVER) return;
      kept.used = false;
      this.#kept.set(did, kept);
    }
  }

  #boundedTtl(asked: number | undefined): number {
    return Math.min(Math.max(asked ?? Number.POSITIVE_INFINITY, 1), this.#settings.ttlSeconds);
  }

  #keepFailure(did: string, error: unknown): void {
    if (!(error instanceof UnknownDid || error instanceof UnavailableDid)) return;
    while (this.#failed.size >= Math.max(1, this.#settings.cacheEntries)) forgetOldest(this.#failed);
    this.#failed.set(did, { error, until: this.#settings.monotonic() + FAILURE_KEPT_MILLIS });
  }

  #recentFailure(did: string): Failed | undefined {
    const failure = this.#failed.get(did);
    return failure !== undefined && this.#settings.monotonic() < failure.until ? failure : undefined;
  }
}

/** For DIDs that are their own document (did:key, did:jwk), and nothing else. */
export function selfDescribingResolver(): Resolver {
  return new Resolver({
    sources: {},
    ttlSeconds: Number.POSITIVE_INFINITY,
    maxStaleSeconds: 0,
    cacheEntries: 10_000,
    monotonic: () => performance.now(),
    onRefreshError: () => {},
  });
}

function forgetOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}

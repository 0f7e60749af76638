// The operator's client of the vault: reads are plain, writes are signed and carry an idempotency key that follows from what is
// written, so that a write whose answer got lost can be asked for again, by a later run too.

import { createHash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type SessionPage, sessionPage, type TreeView, treeView } from '../sightings/views.ts';
import type { Kind } from '../vault/registry.ts';
import { exchange, type HttpsAnswer, type HttpsRequest } from './https-exchange.ts';
import { type Author, signRead, signWrite } from './sign-write.ts';
import { refusalOf, VaultUnavailable } from './vault-problem.ts';

export interface VaultSettings {
  /** `https://HOST[:PORT]` */
  readonly origin: string;
  /** CA certificates as PEM; the system's otherwise. */
  readonly ca: string | undefined;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly random: (bytes: number) => Buffer;
  readonly lookup: LookupFunction;
}

/** A log as the vault serves it. */
export interface ServedLog {
  /** did.jsonl */
  readonly log: string;
  /** did-witness.json, where the log speaks of witnesses. */
  readonly witness: string | undefined;
}

const registration = z.looseObject({
  did: z.string(),
  operator: z.string(),
  name: z.string(),
  version: z.int(),
  versionId: z.string(),
  created: z.string(),
  updated: z.string(),
  deactivated: z.boolean(),
});
export type Registration = z.infer<typeof registration>;
const page = z.looseObject({ items: z.array(registration), next: z.string().nullish() });

const acceptedRestriction = z.looseObject({ id: z.string(), sequence: z.int() });
const keptRestriction = z.looseObject({ sequence: z.int(), restriction: z.string() });
const restrictionPage = z.looseObject({ items: z.array(keptRestriction), next: z.int().optional() });
const acknowledgement = z.looseObject({ acknowledged: z.boolean(), followers: z.int(), missing: z.array(z.string()) });
export type Acknowledgement = z.infer<typeof acknowledgement>;

const RESTRICTIONS = '/v1/restrictions';
const REQUEST_MILLIS = 10_000;
const RETRIED_FOR_MILLIS = 5000;
const FIRST_PAUSE_MILLIS = 100;
const COLLECTION = { operator: '/v1/operators', agent: '/v1/agents' } as const satisfies Record<Kind, string>;
/** The request cannot have arrived, or its answer was lost; either way it may be sent again, since a write happens once. */
const CONNECTION_LOST = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH']);

export class VaultClient {
  readonly #settings: VaultSettings;

  constructor(settings: VaultSettings) {
    this.#settings = settings;
  }

  /** @returns the log at the path of a DID, not verified; `undefined` where there is none */
  async readLog(path: string): Promise<ServedLog | undefined> {
    const log = await this.#get(path);
    if (log === undefined) return undefined;
    const witnessed = log.includes('"witnesses"');
    const witness = witnessed ? await this.#get(path.replace(/did\.jsonl$/, 'did-witness.json')) : undefined;
    return { log, witness };
  }

  /** Registers the first entry of a log. @throws {VaultRefusal} or {@link VaultUnavailable} */
  async register(kind: Kind, entry: string, author: Author): Promise<void> {
    await this.#write(COLLECTION[kind], entry, author, `cannot register the ${kind}`);
  }

  /** Adds an entry to a log. @throws {VaultRefusal} or {@link VaultUnavailable} */
  async append(kind: Kind, did: string, entry: string, author: Author): Promise<void> {
    const path = `${COLLECTION[kind]}/${encodeURIComponent(did)}/versions`;
    await this.#write(path, entry, author, `cannot add a version to ${did}`);
  }

  /** In the order of registration, page by page as they are asked for. */
  async *agentsOf(operator: string): AsyncGenerator<Registration> {
    let cursor: string | null | undefined;
    do {
      const query = new URLSearchParams({ operator, limit: '100', ...(cursor && { cursor }) });
      const text = await this.#get(`${COLLECTION.agent}?${query}`);
      const { items, next } = this.#parse(page, text);
      yield* items;
      cursor = next;
    } while (cursor);
  }

  /** Posts a restriction; again changes nothing. @throws {VaultRefusal} or {@link VaultUnavailable} */
  async restrict(restriction: string, chain: readonly string[] | undefined): Promise<{ id: string; sequence: number }> {
    const url = new URL(RESTRICTIONS, this.#settings.origin);
    const body = Buffer.from(JSON.stringify({ restriction, ...(chain && { chain }) }));
    const headers = { 'content-type': 'application/json' };
    const answer = await this.#exchange(() => ({ method: 'POST', url, headers, body }));
    if (answer.status !== 201) throw refusalOf('cannot post the restriction', answer.status, answer.body);
    return this.#parse(acceptedRestriction, answer.body.toString('utf8'));
  }

  /** @param waitSeconds for how long the vault waits for gateways that are missing, at most 8 */
  async acknowledged(sequence: number, waitSeconds: number): Promise<Acknowledgement> {
    return this.#parse(acknowledgement, await this.#get(`${RESTRICTIONS}/${sequence}/acknowledged?wait=${waitSeconds}`));
  }

  /** The statement of a restriction, not verified. */
  async findRestriction(id: string): Promise<string | undefined> {
    const text = await this.#get(`${RESTRICTIONS}/${encodeURIComponent(id)}`);
    return text === undefined ? undefined : this.#parse(keptRestriction, text).restriction;
  }

  /** Statements in order, not verified, page by page as they are asked for. */
  async *restrictions(after: number): AsyncGenerator<z.infer<typeof keptRestriction>> {
    for (let next: number | undefined = after; next !== undefined; ) {
      const read: z.infer<typeof restrictionPage> = this.#parse(
        restrictionPage,
        await this.#get(`${RESTRICTIONS}?after=${next}&limit=200`),
      );
      yield* read.items;
      next = read.next;
    }
  }

  /** A page of sessions as the vault's gateways saw them. */
  async sessions(query: Readonly<Record<string, string>>, author: Author): Promise<SessionPage> {
    return this.#parse(sessionPage, await this.#getSigned(`/v1/sessions?${new URLSearchParams(query)}`, author));
  }

  async tree(query: Readonly<Record<string, string>>, author: Author): Promise<TreeView> {
    return this.#parse(treeView, await this.#getSigned(`/v1/tree?${new URLSearchParams(query)}`, author));
  }

  async #getSigned(path: string, author: Author): Promise<string> {
    const { origin, clock, random } = this.#settings;
    const url = new URL(path, origin);
    const target = { authority: url.host, path: url.pathname, query: url.search || '?' };
    const answer = await this.#exchange(() => ({
      method: 'GET',
      url,
      headers: signRead(target, author, { now: clock(), nonce: random(16) }),
    }));
    if (answer.status !== 200) throw refusalOf(`cannot read ${url.href}`, answer.status, answer.body);
    return answer.body.toString('utf8');
  }

  async #get(path: string): Promise<string | undefined> {
    const url = new URL(path, this.#settings.origin);
    const answer = await this.#exchange(() => ({ method: 'GET', url, headers: {} }));
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw refusalOf(`cannot read ${url.href}`, answer.status, answer.body);
    return answer.body.toString('utf8');
  }

  async #write(path: string, entry: string, author: Author, what: string): Promise<void> {
    const { origin, clock, random } = this.#settings;
    const url = new URL(path, origin);
    const body = Buffer.from(JSON.stringify({ entry }));
    const idempotencyKey = createHash('sha256').update(`${url.pathname}\n${entry}`).digest('base64url');
    const write = { method: 'POST', authority: url.host, path: url.pathname, body, idempotencyKey };
    const answer = await this.#exchange(() => ({
      method: 'POST',
      url,
      // Signed anew for each attempt: a nonce is taken once.
      headers: signWrite(write, author, { now: clock(), nonce: random(16) }),
      body,
    }));
    if (answer.status !== 200 && answer.status !== 201) throw refusalOf(what, answer.status, answer.body);
  }

  async #exchange(make: () => Omit<HttpsRequest, 'ca' | 'lookup' | 'timeoutMillis'>): Promise<HttpsAnswer> {
    const { ca, lookup, origin } = this.#settings;
    const giveUpAt = performance.now() + RETRIED_FOR_MILLIS;
    for (let pause = FIRST_PAUSE_MILLIS; ; pause *= 2) {
      const last = performance.now() + pause >= giveUpAt;
      try {
        const answer = await exchange({ ...make(), ca, lookup, timeoutMillis: REQUEST_MILLIS });
        if (answer.status !== 503) return answer;
        if (last) throw new VaultUnavailable(`the vault at ${origin} answers 503: try again later`);
      } catch (error) {
        if (error instanceof VaultUnavailable) throw error;
        const { code = '', message } = error as NodeJS.ErrnoException;
        if (last || !CONNECTION_LOST.has(code)) throw new VaultUnavailable(unreachable(origin, code, message), { cause: error });
      }
      await sleep(pause);
    }
  }

  #parse<T>(schema: z.ZodType<T>, text: string | undefined): T {
    try {
      return schema.parse(JSON.parse(text ?? ''));
    } catch {
      throw new VaultUnavailable(`${this.#settings.origin} does not answer as a vault does: is it the right --vault?`);
    }
  }
}

function unreachable(origin: string, code: string, message: string): string {
  const certificate = /CERT|SIGNATURE|SELF_SIGNED/.test(code);
  const advice = certificate
    ? 'its certificate does not verify: name its CA with --vault-ca FILE'
    : 'see that it runs and that its address is right, then run this again';
  return `the vault at ${origin} cannot be reached (${code || message}): ${advice}`;
}

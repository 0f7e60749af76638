// A vault on a free port: the real server, store and verifier. Every answer is held against the OpenAPI document that it serves.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect } from 'vitest';
import { type ControlConfiguration, controlConfiguration } from '../../src/control/configuration.ts';
import { Followers } from '../../src/control/followers.ts';
import { COMPONENTS } from '../../src/control/schemas.ts';
import { type ControlSettings, startControl } from '../../src/control/start-control.ts';
import type { Sighted } from '../../src/sightings/judge-link.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { SqliteVaultStore } from '../../src/stores/sqlite/vault/vault-store.ts';
import { selfDescribingResolver } from '../../src/vault/resolver.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { bodyOf, HOST, type Operator, ORIGIN, type SignatureChanges, type WrittenLog } from './operator.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads what a stranger would.
type Body = any;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly body: Body;
}

export interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string;
}

export interface World {
  readonly store: SqliteVaultStore;
  readonly verifier: LogVerifier;
  readonly restrictions: SqliteRestrictionStore;
  readonly followers: Followers;
  /** Under a vault that goes on serving. */
  closeStore(): Promise<void>;
  readonly address: string;
  /** Lines of the log. */
  readonly logged: string[];
  ask(asked: Asked | string): Promise<Answer>;
  /** A write signed by the operator. */
  post(operator: Operator, path: string, body: string, changes?: SignatureChanges): Promise<Answer>;
  register(operator: Operator, log: WrittenLog, changes?: SignatureChanges): Promise<Answer>;
  append(operator: Operator, log: WrittenLog, changes?: SignatureChanges): Promise<Answer>;
  /** Moves the clock of the vault. */
  pass(millis: number): void;
  stop(): Promise<void>;
}

export interface WorldSettings {
  readonly operators: readonly Operator[];
  readonly key?: ControlSettings['key'];
  readonly tls?: { readonly certificate: string; readonly key: string; readonly ca: Buffer };
  readonly configuration?: Partial<ControlConfiguration>;
  /** Made for the stores of the world. */
  readonly events?: (stores: { vault: SqliteVaultStore; restrictions: SqliteRestrictionStore }) => ControlSettings['events'];
  readonly clock?: () => number;
  readonly sightings?: () => Sighted | undefined;
}

/** A test machine that does other things at the same time is no reason to give up. */
const BUSY_MILLIS = 20_000;

export async function startVault({
  operators,
  key,
  tls,
  configuration,
  clock: now,
  sightings,
  events,
}: WorldSettings): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'hb-control-'));
  let passed = 0;
  const clock = now ?? (() => Date.now() + passed);
  const store = await SqliteVaultStore.open({ file: join(directory, 'vault.db'), writeTimeoutMillis: BUSY_MILLIS });
  const restrictions = await SqliteRestrictionStore.open(join(directory, 'restrictions.db'));
  const followers = new Followers(() => performance.now() + passed);
  const verifier = LogVerifier.start({ timeLimitMillis: BUSY_MILLIS });
  const logged: string[] = [];
  let open = true;
  const closeStore = async () => {
    if (open) await Promise.all([store.close(), restrictions.close()]);
    open = false;
  };
  const end = async () => {
    verifier.close();
    await closeStore();
    rmSync(directory, { recursive: true, force: true });
  };
  const control = await startControl({
    configuration: {
      ...controlConfiguration.parse({
        service: { listen: '127.0.0.1:0', ...(tls && { tls: { certificate: tls.certificate, key: tls.key } }) },
        origin: ORIGIN,
        operators: operators.map(({ did }) => did),
      }),
      ...configuration,
    },
    store,
    restrictions: {
      store: restrictions,
      followers,
      administrators: () => configuration?.administrators ?? [],
      resolver: selfDescribingResolver(),
    },
    ...(sightings && { sightings }),
    verifier,
    key,
    events: events?.({ vault: store, restrictions }),
    clock,
    log: pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) }),
  }).catch(async (error: unknown) => {
    await end();
    throw error;
  });
  const send = async ({ path, method = 'GET', headers = {}, body }: Asked): Promise<Answer> => {
    const [host, port] = control.address.split(/:(?=\d+$)/);
    const options = { host, port, path, method, headers: { host: HOST, ...headers }, setHost: false };
    const sent = tls === undefined ? httpRequest(options) : httpsRequest({ ...options, ca: tls.ca, servername: 'localhost' });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return read(response);
  };
  const { body: described } = await send({ path: '/v1/openapi.json' });
  const ask: World['ask'] = async (what) => {
    const asked = typeof what === 'string' ? { path: what } : what;
    const answer = await send(asked);
    conforms(described, asked, answer);
    return answer;
  };
  const post: World['post'] = (operator, path, body, changes) =>
    ask({ method: 'POST', path, body, headers: operator.sign(path, body, changes) });
  return {
    store,
    restrictions,
    followers,
    verifier,
    closeStore,
    address: control.address,
    logged,
    ask,
    post,
    register: (operator, log, changes) => post(operator, `/v1/${kindOf(log)}`, bodyOf(log), changes),
    append: (operator, log, changes) =>
      post(operator, `/v1/${kindOf(log)}/${encodeURIComponent(log.did)}/versions`, bodyOf(log), changes),
    pass: (millis) => {
      passed += millis;
    },
    stop: async () => {
      await control.stop();
      await end();
    },
  };
}

/** With its operators registered. */
export async function startWith(...operators: readonly Operator[]): Promise<World> {
  const world = await startVault({ operators });
  for (const operator of operators) {
    const { status } = await world.register(operator, operator.log);
    expect(status, world.logged.at(-1)).toBe(201);
  }
  return world;
}

export function kindOf({ location }: WrittenLog): 'operators' | 'agents' {
  return location.includes(':operators:') ? 'operators' : 'agents';
}

async function read(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const json = /json(?:$|;)/.test(response.headers['content-type'] ?? '') && text !== '';
  return { status: response.statusCode ?? 0, headers: response.headers, text, body: json ? JSON.parse(text) : undefined };
}

/** The document says that this operation can give this answer, in this form. */
function conforms(document: Body, { method = 'GET', path }: Asked, { status, headers, body, text }: Answer): void {
  const target = path.split('?', 1)[0] ?? '';
  const template = Object.keys(document.paths).find((some) =>
    new RegExp(`^${some.replace(/\{\w+\}/g, '[^/]+').replaceAll('.', '\\.')}$`).test(target),
  );
  const operation = template && document.paths[template][method === 'HEAD' ? 'get' : method.toLowerCase()];
  const anywhere = status === 404 ? 'not-found' : 'method-not-allowed';
  const response =
    operation?.responses[status] ?? (operation === undefined ? document.components.responses[anywhere] : undefined);
  expect(response, `${method} ${target} answers ${status} ${text}`).toBeDefined();
  const type = headers['content-type'];
  if (response.content === undefined) expect(text).toBe('');
  else if (method !== 'HEAD') {
    expect(Object.keys(response.content)).toContain(type);
    const name = (response.content[type ?? ''].schema.$ref ?? '').split('/').at(-1);
    if (name !== undefined && name in COMPONENTS) COMPONENTS[name as keyof typeof COMPONENTS].parse(body);
    if (type === 'application/problem+json') {
      const code = body.type.split(':').at(-1);
      expect(Object.keys(response.content[type ?? ''].examples), `${method} ${target}`).toContain(code);
      expect(body.status).toBe(status);
    }
  }
}

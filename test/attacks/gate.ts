// The gateway's service without its Envoy: the exported handler over the real answer, checks and store, asked with
// CheckRequests that Envoy's own full protos encode, and answered in theirs.

import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { MethodDefinition, ServerUnaryCall } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { pino } from 'pino';
import { loadProviders } from '../../src/checks/capability/provider-registry.ts';
import { chainConfiguration } from '../../src/checks/chain/check-chain.ts';
import { type Checks, makeChecks } from '../../src/checks/checks.ts';
import { NO_RESTRICTIONS, type RestrictionsInForce } from '../../src/checks/restriction/check-restriction.ts';
import { makeVerifyAnswer } from '../../src/ext-authz/answer-verify.ts';
import { makeCheckHandler } from '../../src/ext-authz/authorization-service.ts';
import type { NoteSighting } from '../../src/sightings/note-sightings.ts';
import { EmbeddedStore } from '../../src/stores/sqlite/embedded-store.ts';
import { trustOperators } from '../../src/trust/operators.ts';
import { selfDescribingResolver } from '../../src/vault/resolver.ts';
import type { Holder } from './attacker.ts';
import type { WireRequest } from './raw-http.ts';

export interface GateSettings {
  readonly operator: Pick<Holder, 'did'>;
  /** For the store. */
  readonly directory: string;
  readonly clock?: () => number;
  readonly monotonic?: () => number;
  readonly deadlineMillis?: number;
  readonly changeChecks?: (checks: Checks) => Checks;
  readonly restrictions?: RestrictionsInForce;
  readonly beforeAppend?: (record: string) => void;
  readonly noteSighting?: NoteSighting;
}

/** What Envoy would make of the reply. */
export interface Ruling {
  readonly allowed: boolean;
  readonly status: number | undefined;
  readonly reason: string | undefined;
  readonly body: string;
}

export interface Gate {
  readonly handler: ReturnType<typeof makeCheckHandler>;
  readonly store: EmbeddedStore;
  /** Every record, in order. */
  readonly records: string[];
  /** Every log line. */
  readonly log: string[];
  check(request: WireRequest | Buffer, more?: CheckParts): Promise<Ruling>;
  close(): Promise<void>;
}

export async function openGate(settings: GateSettings): Promise<Gate> {
  const { operator, directory, clock = Date.now, monotonic = () => performance.now() } = settings;
  const records: string[] = [];
  const log: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => void log.push(line) });
  const apis = await loadProviders();
  const providers = new Map([...apis].map(([name, api]) => [name, { name, api, aliases: new Map<string, string>() }]));
  const store = await EmbeddedStore.open({
    file: join(directory, 'store.db'),
    recordTimeoutMillis: 20_000,
    perKeyLimit: 1_000_000,
    windowMillis: 120_000,
    monotonic,
  });
  const made = makeChecks({
    gatewayNames: ['gateway.local'],
    operators: trustOperators({ operators: [{ did: operator.did, vouchesForAgents: true }] }),
    resolver: selfDescribingResolver(),
    routes: { authorities: new Set(['gateway.local']), providers },
    signature: { maxLifetimeSeconds: 60, clockSkewSeconds: 30 },
    chain: chainConfiguration.parse({ cacheEntries: 1000 }),
    nonces: store.nonces,
    restrictions: settings.restrictions ?? NO_RESTRICTIONS,
    clock,
    newDecisionId: randomUUID,
  });
  const checks = settings.changeChecks?.(made) ?? made;
  const answer = makeVerifyAnswer({
    checks: () => checks,
    appendRecord: (record, nonce) => {
      settings.beforeAppend?.(record);
      records.push(record);
      return store.append(record, nonce);
    },
    noteSighting: settings.noteSighting,
    clock,
    log: logger,
  });
  const handler = makeCheckHandler({ answer, deadlineMillis: settings.deadlineMillis ?? 20_000, clock, log: logger });
  return {
    handler,
    store,
    records,
    log,
    check: async (request, more) => ruling(await ask(handler, Buffer.isBuffer(request) ? request : encodeCheck(request, more))),
    close: () => store.close(),
  };
}

/** @throws when there is an error or a second reply: to Envoy an error is no deny. */
export function ask(handler: Gate['handler'], bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let replies = 0;
    const call = { request: bytes, getDeadline: () => Number.POSITIVE_INFINITY } as unknown as ServerUnaryCall<Buffer, Buffer>;
    handler(call, (error, reply) => {
      replies++;
      if (error || !reply) reject(new Error('an error instead of a reply', { cause: error }));
      else if (replies > 1) reject(new Error('a second reply'));
      else resolve(reply);
    });
  });
}

const PROTOS = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps');
const service = loadSync('envoy/service/auth/v3/external_auth.proto', {
  keepCase: true,
  defaults: true,
  includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(PROTOS, name)),
})['envoy.service.auth.v3.Authorization'] as unknown as { Check: MethodDefinition<object, CheckReply> };

interface CheckReply {
  status: { code: number } | null;
  denied_response?: { status: { code: number } | null; body: string } | null;
}

export interface CheckParts {
  readonly id?: string;
  readonly scheme?: string;
  /** `false` as Envoy says it of a whole body; `undefined` leaves the header out. */
  readonly partialBody?: string | undefined;
  /** Members of the HttpRequest that replace what the request gives. */
  readonly http?: object;
}

/** The CheckRequest that Envoy makes of a request, with raw headers and the body as bytes. */
export function encodeCheck({ method, target, lines, body }: WireRequest, parts: CheckParts = {}): Buffer {
  const { id = randomUUID(), scheme = 'https' } = parts;
  const partialBody = 'partialBody' in parts ? parts.partialBody : body.length > 0 ? 'false' : undefined;
  const host = lines.find(([name]) => name === 'host')?.[1] ?? '';
  const pseudo = [
    [':method', method],
    [':path', target],
    [':authority', host],
    [':scheme', scheme],
  ] as const;
  const own = partialBody === undefined ? [] : [['x-envoy-auth-partial-body', partialBody] as const];
  const headers = [...pseudo, ...lines.filter(([name]) => name !== 'host'), ...own].map(([key, value]) => ({
    key: key.toLowerCase(),
    raw_value: Buffer.from(value, 'latin1'),
  }));
  const http = {
    id,
    method,
    path: target,
    host,
    scheme,
    size: String(body.length),
    protocol: 'HTTP/1.1',
    raw_body: body,
    header_map: { headers },
    ...parts.http,
  };
  return encodeMessage({ attributes: { request: { http } } });
}

export function encodeMessage(message: object): Buffer {
  return service.Check.requestSerialize(message);
}

/** Envoy looks at `status.code` alone: 0, which an absent one decodes to as well, is an allow. */
export function ruling(bytes: Buffer): Ruling {
  const { status, denied_response: denial } = service.Check.responseDeserialize(bytes);
  const body = denial?.body ?? '';
  const reason = body === '' ? undefined : (JSON.parse(body) as { error: { code: string } }).error.code;
  return { allowed: (status?.code ?? 0) === 0, status: denial?.status?.code, reason, body };
}

// A gateway under attack: the real program behind the real Envoy, and what every attempt must leave behind.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { PROVIDER_KEY, startWorld, type World } from '../../examples/quickstart/local-world.ts';
import { openForReading } from '../../src/stores/sqlite/database.ts';
import { type Attempt, attempt, type Holder, mintRoot, newHolder, readHolder, toWire } from './attacker.ts';
import { sendHttp1, type WireRequest, type WireResponse } from './raw-http.ts';

/** Status, and the reason of the service; without a reason Envoy answers by itself and there is no Check. */
export type Verdict = readonly [status: number | readonly number[], reason?: string];

export interface Observed {
  readonly response: WireResponse;
  /** Records that the action added. */
  readonly records: readonly Record<string, unknown>[];
  /** Requests that reached the provider. */
  readonly upstream: World['standIn']['requests'];
}

export interface Scene {
  readonly world: World;
  readonly port: number;
  readonly operator: Holder;
  /** The agent that the world issued a capability to. */
  readonly agent: Holder;
  readonly token: string;
  /** Another agent of the same operator, with a root of its own. */
  newAgent(): { agent: Holder; token: string };
  /** A good request of the world's agent, but for the change. */
  attempt(change?: Partial<Attempt>): Attempt;
  observe(action: () => Promise<WireResponse>): Promise<Observed>;
  /** Sends, and holds the verdict: status, reason, one record, nothing upstream, no secret. */
  expectDenied(wire: WireRequest, verdict: Verdict, send?: Send): Promise<Observed>;
  /** Sends, and holds: 200, one record of an allow, one request upstream. */
  expectAllowed(wire: WireRequest, send?: Send): Promise<Observed>;
  /** Nonces that were ever taken. */
  nonceCount(): number;
  stop(): Promise<void>;
}

export type Send = (port: number, wire: WireRequest) => Promise<WireResponse>;

/** Generous where time is not the subject: the machine is shared. */
const PATIENT = {
  service: { listen: 'unix:run/verify.sock', deadlineMillis: 8000 },
  store: { file: 'run/hermesbridge.db', recordTimeoutMillis: 8000 },
};

export async function openScene(verify: Record<string, unknown> = {}): Promise<Scene> {
  const gateway = { names: ['gateway.local'], authorities: ['gateway.local'] };
  const world = await startWorld({ sidecar: false, standIn: { pauseMs: 0 }, verify: { ...PATIENT, gateway, ...verify } });
  const port = Number(new URL(world.gatewayUrl).port);
  const store = join(world.directory, 'run/hermesbridge.db');
  const [operator, agent] = [readHolder(world.files.operatorKey), readHolder(world.files.agentKey)];
  const token = readFileSync(world.files.capability, 'utf8').trim();
  const secrets = [
    PROVIDER_KEY,
    ...[operator, agent].map(({ key }) => String(key.export({ format: 'jwk' }).d)),
    token.split('.')[2] ?? '',
  ];

  const observe = async (action: () => Promise<WireResponse>): Promise<Observed> => {
    const [from, seen] = [lastSequence(store), world.standIn.requests.length];
    const response = await action();
    return { response, records: recordsSince(store, from), upstream: world.standIn.requests.slice(seen) };
  };
  return {
    world,
    port,
    operator,
    agent,
    token,
    newAgent: () => {
      const another = newHolder();
      return { agent: another, token: mintRoot(operator, another) };
    },
    attempt: (change) => attempt(agent, token, change),
    observe,
    expectDenied: async (wire, verdict, send = sendHttp1) => {
      const observed = await observe(() => send(port, wire));
      holdDenied(observed, verdict, secrets);
      return observed;
    },
    expectAllowed: async (wire, send = sendHttp1) => {
      const observed = await observe(() => send(port, wire));
      expect(observed.response.status, observed.response.body).toBe(200);
      expect(observed.records.map(({ effect }) => effect)).toEqual(['allow']);
      expect(observed.upstream).toHaveLength(1);
      return observed;
    },
    nonceCount: () => Number(ask(store, 'SELECT count(nonce) AS n FROM decisions')?.n),
    stop: () => world.stop(),
  };
}

export function holdDenied(
  { response, records, upstream }: Observed,
  [status, reason]: Verdict,
  secrets: readonly string[],
): void {
  expect([status].flat(), response.text.slice(0, 600)).toContain(response.status);
  expect(upstream, 'requests upstream').toEqual([]);
  for (const secret of secrets) expect(response.text.includes(secret), 'a secret in the reply').toBe(false);
  if (reason === undefined) {
    expect(records, 'records of a request that Envoy stops').toEqual([]);
    return;
  }
  expect(response.headers['content-type']).toBe('application/problem+json');
  const problem = JSON.parse(response.body) as { status: number; instance: string; error: { code: string } };
  expect(problem.error.code).toBe(reason);
  expect(problem.status).toBe(response.status);
  expect(records.map((record) => [record.effect, record.reason, record.decision_id])).toEqual([
    ['deny', reason, problem.instance],
  ]);
}

/** One row of a table of attacks. */
export interface Row {
  readonly id: string;
  readonly title: string;
  readonly verdict: Verdict;
  /** What is wrong when it is signed. */
  readonly change?: (scene: Scene) => Partial<Attempt>;
  /** What is changed after it was signed. */
  readonly tamper?: (wire: WireRequest) => WireRequest;
}

export function wireOf(row: Row, scene: Scene): WireRequest {
  const wire = toWire(scene.attempt(row.change?.(scene)));
  return row.tamper?.(wire) ?? wire;
}

function lastSequence(store: string): number {
  return Number(ask(store, 'SELECT coalesce(max(seq), 0) AS n FROM decisions')?.n);
}

function recordsSince(store: string, sequence: number): Record<string, unknown>[] {
  const database = openForReading(store);
  try {
    const rows = database.prepare('SELECT record FROM decisions WHERE seq > ? ORDER BY seq').all(sequence);
    return rows.map((row) => JSON.parse(String(row.record)) as Record<string, unknown>);
  } finally {
    database.close();
  }
}

function ask(store: string, query: string): Record<string, unknown> | undefined {
  const database = openForReading(store);
  try {
    return database.prepare(query).get();
  } finally {
    database.close();
  }
}

/** For `test.each(named(rows))('%s', ...)`: each test is named by its attack. */
export function named(rows: readonly Row[]): [string, Row][] {
  return rows.map((row) => [`${row.id} ${row.title}`, row]);
}

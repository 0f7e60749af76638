// Agents registered as a user does it: signed writes to the control API of the running program, each answered when it is durable.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { signWrite } from '../../../src/operator/sign-write.ts';
import { percentiles } from '../percentiles.ts';
import type { Authored, Fleet } from './fleet.ts';

export const CONNECTIONS = 16;
const TIMEOUT_MILLIS = 30_000;

export interface ApiRate {
  readonly registrations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface ApiSettings {
  /** Unix socket of the API. */
  readonly socket: string;
  /** Of the vault. */
  readonly origin: string;
  readonly operator: Fleet['operator'];
}

export async function registerOperator(settings: ApiSettings): Promise<void> {
  const agent = new Agent();
  await post('/v1/operators', settings.operator, settings, agent).finally(() => agent.destroy());
}

/** The entries have been made before; the signatures of the writes are made here, on the same cores as everything else. */
export async function registerAgents(entries: readonly Authored[], settings: ApiSettings): Promise<ApiRate> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const millis: number[] = [];
  const waiting = entries.values();
  const startedAt = performance.now();
  const registerOnOneConnection = async () => {
    for (const entry of waiting) {
      const sentAt = performance.now();
      await post('/v1/agents', entry, settings, agent);
      millis.push(performance.now() - sentAt);
    }
  };
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, registerOnOneConnection));
  } finally {
    agent.destroy();
  }
  const perSecond = (entries.length / (performance.now() - startedAt)) * 1000;
  const { p50: p50Ms, p99: p99Ms } = percentiles(millis);
  return { registrations: entries.length, perSecond, p50Ms, p99Ms };
}

async function post(path: string, { line }: Authored, settings: ApiSettings, agent: Agent): Promise<void> {
  const { socket, origin, operator } = settings;
  const authority = new URL(origin).host;
  const body = Buffer.from(JSON.stringify({ entry: line }));
  const idempotencyKey = createHash('sha256').update(`${path}\n${line}`).digest('base64url');
  const author = { keyId: operator.keyId, key: operator.key };
  const write = { method: 'POST', authority, path, body, idempotencyKey };
  const signed = signWrite(write, author, { now: Date.now(), nonce: randomBytes(16) });
  const headers = { ...signed, host: authority, 'content-length': body.length };
  const signal = AbortSignal.timeout(TIMEOUT_MILLIS);
  const sent = request({ socketPath: socket, method: 'POST', path, headers, agent, signal }).end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const text = (await answer.setEncoding('utf8').toArray()).join('');
  if (answer.statusCode !== 201) throw new Error(`a registration was answered with ${answer.statusCode}: ${text}`);
}

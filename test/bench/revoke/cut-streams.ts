// From the acknowledgement of a revocation to the last byte that any stream of its target, or of a descendant, receives, beside as
// many streams of another agent.

import { randomBytes } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { type SigningCredentials, signRequest } from '../../../src/sign/sign-request.ts';
import { CHAT_PATH, chatBody, GATEWAY_NAME } from '../credentials.ts';
import { monotonic } from '../monotonic.ts';
import type { RevokeWorld } from './revoke-world.ts';
import { type Kind, makeTarget } from './targets.ts';

export interface CutRound {
  /** From the acknowledgement to the last byte; negative where all was over before. */
  readonly lastByteMillis: number;
  /** From the acknowledgement until the last stream was seen to be broken. */
  readonly lastBrokenMillis: number;
  /** Streams of the other agent that went on. */
  readonly untouched: number;
}

interface Open {
  lastAt: number;
  events: number;
  readonly closed: Promise<number>;
  isOpen: boolean;
  end(): void;
}

const GO_ON_MILLIS = 500;
const LONGEST_MILLIS = 10_000;

/** @param round names the target @throws when a stream does not begin, or one of the target goes on */
export async function cutRound(world: RevokeWorld, kind: Kind, round: number, streams: number): Promise<CutRound> {
  const { what, own, descendant } = await makeTarget(world.root, kind, `streams-${kind}-${round}`);
  const open = (credentials: readonly SigningCredentials[]) =>
    Promise.all(
      Array.from({ length: streams }, (_, at) => {
        const who = credentials[Math.floor(at / world.gateways.length) % credentials.length] ?? world.root;
        return openStream(world.gateways[at % world.gateways.length]?.port ?? 0, who);
      }),
    );
  const [targets, others] = [await open([own, descendant]), await open([world.root])];
  await new Promise((resolve) => setTimeout(resolve, GO_ON_MILLIS));
  const { acknowledgedAt } = await world.api.revoke(what);
  const brokenAt = await Promise.all(targets.map(({ closed }) => within(closed)));
  const before = others.map(({ events }) => events);
  const goneOn = () => others.filter(({ isOpen, events }, at) => isOpen && events > (before[at] ?? 0)).length;
  for (let waited = 0; goneOn() < streams && waited < LONGEST_MILLIS; waited += GO_ON_MILLIS)
    await new Promise((resolve) => setTimeout(resolve, GO_ON_MILLIS));
  const untouched = goneOn();
  for (const { end } of others) end();
  return {
    lastByteMillis: Math.max(...targets.map(({ lastAt }) => lastAt)) - acknowledgedAt,
    lastBrokenMillis: Math.max(...brokenAt) - acknowledgedAt,
    untouched,
  };
}

async function openStream(port: number, credentials: SigningCredentials): Promise<Open> {
  const [response, sent] = await send(port, credentials);
  if (response.statusCode !== 200) throw new Error(`a stream was answered with ${response.statusCode}`);
  const { promise: closed, resolve } = Promise.withResolvers<number>();
  const stream: Open = { lastAt: 0, events: 0, closed, isOpen: true, end: () => sent.destroy() };
  response.on('error', () => {});
  response.on('close', () => {
    stream.isOpen = false;
    resolve(monotonic());
  });
  await new Promise<void>((begun) => {
    response.on('data', () => {
      stream.lastAt = monotonic();
      if (stream.events++ === 0) begun();
    });
  });
  return stream;
}

/** Asks for a stream, over a connection of its own. @throws when the gateway closes the connection before it answers */
function send(port: number, credentials: SigningCredentials): Promise<[IncomingMessage, ClientRequest]> {
  const body = chatBody(512, true);
  const fields = new Map([['content-type', ['application/json']]]);
  const toSign = { method: 'POST', authority: GATEWAY_NAME, path: CHAT_PATH, query: '?', fields, body };
  const signed = signRequest(toSign, credentials, { now: Date.now(), lifetimeSeconds: 60, nonce: randomBytes(16) });
  const headers = { host: GATEWAY_NAME, 'content-type': 'application/json', 'content-length': body.length };
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      path: CHAT_PATH,
      method: 'POST',
      agent: false,
      headers: { ...headers, ...Object.fromEntries(signed) },
    });
    sent.once('response', (response) => resolve([response, sent]));
    sent.once('error', reject);
    sent.end(body);
  });
}

function within(closed: Promise<number>): Promise<number> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`a stream went on ${LONGEST_MILLIS} ms after the revocation`)), LONGEST_MILLIS).unref();
  });
  return Promise.race([closed, late]);
}

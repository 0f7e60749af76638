// From the acknowledgement of a revocation to the last byte that any stream of the agent receives, beside as many streams of another.

import type { RestrictionTarget } from '../../../src/restrictions/restriction.ts';
import type { SigningCredentials } from '../../../src/sign/sign-request.ts';
import { type RevokeWorld, send } from './revoke-world.ts';

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

/** @throws when a stream does not begin, or one of the agent goes on */
export async function cutRound(
  world: RevokeWorld,
  target: { readonly what: RestrictionTarget; readonly credentials: SigningCredentials },
  other: SigningCredentials,
  streams: number,
): Promise<CutRound> {
  const open = (credentials: SigningCredentials) =>
    Promise.all(
      Array.from({ length: streams }, (_, at) => openStream(world.gateways[at % world.gateways.length] ?? '', credentials)),
    );
  const [targets, others] = [await open(target.credentials), await open(other)];
  await new Promise((resolve) => setTimeout(resolve, GO_ON_MILLIS));
  const acknowledgedAt = await world.revoke(target.what);
  const brokenAt = await Promise.all(targets.map(({ closed }) => within(closed)));
  const before = others.map(({ events }) => events);
  await new Promise((resolve) => setTimeout(resolve, GO_ON_MILLIS));
  const untouched = others.filter(({ isOpen, events }, at) => isOpen && events > (before[at] ?? 0)).length;
  for (const { end } of others) end();
  return {
    lastByteMillis: Math.max(...targets.map(({ lastAt }) => lastAt)) - acknowledgedAt,
    lastBrokenMillis: Math.max(...brokenAt) - acknowledgedAt,
    untouched,
  };
}

async function openStream(gateway: string, credentials: SigningCredentials): Promise<Open> {
  const [response, sent] = await send(gateway, credentials, true);
  if (response.statusCode !== 200) throw new Error(`a stream was answered with ${response.statusCode}`);
  const { promise: closed, resolve } = Promise.withResolvers<number>();
  const stream: Open = { lastAt: 0, events: 0, closed, isOpen: true, end: () => sent.destroy() };
  response.on('error', () => {});
  response.on('close', () => {
    stream.isOpen = false;
    resolve(performance.now());
  });
  await new Promise<void>((begun) => {
    response.on('data', () => {
      stream.lastAt = performance.now();
      if (stream.events++ === 0) begun();
    });
  });
  return stream;
}

function within(closed: Promise<number>): Promise<number> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`a stream went on ${LONGEST_MILLIS} ms after the revocation`)), LONGEST_MILLIS).unref();
  });
  return Promise.race([closed, late]);
}

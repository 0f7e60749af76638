// The times of a chain (profile section 3): how long each token may live at most, and from when until when all of them hold.

import { z } from 'zod';
import type { ChainFault, ChainForm } from '../../token/chain-form.ts';

export const lifetimeConfiguration = {
  rootLifetimeDays: z.int().min(1).max(366).default(90).describe('longest lifetime of a root token that is accepted'),
  sessionLifetimeHours: z.int().min(1).max(720).default(12).describe('longest lifetime of a link that opens a session (`sid`)'),
  taskLifetimeMinutes: z.int().min(1).max(10_080).default(15).describe('longest lifetime of a link that sets a task (`task`)'),
};
const lifetimes = z.strictObject(lifetimeConfiguration);
export type LifetimeConfiguration = z.infer<typeof lifetimes>;

/** Two moments bound a chain however long it is. All in seconds since the epoch; `at` is the token's place. */
export interface ChainTimes {
  readonly expires: number;
  readonly expiresAt: number;
  readonly begins: number;
  readonly beginsAt: number;
  /** Whether it is `nbf` that says when it begins; `iat` otherwise. */
  readonly embargoed: boolean;
}

/** @returns the uppermost token that has no time to live, or lives for longer than this gateway accepts. */
export function findLifetimeFault(chain: ChainForm, configuration: LifetimeConfiguration): ChainFault | undefined {
  const { rootLifetimeDays, sessionLifetimeHours, taskLifetimeMinutes } = configuration;
  for (const [at, { untrustedClaims }] of chain.entries()) {
    const above = chain[at - 1]?.untrustedClaims;
    const { iat, exp, sid, task } = untrustedClaims;
    const limits = [
      above === undefined && ([rootLifetimeDays * 86_400, `${rootLifetimeDays} days`] as const),
      above !== undefined && sid !== above.sid && ([sessionLifetimeHours * 3600, `${sessionLifetimeHours} hours`] as const),
      above !== undefined && task !== above.task && ([taskLifetimeMinutes * 60, `${taskLifetimeMinutes} minutes`] as const),
    ].filter((limit) => limit !== false);
    if (exp <= iat) return { at, why: 'has no time to live (exp)' };
    for (const [most, words] of limits)
      if (exp - iat > most) return { at, why: `lives longer than the ${words} that this gateway accepts` };
  }
  return undefined;
}

export function timesOf(chain: ChainForm): ChainTimes {
  const [{ untrustedClaims: root }] = chain;
  const embargoed = root.nbf !== undefined && root.nbf > root.iat;
  let times = { expires: root.exp, expiresAt: 0, begins: embargoed ? (root.nbf ?? 0) : root.iat, beginsAt: 0, embargoed };
  for (const [at, { untrustedClaims }] of chain.entries()) {
    const { iat, exp } = untrustedClaims;
    if (exp < times.expires) times = { ...times, expires: exp, expiresAt: at };
    if (iat > times.begins) times = { ...times, begins: iat, beginsAt: at, embargoed: false };
  }
  return times;
}

/** @param now milliseconds since the epoch */
export function findUntimely(times: ChainTimes, clockSkewSeconds: number, now: number): ChainFault | undefined {
  const seconds = now / 1000;
  if (times.expires <= seconds) return { at: times.expiresAt, why: 'has expired' };
  if (times.begins <= seconds + clockSkewSeconds) return undefined;
  return { at: times.beginsAt, why: times.embargoed ? 'is not valid yet' : 'was issued in the future' };
}

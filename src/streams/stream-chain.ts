// What must be known of a chain to end its running responses (profile section 6), as a text that Envoy carries from the Check to
// the response. So the service keeps nothing of a request that waits for its answer, and any replica can watch over it.

import { z } from 'zod';
import type { VerifiedChain } from '../checks/chain/check-chain.ts';
import type { RestrictableChain, RestrictableLink } from '../restrictions/restrictable-chain.ts';

export interface StreamChain extends RestrictableChain {
  readonly links: readonly [RestrictableLink, ...RestrictableLink[]];
  /** Seconds since the epoch: the least `exp` of its tokens. */
  readonly expires: number;
}

const name = z.string().min(1);
const link = z.strictObject({
  agent: name,
  jti: name,
  jkt: name,
  sid: name.optional(),
  task: name.optional(),
  iat: z.int(),
});
const chainSchema = z.strictObject({
  operator: z.strictObject({ did: name }),
  links: z.tuple([link], link),
  expires: z.int(),
});

export function writeStreamChain({ operator, links }: VerifiedChain): string {
  return JSON.stringify({
    operator: { did: operator.did },
    links: links.map(({ agent, jti, jkt, sid, task, iat }) => ({ agent, jti, jkt, sid, task, iat })),
    expires: Math.min(...links.map(({ exp }) => exp)),
  });
}

/** @throws {Error} when the text is not what {@link writeStreamChain} writes */
export function readStreamChain(text: string): StreamChain {
  return chainSchema.parse(JSON.parse(text)) as StreamChain;
}

// Row 10 of profile section 4: nothing in the chain is revoked, and what is known of revocations is not too old. Synchronous, and so
// is every check after it: from here to the permit no revocation can come in between, so none that was in force goes unseen.

import { denied, type Outcome, passed } from '../../outcome.ts';
import type { RestrictableChain } from '../../restrictions/restrictable-chain.ts';
import type { TargetKind } from '../../restrictions/restriction.ts';
import type { Finding, Narrowing, Revocation } from '../../restrictions/restriction-set.ts';
import type { VerifiedChain } from '../chain/check-chain.ts';
import type { ConsumedNonce } from '../nonce/check-nonce.ts';

export interface RestrictionsInForce {
  find(chain: RestrictableChain): Finding;
  /** The sequence everything up to which is in force. */
  readonly highWaterMark: number;
  /** Whether all that there was a short time ago is known. */
  isFresh(): boolean;
}

/** For a look at a request away from a gateway, where no restrictions are known. */
export const NO_RESTRICTIONS: RestrictionsInForce = { find: () => ({ narrowed: [] }), highWaterMark: 0, isFresh: () => true };

declare const unrestricted: unique symbol;

/** No link is revoked; what the request may do is held under each narrowing as well. */
export interface UnrestrictedChain {
  readonly [unrestricted]: true;
  readonly narrowed: readonly Narrowing[];
  readonly highWaterMark: number;
}

export function checkRestriction(
  chain: VerifiedChain,
  _nonce: ConsumedNonce,
  inForce: RestrictionsInForce,
): Outcome<UnrestrictedChain> {
  const { highWaterMark } = inForce;
  const finding = inForce.find(chain);
  // A revocation that is known is for good, however old the rest is.
  if ('revoked' in finding) {
    const { id } = finding.revoked;
    return { ...denied('revoked', describe(finding.revoked)), restriction: { id, highWaterMark } };
  }
  if (!inForce.isFresh())
    return denied('revocation-stale', 'This gateway has not heard of revocations for too long and therefore denies: try again.');
  return passed({ narrowed: finding.narrowed, highWaterMark } as UnrestrictedChain);
}

const TARGETS: Readonly<Record<TargetKind, string>> = {
  agent: 'An agent of the chain',
  operator: 'The operator of the chain',
  key: 'A key of the chain',
  token: 'A token of the chain',
  session: 'The session',
  task: 'The task',
};
const ROLES = {
  administrator: 'an administrator of the gateway',
  operator: 'the operator',
  issuer: 'an issuer above it in the chain',
};

/** Who and what, but no name: the caller may hold the chain of another. */
function describe({ kind, role, at }: Revocation): string {
  const since = at === undefined ? '' : ` at ${new Date(at * 1000).toISOString().replace('.000', '')}`;
  return `${TARGETS[kind]} was revoked by ${ROLES[role]}${since}.`;
}

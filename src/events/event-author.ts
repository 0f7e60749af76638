// The vault as an author of restrictions: what transmitters tell becomes its own statement, under the DID of its key. Gateways hold
// it an administrator, or it counts for nothing there (profile section 6).

import { createHmac } from 'node:crypto';
import { type PrivateKey, signBytes } from '../crypto/private-key.ts';
import { parseRestriction } from '../restrictions/restriction.ts';
import { signRestriction } from '../restrictions/sign-restriction.ts';
import { type Restriction, verifyRestriction } from '../restrictions/verify-restriction.ts';
import { didKeyOf } from '../vault/did-key.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import type { Revoked } from './event-effect.ts';

export interface EventAuthor {
  readonly did: string;
  /** The one id that a revocation has, whoever told of it and however often. Nobody else can find it before. */
  idOf(revoked: Revoked): string;
  /** @param at seconds since the epoch */
  revoke(revoked: Revoked, at: number, reason: string): Promise<Restriction>;
}

export function makeEventAuthor(key: PrivateKey): EventAuthor {
  const did = didKeyOf(key.publicKey);
  const keyId = resolveSelfDescribing(did).verificationMethods[0]?.id;
  // Ed25519 signs the same alike each time, and this is no form that anything is ever signed in.
  const secret = signBytes(key, Buffer.from('hermesbridge ids of restrictions out of events'));
  const idOf = ({ target: { kind, value }, before }: Revoked) =>
    createHmac('sha256', secret)
      .update(`${kind}\n${value}\n${before ?? ''}`)
      .digest()
      .subarray(0, 16)
      .toString('base64url');
  return {
    did,
    idOf,
    revoke: async (revoked, at, reason) => {
      const { target, before } = revoked;
      const id = idOf(revoked);
      const compact = signRestriction({ effect: 'revoke', target, before, at, reason, id }, { key, keyId });
      const verified = await verifyRestriction(parseRestriction(compact), async () => key.publicKey, at * 1000);
      if (verified === undefined) throw new Error('a restriction does not verify under the key that has just signed it');
      return verified;
    },
  };
}

// A security event token (RFC 8417), as SSF 1.0 wants one: explicitly typed, one event, no `sub` and no `exp`.

import { CompactSign } from 'jose';
import type { PrivateKey } from '../crypto/private-key.ts';
import type { SecurityEvent } from './event-of-restriction.ts';
import { EVENT_TYPE } from './event-types.ts';

export interface EventSigner {
  readonly key: PrivateKey;
  /** `iss`. */
  readonly issuer: string;
}

export interface Addressed {
  readonly audience: string;
  /** The same each time that this event is sent to this audience. */
  readonly jti: string;
  /** Seconds since the epoch. */
  readonly iat: number;
}

/** @returns a compact JWS whose `kid` is the thumbprint of the key */
export function signEvent(
  event: SecurityEvent,
  { audience, jti, iat }: Addressed,
  { key, issuer }: EventSigner,
): Promise<string> {
  const claims = {
    iss: issuer,
    aud: audience,
    jti,
    iat,
    ...(event.txn !== undefined && { txn: event.txn }),
    sub_id: event.subject,
    events: { [event.type]: event.payload },
  };
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: key.algorithm, typ: EVENT_TYPE, kid: key.publicKey.jkt })
    .sign(key.keyObject);
}

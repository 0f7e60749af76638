// What a restriction is told as: an event of CAEP or RISC about the same subject (docs/security-events.md has the table).

import { type RestrictionClaims, type RestrictionTarget, THUMBPRINT_URN } from '../restrictions/restriction.ts';
import { ACCOUNT_DISABLED, CREDENTIAL_CHANGE, SESSION_REVOKED, TOKEN_CLAIMS_CHANGE, type ToldEvent } from './event-types.ts';

export interface SecurityEvent {
  readonly type: string;
  /** `sub_id`. */
  readonly subject: object;
  readonly payload: Readonly<Record<string, unknown>>;
  /** The same in everything that is told of one restriction. */
  readonly txn?: string;
}

/** Tasks and capability tokens as subjects, their ids percent-encoded. */
export const TASK_URN = 'urn:hermesbridge:task:';
export const TOKEN_URN = 'urn:hermesbridge:token:';

/** @param own DID under which events of others become restrictions here */
export function eventOfRestriction(restriction: RestrictionClaims, own: string): SecurityEvent & { readonly type: ToldEvent } {
  const { target, effect, by, at, before, reason, id } = restriction;
  const { type, payload } = typeOf(restriction);
  return {
    type,
    subject: subjectOf(target),
    txn: id,
    payload: {
      ...payload,
      // The last second of what is revoked: whoever makes a restriction of it arrives at the same one.
      event_timestamp: effect === 'revoke' && before !== undefined ? Math.max(0, before - 1) : at,
      initiating_entity: by === own ? 'policy' : by.startsWith(THUMBPRINT_URN) ? 'system' : 'admin',
      ...(reason !== '' && { reason_admin: { en: reason } }),
    },
  };
}

function typeOf({ target, effect, before, details }: RestrictionClaims): { type: ToldEvent; payload: object } {
  if (effect === 'narrow') return { type: TOKEN_CLAIMS_CHANGE, payload: { claims: { authorization_details: [details] } } };
  // What holds again is known to nobody but the holder of a chain.
  if (effect === 'lift') return { type: TOKEN_CLAIMS_CHANGE, payload: { claims: { authorization_details: null } } };
  switch (target.kind) {
    case 'agent':
    case 'operator':
      return { type: before === undefined ? ACCOUNT_DISABLED : SESSION_REVOKED, payload: {} };
    case 'key':
      return { type: CREDENTIAL_CHANGE, payload: { credential_type: 'jwk', change_type: 'revoke' } };
    case 'token':
      return { type: CREDENTIAL_CHANGE, payload: { credential_type: 'capability', change_type: 'revoke' } };
    case 'session':
    case 'task':
      return { type: SESSION_REVOKED, payload: {} };
  }
}

function subjectOf({ kind, value }: RestrictionTarget): object {
  switch (kind) {
    case 'agent':
    case 'operator':
      return { format: 'did', url: value };
    case 'key':
      return { format: 'uri', uri: `${THUMBPRINT_URN}${value}` };
    case 'token':
      return { format: 'uri', uri: `${TOKEN_URN}${encodeURIComponent(value)}` };
    case 'task':
      return { format: 'uri', uri: `${TASK_URN}${encodeURIComponent(value)}` };
    case 'session':
      return { format: 'complex', session: { format: 'opaque', id: value } };
  }
}

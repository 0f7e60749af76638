// What an event of a transmitter takes away here: never more than a revocation, and nothing that it does not name. The same event
// again has the same effect, and so none: a target stands for itself, and `before` comes from the event and not from a clock.

import type { RestrictionTarget } from '../restrictions/restriction.ts';
import { THUMBPRINT_URN } from '../restrictions/restriction.ts';
import { TASK_URN, TOKEN_URN } from './event-of-restriction.ts';
import {
  ACCOUNT_DISABLED,
  ACCOUNT_PURGED,
  CREDENTIAL_CHANGE,
  CREDENTIAL_COMPROMISE,
  SESSION_REVOKED,
  SESSIONS_REVOKED,
} from './event-types.ts';
import { EventRefused } from './read-event.ts';
import { readSubject, type SimpleSubject, type Subject, subjectName } from './subject-identifier.ts';

/** What a DID is here, as far as it is registered. */
export interface KnownDid {
  readonly kind: 'agent' | 'operator';
  readonly operator: string;
}

export interface EffectSettings {
  /** DIDs by {@link subjectName}. */
  readonly subjects: ReadonlyMap<string, string>;
  /** Whose agents may be revoked; `undefined` for whatever there is. */
  readonly operators: readonly string[] | undefined;
  readonly find: (did: string) => KnownDid | undefined;
}

export interface Revoked {
  readonly target: RestrictionTarget;
  /** Seconds since the epoch: only chains whose root was issued before; everything without it. */
  readonly before: number | undefined;
}

/** What is over: an account for good, or what it was given until the event. */
type Ending = 'account' | 'sessions' | 'credential';
type Payload = Readonly<Record<string, unknown>>;

const SKEW_SECONDS = 30;

/** @returns `undefined` for an event that only informs. @throws {EventRefused} */
function endingOf(type: string, payload: Payload): Ending | undefined {
  switch (type) {
    case ACCOUNT_DISABLED:
    case ACCOUNT_PURGED:
      return 'account';
    case SESSION_REVOKED:
    case SESSIONS_REVOKED:
      return 'sessions';
    case CREDENTIAL_COMPROMISE:
      return 'credential';
    case CREDENTIAL_CHANGE:
      if (typeof payload.change_type !== 'string') throw new EventRefused('invalid_request', 'The event has no "change_type".');
      return ['revoke', 'delete'].includes(payload.change_type) ? 'credential' : undefined;
    default:
      return undefined;
  }
}

export interface Effect {
  /** Whether the event takes something away from someone, known here or not. */
  readonly revokes: boolean;
  /** None for a subject that nobody here goes by. */
  readonly revoked: readonly Revoked[];
}

/**
 * @param iat seconds since the epoch
 * @throws {EventRefused} for a subject that cannot be read, or that is not the transmitter's to revoke
 */
export function effectOf(type: string, payload: Payload, subjectClaim: unknown, iat: number, settings: EffectSettings): Effect {
  const ending = endingOf(type, payload);
  if (ending === undefined) return { revokes: false, revoked: [] };
  const subject = theSubject(subjectClaim, payload.subject);
  const before = ending === 'account' ? undefined : endOf(payload.event_timestamp, iat);
  const named = subject.principals.flatMap((principal) => revokedOf(principal, ending, before, settings));
  const session = ending === 'sessions' && subject.session !== undefined ? sessionOf(subject.session) : [];
  if (settings.operators === undefined) return { revokes: true, revoked: [...named, ...session] };
  // Whose a session, a task, a token or a key is cannot be told here: the agent that is named beside it stands for it.
  const allowed = named.filter(({ target }) => target.kind === 'agent' && isOf(target.value, settings));
  if (allowed.length < named.length || (named.length === 0 && session.length > 0))
    throw new EventRefused('access_denied', 'The subject is not one of the agents that this transmitter may revoke.');
  return { revokes: true, revoked: allowed };
}

function isOf(did: string, { operators = [], find }: EffectSettings): boolean {
  const known = find(did);
  return known?.kind === 'agent' && operators.includes(known.operator);
}

/** Before SSF the subject stood in the event. Two that differ are one too many. */
function theSubject(claim: unknown, within: unknown): Subject {
  const subject = readSubject(claim ?? within);
  if (subject === undefined) throw new EventRefused('invalid_request', 'The event has no subject that can be read.');
  if (claim !== undefined && within !== undefined && JSON.stringify(readSubject(within)) !== JSON.stringify(subject))
    throw new EventRefused('invalid_request', 'The event has two subjects.');
  return subject;
}

/** The second after the event: some transmitters give milliseconds, which are in a far future, and then the token tells. */
function endOf(timestamp: unknown, iat: number): number {
  const said = typeof timestamp === 'number' && timestamp >= 0 && timestamp <= iat + SKEW_SECONDS ? timestamp : iat;
  return Math.floor(said) + 1;
}

function revokedOf(
  subject: SimpleSubject,
  ending: Ending,
  before: number | undefined,
  { subjects, find }: EffectSettings,
): Revoked[] {
  const did = subjects.get(subjectName(subject)) ?? (subject.format === 'did' ? plainDid(subject.url) : undefined);
  if (did !== undefined) return [{ target: { kind: find(did)?.kind ?? 'agent', value: did }, before }];
  if (subject.format === 'uri' && ending !== 'account') return named(subject.uri ?? '');
  return subject.format === 'opaque' && ending === 'sessions' ? sessionOf(subject) : [];
}

/** A DID URL that names a part of a document names nobody. */
function plainDid(url = ''): string | undefined {
  return /^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/.test(url) ? url : undefined;
}

function sessionOf({ format, id = '' }: SimpleSubject): Revoked[] {
  return format === 'opaque' && isIdentifier(id) ? [{ target: { kind: 'session', value: id }, before: undefined }] : [];
}

/** A key, task or token as vaults name them to each other. */
function named(uri: string): Revoked[] {
  for (const [kind, prefix] of [
    ['key', THUMBPRINT_URN],
    ['task', TASK_URN],
    ['token', TOKEN_URN],
  ] as const) {
    if (!uri.startsWith(prefix)) continue;
    const value = decoded(uri.slice(prefix.length));
    const good = kind === 'key' ? /^[A-Za-z0-9_-]{43}$/.test(value) : isIdentifier(value);
    return good ? [{ target: { kind, value }, before: undefined }] : [];
  }
  return [];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** What a restriction may name. */
function isIdentifier(text: string): boolean {
  return /^[!-~]{1,256}$/.test(text);
}

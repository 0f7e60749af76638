// An event on its way in: read, judged, and kept as what it takes away before anyone is told that it was accepted. The same again
// changes nothing, since what it takes away has one id.

import type { RestrictionStore } from '../restrictions/restriction-store.ts';
import { reopenRestriction } from '../restrictions/verify-restriction.ts';
import type { EventAuthor } from './event-author.ts';
import { type EffectSettings, effectOf, type Revoked } from './event-effect.ts';
import type { EventRate } from './event-rate.ts';
import { type EventSource, readEvent, type VerifiedEvent } from './read-event.ts';

export interface Transmitter extends EventSource, EffectSettings {
  readonly rate: EventRate;
}

export interface AcceptedEvent {
  readonly issuer: string;
  readonly jti: string;
  readonly types: readonly string[];
  /** What is revoked by now, through this event or one before it. */
  readonly revoked: readonly { readonly id: string; readonly target: string; readonly added: boolean }[];
  /** The event takes something away from someone who is not known here. */
  readonly unknownSubject: boolean;
}

export interface AcceptEventSettings {
  readonly transmitters: readonly Transmitter[];
  readonly author: EventAuthor;
  readonly store: Pick<RestrictionStore, 'append' | 'findById'>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/**
 * @param authorization the field of the request
 * @throws {EventRefused | UnavailableKeys | TooManyEvents}, and what the store says when it does not confirm
 */
export async function acceptEvent(
  body: Uint8Array,
  authorization: string | undefined,
  { transmitters, author, store, clock }: AcceptEventSettings,
): Promise<AcceptedEvent> {
  const event = await readEvent(body, authorization, transmitters, clock());
  const effects = effectsOf(event);
  const revoked = new Map(effects.flatMap((effect) => effect.revoked).map((one) => [author.idOf(one), one]));
  const added = [...revoked].filter(([id]) => !isKept(id, store, author));
  // One that changes nothing is not held against its transmitter: whoever has got hold of it could use it up.
  if (added.length > 0 || revoked.size === 0) event.source.rate.take(added.length > 0);
  const at = Math.floor(clock() / 1000);
  const reason = reasonOf(event);
  const restrictions = await Promise.all(added.map(([, one]) => author.revoke(one, at, reason)));
  const appended = restrictions.length === 0 ? [] : await store.append(restrictions);
  // Two at once: the other one was kept. Anything else that has the id would be somebody's who knows the key.
  for (const [index, { outcome }] of appended.entries())
    if (outcome === 'taken' && !isKept(restrictions[index]?.id ?? '', store, author))
      throw new Error('the id of a restriction is taken');
  return {
    issuer: event.source.issuer,
    jti: event.jti,
    types: [...event.events.keys()],
    revoked: [...revoked].map(([id, one]) => ({ id, target: nameOf(one), added: added.some(([other]) => other === id) })),
    unknownSubject: effects.some(({ revokes, revoked: some }) => revokes && some.length === 0),
  };
}

function effectsOf({ events, untrustedSubject, iat, source }: VerifiedEvent<Transmitter>) {
  return [...events].map(([type, payload]) => effectOf(type, payload, untrustedSubject, iat, source));
}

function isKept(id: string, store: AcceptEventSettings['store'], { did }: EventAuthor): boolean {
  const kept = store.findById(id);
  return kept !== undefined && reopenRestriction(kept.compact).by === did;
}

function nameOf({ target: { kind, value }, before }: Revoked): string {
  return `${kind} ${value}${before === undefined ? '' : ` before ${before}`}`;
}

/** Everyone can read it: nothing of what the transmitter wrote stands in it. */
function reasonOf({ source, events }: VerifiedEvent<Transmitter>): string {
  const names = [...events.keys()].map((type) => type.slice(type.lastIndexOf('/') + 1).replace(/[^a-z-]/g, '?'));
  return `${names.join(', ')}: told by ${source.issuer.replace(/[^!-~]/g, '?')}`.slice(0, 256);
}

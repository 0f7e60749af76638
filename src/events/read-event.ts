// From the bytes of a pushed security event token to an event that its transmitter signed for this vault (RFC 8417, RFC 8935).

import { createHash, timingSafeEqual } from 'node:crypto';
import { compactVerify, errors, type JWSHeaderParameters } from 'jose';
import { z } from 'zod';
import { decodeBase64url } from '../crypto/base64url.ts';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import { EVENT_TYPE } from './event-types.ts';
import { type KeySet, type TransmitterKeys, UnavailableKeys } from './transmitter-keys.ts';

/** RFC 8935 section 2.4. */
export type EventError =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'access_denied';

/** The event is not accepted, and to send it again would not help. */
export class EventRefused extends Error {
  override readonly name = 'EventRefused';
  readonly err: EventError;

  constructor(err: EventError, description: string) {
    super(description);
    this.err = err;
  }
}

export interface EventSource {
  readonly issuer: string;
  readonly audience: string;
  /** What it must send; `undefined` where its signature alone counts. */
  readonly token: string | undefined;
  readonly maxAgeSeconds: number;
  readonly keys: TransmitterKeys;
}

export interface VerifiedEvent<Source extends EventSource> {
  readonly source: Source;
  readonly jti: string;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly untrustedSubject: unknown;
  /** By URI. What they say is the transmitter's word. */
  readonly events: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

/** Asymmetric, each bound to one type of key. RS256 is what SSF transmitters sign with. */
const ALGORITHMS = ['RS256', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'Ed25519', 'EdDSA'];
/** A token that brings its key, or says where to fetch it, or asks for what is not understood. */
const FORBIDDEN = ['jwk', 'jku', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'enc'];
const SKEW_SECONDS = 30;
const MOST_EVENTS = 10;

const claimsSchema = z.object({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  jti: z.string().min(1).max(1000),
  iat: z.number().min(0),
  exp: z.number().optional(),
  sub_id: z.unknown().optional(),
  events: z.record(z.string(), z.record(z.string(), z.unknown())),
});

/**
 * @param authorization the field of the request
 * @param now milliseconds since the epoch
 * @throws {EventRefused}; rejects with `UnavailableKeys` when it cannot be told now
 */
export async function readEvent<Source extends EventSource>(
  body: Uint8Array,
  authorization: string | undefined,
  sources: readonly Source[],
  now: number,
): Promise<VerifiedEvent<Source>> {
  const compact = Buffer.from(body).toString('latin1').trim();
  const [header, claims] = parse(compact);
  const source = sources.find(({ issuer }) => issuer === claims.iss);
  if (source === undefined) throw new EventRefused('invalid_issuer', 'Events of this issuer are not accepted.');
  if (source.token !== undefined && !isBearer(authorization, source.token))
    throw new EventRefused('authentication_failed', 'The Authorization field must be Bearer with the token agreed upon.');
  await verify(compact, header, source);
  if (![claims.aud].flat().includes(source.audience))
    throw new EventRefused('invalid_audience', 'The event is for somebody else.');
  const seconds = now / 1000;
  if (claims.iat > seconds + SKEW_SECONDS) throw new EventRefused('invalid_request', 'The event is from the future.');
  if (claims.iat < seconds - source.maxAgeSeconds || (claims.exp !== undefined && claims.exp < seconds - SKEW_SECONDS))
    throw new EventRefused('invalid_request', 'The event is too old.');
  const events = Object.entries(claims.events);
  if (events.length === 0 || events.length > MOST_EVENTS)
    throw new EventRefused('invalid_request', `There must be between one and ${MOST_EVENTS} events.`);
  return { source, jti: claims.jti, iat: claims.iat, untrustedSubject: claims.sub_id, events: new Map(events) };
}

function parse(compact: string): [JWSHeaderParameters, z.infer<typeof claimsSchema>] {
  const parts = compact.split('.');
  // One token has one spelling: some decoders take more.
  if (parts.length !== 3 || parts.some((part) => !decodeBase64url(part)?.length))
    throw new EventRefused('invalid_request', 'The body is no compact JWS.');
  const header = parsePart(parts[0]) as JWSHeaderParameters;
  // RFC 8725 section 3.11: a token of another kind by the same issuer is no event.
  if (String(header.typ).toLowerCase() !== EVENT_TYPE)
    throw new EventRefused('invalid_request', `The type of the token must be ${EVENT_TYPE}.`);
  const forbidden = FORBIDDEN.find((name) => Object.hasOwn(header, name));
  if (forbidden !== undefined) throw new EventRefused('invalid_request', `The header must not have "${forbidden}".`);
  if (!ALGORITHMS.includes(String(header.alg)))
    throw new EventRefused('invalid_request', `The algorithm must be one of ${ALGORITHMS.join(', ')}.`);
  if (header.kid !== undefined && typeof header.kid !== 'string')
    throw new EventRefused('invalid_request', 'The kid is no text.');
  const claims = claimsSchema.safeParse(parsePart(parts[1]));
  if (claims.success) return [header, claims.data];
  const name = claims.error.issues[0]?.path[0];
  throw new EventRefused('invalid_request', `The claim "${String(name ?? 'events')}" is missing or not of its type.`);
}

function parsePart(part: string | undefined): object {
  try {
    const value = parseStrictJson(decodeBase64url(part ?? '') ?? Buffer.alloc(0));
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
  }
  throw new EventRefused('invalid_request', 'A part of the token is not an object in JSON that reads in one way only.');
}

async function verify(compact: string, { kid }: JWSHeaderParameters, { keys }: EventSource): Promise<void> {
  const found = await verifyUnder(await keys.current(), compact);
  if (found === 'verified') return;
  // The issuer may have a new key.
  const renewed = await keys.renewed();
  const again = renewed && (await verifyUnder(renewed, compact));
  if (again === 'verified') return;
  if (again === undefined && (found === 'no such key' || kid === undefined))
    throw new UnavailableKeys('its key is not known, and the keys were asked for a moment ago');
  throw new EventRefused('invalid_key', 'The signature does not verify under a key of the issuer.');
}

async function verifyUnder(set: KeySet, compact: string): Promise<'verified' | 'no such key' | 'forged'> {
  try {
    await compactVerify(compact, set, { algorithms: ALGORITHMS });
    return 'verified';
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return 'no such key';
    // A set may have keys that jose, or node's crypto, does not take: a TypeError or DOMException.
    if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException) return 'forged';
    throw error;
  }
}

function isBearer(authorization: string | undefined, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text, 'latin1').digest();
  return timingSafeEqual(digest(/^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''), digest(token));
}

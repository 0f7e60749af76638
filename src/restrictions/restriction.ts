// A restriction (profile section 6): a signed statement that takes away, for good or until it is lifted, what chains would allow.
// A compact JWS with a closed header and closed claims in JCS form. What is parsed here is untrusted, and its type says so.

import canonicalize from 'canonicalize';
import { z } from 'zod';
import { decodeBase64url } from '../crypto/base64url.ts';
import { ALGORITHMS, type Algorithm, importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import { type AuthorizationDetails, authorizationDetailsSchema } from '../token/authorization-details.ts';
import { THUMBPRINT_URN } from '../token/link-token.ts';

export { THUMBPRINT_URN };

export const RESTRICTION_TYPE = 'agent-restriction+jwt';
export const TARGET_KINDS = ['agent', 'operator', 'key', 'token', 'session', 'task'] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];
/** Longest text of one restriction: room for the largest `details`, and a bound for whoever reads a feed. */
export const MAX_RESTRICTION_CHARACTERS = 48 * 1024;

export interface RestrictionTarget {
  readonly kind: TargetKind;
  /** DID of an agent or operator, thumbprint of a key, `jti`, `sid` or `task`. */
  readonly value: string;
}

export interface RestrictionClaims {
  /** 128 bits, base64url. */
  readonly id: string;
  readonly target: RestrictionTarget;
  /** Seconds since the epoch: only chains whose root was issued before. */
  readonly before: number | undefined;
  readonly effect: 'revoke' | 'narrow' | 'lift';
  /** What may be done at most; of a narrowing, and only of one. */
  readonly details: AuthorizationDetails | undefined;
  /** Id of the narrowing that ends; of a lift, and only of one. */
  readonly lifts: string | undefined;
  /** Who says so: a DID, or the thumbprint URN of a key. */
  readonly by: string;
  /** Seconds since the epoch. */
  readonly at: number;
  readonly reason: string;
}

export interface UntrustedRestriction {
  readonly compact: string;
  readonly untrustedClaims: RestrictionClaims;
  readonly algorithm: Algorithm;
  /** The DID URL of the key that signed, or that key itself where `by` is its thumbprint. */
  readonly signer: { readonly kid: string } | { readonly key: PublicKey };
  readonly signingInput: Buffer;
  readonly signature: Buffer;
}

export class RestrictionError extends Error {
  override readonly name = 'RestrictionError';
}

const DID = /^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/;
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;
const did = z.string().max(4200).regex(DID, 'must be a DID');
const identifier = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[!-~]+$/, 'must be visible ASCII characters');
/** Up to 2106, one second less than what four bytes hold. */
const seconds = z.int().min(0).max(0xfffffffe);
const id = z.string().refine((text) => decodeBase64url(text)?.length === 16, 'must be 128 bits in base64url');
const author = z
  .string()
  .max(4200)
  .refine(
    (text) => DID.test(text) || (text.startsWith(THUMBPRINT_URN) && THUMBPRINT.test(text.slice(THUMBPRINT_URN.length))),
    'must be a DID or the thumbprint URN of a key',
  );

const claimsSchema = z
  .strictObject({
    id,
    target: z
      .strictObject({
        agent: did,
        operator: did,
        key: z.string().regex(THUMBPRINT, 'must be a SHA-256 thumbprint'),
        token: identifier,
        session: identifier,
        task: identifier,
      })
      .partial()
      .refine((target) => Object.keys(target).length === 1, 'must name exactly one thing'),
    before: seconds.optional(),
    effect: z.enum(['revoke', 'narrow', 'lift']),
    details: authorizationDetailsSchema.optional(),
    lifts: id.optional(),
    by: author,
    at: seconds,
    reason: z.string().regex(/^[^\p{C}\p{Zl}\p{Zp}]{0,256}$/u, 'must be at most 256 printable characters'),
  })
  .refine(({ effect, details }) => (effect === 'narrow') === (details !== undefined), {
    path: ['details'],
    message: 'is what a narrowing, and only that, has',
  })
  .refine(({ effect, lifts }) => (effect === 'lift') === (lifts !== undefined), {
    path: ['lifts'],
    message: 'is what a lift, and only that, has',
  })
  .refine(({ effect, before }) => effect !== 'lift' || before === undefined, {
    path: ['before'],
    message: 'is not for a lift, which ends a narrowing for all chains',
  });

const headerSchema = z.strictObject({
  alg: z.enum(ALGORITHMS),
  typ: z.literal(RESTRICTION_TYPE),
  kid: z.string().max(4600).optional(),
  jwk: z.looseObject({}).optional(),
});

/** @throws {RestrictionError} that names the member that is wrong and never repeats its value. */
export function parseRestriction(compact: string): UntrustedRestriction {
  if (compact.length > MAX_RESTRICTION_CHARACTERS) throw new RestrictionError('too long');
  const parts = compact.split('.');
  if (parts.length !== 3) throw new RestrictionError('not a compact JWS of three parts');
  const [header, payload, signature] = parts.map(decodeBase64url);
  if (header === undefined || payload === undefined || !signature?.length) throw new RestrictionError('not canonical base64url');
  const { alg, kid, jwk } = parseClosed(headerSchema, header, 'header');
  const claims = claimsFrom(payload);
  return {
    compact,
    untrustedClaims: claims,
    algorithm: alg,
    signer: claims.by.startsWith(THUMBPRINT_URN) ? keyOfThumbprint(claims.by, kid, jwk) : kidOfDid(claims.by, kid, jwk),
    signingInput: Buffer.from(compact.slice(0, compact.lastIndexOf('.')), 'latin1'),
    signature,
  };
}

/** The claims without a look at who signed them. @throws {RestrictionError} */
export function claimsFrom(payload: Buffer): RestrictionClaims {
  const { target, before, details, lifts, ...rest } = parseClosed(claimsSchema, payload, 'claim');
  const [kind, value] = Object.entries(target)[0] as [TargetKind, string];
  return { ...rest, target: { kind, value }, before, details, lifts };
}

/** Whether two texts are one statement: some algorithms sign the same with another signature each time. */
export function isSameStatement(one: string, other: string): boolean {
  return one.slice(0, one.lastIndexOf('.')) === other.slice(0, other.lastIndexOf('.'));
}

function kidOfDid(by: string, kid: string | undefined, jwk: unknown): UntrustedRestriction['signer'] {
  if (jwk !== undefined) throw new RestrictionError('header "jwk" is not for a restriction by a DID');
  if (kid?.startsWith(`${by}#`) !== true) throw new RestrictionError('header "kid" must be the DID URL of a key of "by"');
  return { kid };
}

function keyOfThumbprint(by: string, kid: string | undefined, jwk: unknown): UntrustedRestriction['signer'] {
  if (kid !== undefined) throw new RestrictionError('header "kid" is not for a restriction by a key');
  try {
    const key = importPublicJwk(jwk);
    if (`${THUMBPRINT_URN}${key.jkt}` !== by) throw new RestrictionError('header "jwk" is not the key that "by" names');
    return { key };
  } catch (error) {
    if (error instanceof KeyError) throw new RestrictionError(`header "jwk": ${error.message}`);
    throw error;
  }
}

function parseClosed<T>(schema: z.ZodType<T>, bytes: Buffer, part: string): T {
  let value: unknown;
  try {
    value = parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonError) throw new RestrictionError(`the ${part} part is ${error.message}`);
    throw error;
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new RestrictionError(describe(result.error, part));
  // A second spelling of one statement would be a second statement to whoever compares texts.
  if (canonicalize(value) !== bytes.toString('utf8'))
    throw new RestrictionError(`the ${part} part is not in canonical form (RFC 8785)`);
  return result.data;
}

/** The first problem, by name. Names come from the text, so they are cut down to harmless characters. */
function describe(error: z.ZodError, part: string): string {
  const issue = error.issues[0];
  if (issue === undefined) return `a ${part} is wrong`;
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]] : issue.path;
  const name = path
    .map(String)
    .join('.')
    .replace(/[^\w.-]/g, '?')
    .slice(0, 60);
  return `${part} "${name}" ${issue.code === 'unrecognized_keys' ? 'is not known' : issue.message}`;
}

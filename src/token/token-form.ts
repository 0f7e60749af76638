// What root and link tokens share (profile section 3): a compact JWS with a closed header, and claims of fixed types.
// What is read here is untrusted: nothing was verified yet, and its type says so.

import { z } from 'zod';
import { decodeBase64url } from '../crypto/base64url.ts';
import { ALGORITHMS, type Algorithm, importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import { jwkThumbprint, type PublicJwk } from '../crypto/thumbprint.ts';
import { authorizationDetailsSchema } from './authorization-details.ts';

export const TOKEN_TYPE = 'agent-cap+jwt';
/** Links below a root: with it a chain has at most six tokens. */
export const MAX_DEPTH = 5;

export const did = z
  .string()
  .max(4200)
  .regex(/^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/, 'must be a DID');
export const numericDate = z.int().min(0);
const identifier = z
  .string()
  .max(256)
  .regex(/^[!-~]+$/, 'must be visible ASCII characters');

export const header = { alg: z.enum(ALGORITHMS), typ: z.literal(TOKEN_TYPE) };

/** The members of a JWK that its thumbprint is made of; whether they are a key is for {@link bindKey}. */
export const jwkMembers = {
  alg: z.enum(ALGORITHMS),
  kty: z.string(),
  crv: z.string().optional(),
  x: z.string().optional(),
  y: z.string().optional(),
  n: z.string().optional(),
  e: z.string().optional(),
};

export const claims = {
  sub: did,
  client_id: did,
  aud: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(16)]),
  iat: numericDate,
  exp: numericDate,
  /** 128 bits are 22 characters of base64url. */
  jti: identifier.min(22, 'must carry at least 128 bits'),
  del_max_depth: z.int().min(0).max(MAX_DEPTH),
  authorization_details: z.tuple([authorizationDetailsSchema]),
  sid: identifier.optional(),
  task: identifier.optional(),
};

interface SomeHeader {
  readonly alg: Algorithm;
}

interface SomeClaims {
  readonly cnf: { readonly jwk: PublicJwk & { readonly alg: Algorithm } };
}

/** A token whose parts have the types they must have. */
export interface TokenForm<Header extends SomeHeader, Claims extends SomeClaims> {
  readonly compact: string;
  readonly header: Header;
  readonly untrustedClaims: Claims;
  /** Thumbprint of what stands in `cnf.jwk`, which need not be a key. */
  readonly untrustedJkt: string;
  /** What the signature is over (RFC 7515 section 5.1). */
  readonly signingInput: string;
  readonly signature: Buffer;
}

/** A token whose `cnf.jwk` is a valid key; whose it is was not looked at. */
export type WithKey<Form> = Form & { readonly untrustedKey: PublicKey; readonly algorithm: Algorithm };

export class TokenError extends Error {
  override readonly name = 'TokenError';
}

/** @throws {TokenError} that names the member that is wrong and never repeats its value. */
export function readForm<Header extends SomeHeader, Claims extends SomeClaims>(
  compact: string,
  headerSchema: z.ZodType<Header>,
  claimsSchema: z.ZodType<Claims>,
): TokenForm<Header, Claims> {
  const parts = compact.split('.');
  if (parts.length !== 3) throw new TokenError('not a compact JWS of three parts');
  const [protectedHeader, payload, signature] = parts.map(decodeBase64url);
  if (protectedHeader === undefined || payload === undefined || !signature?.length)
    throw new TokenError('not canonical base64url');
  const parsedHeader = parseClosed(headerSchema, protectedHeader, 'header');
  const untrustedClaims = parseClosed(claimsSchema, payload, 'claim');
  const signingInput = compact.slice(0, compact.lastIndexOf('.'));
  const untrustedJkt = jwkThumbprint(untrustedClaims.cnf.jwk);
  return { compact, header: parsedHeader, untrustedClaims, untrustedJkt, signingInput, signature };
}

/** The expensive part of reading a token. @throws {TokenError} */
export function bindKey<Form extends { readonly untrustedClaims: SomeClaims }>(form: Form): WithKey<Form> {
  const { jwk } = form.untrustedClaims.cnf;
  try {
    return { ...form, untrustedKey: importPublicJwk(jwk), algorithm: jwk.alg };
  } catch (error) {
    if (error instanceof KeyError) throw new TokenError(`cnf.jwk: ${error.message}`);
    throw error;
  }
}

function parseClosed<T>(schema: z.ZodType<T>, bytes: Buffer, part: string): T {
  let value: unknown;
  try {
    value = parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonError) throw new TokenError(`the ${part} part is ${error.message}`);
    throw error;
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new TokenError(describe(result.error, part));
}

/** The first problem, by name. Names come from the token, so they are cut down to harmless characters. */
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

// The form of an `agent-cap+jwt` root token (profile section 3): compact JWS, closed header, required claims.
// What is read here is untrusted: nothing was verified yet, and its type says so.

import { z } from 'zod';
import { decodeBase64url } from '../crypto/base64url.ts';
import { ALGORITHMS, type Algorithm, importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import { authorizationDetailsSchema } from './authorization-details.ts';

export const TOKEN_TYPE = 'agent-cap+jwt';
export const MAX_DEPTH = 5;

const did = z
  .string()
  .max(4200)
  .regex(/^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/, 'must be a DID');
const numericDate = z.int().min(0);
const identifier = z
  .string()
  .max(256)
  .regex(/^[!-~]+$/, 'must be visible ASCII characters');

/** 128 bits are 22 characters of base64url. */
const unguessable = identifier.min(22, 'must carry at least 128 bits');

const headerSchema = z.strictObject({ alg: z.enum(ALGORITHMS), typ: z.literal(TOKEN_TYPE), kid: z.string().min(1).max(4600) });

const rootClaimsSchema = z.looseObject({
  iss: did,
  sub: did,
  client_id: did,
  aud: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(16)]),
  iat: numericDate,
  exp: numericDate,
  nbf: numericDate.optional(),
  jti: unguessable,
  cnf: z.strictObject({ jwk: z.looseObject({ alg: z.enum(ALGORITHMS) }) }),
  del_depth: z.literal(0),
  del_max_depth: z.int().min(0).max(MAX_DEPTH),
  par_hash: z.undefined({ error: 'is for links only' }).optional(),
  authorization_details: z.array(authorizationDetailsSchema).length(1),
  sid: identifier.optional(),
  task: identifier.optional(),
});

export type TokenHeader = z.infer<typeof headerSchema>;
export type RootClaims = z.infer<typeof rootClaimsSchema>;

export interface UntrustedToken {
  readonly compact: string;
  readonly header: TokenHeader;
  readonly untrustedClaims: RootClaims;
  /** The key that `cnf.jwk` names, valid as a key; whose it is was not looked at. */
  readonly untrustedKey: PublicKey;
  readonly algorithm: Algorithm;
}

export class TokenError extends Error {
  override readonly name = 'TokenError';
}

/** @throws {TokenError} that names the member that is wrong and never repeats its value. */
export function parseRootToken(compact: string): UntrustedToken {
  const parts = compact.split('.');
  if (parts.length !== 3) throw new TokenError('not a compact JWS of three parts');
  const [header, payload, signature] = parts.map(decodeBase64url);
  if (header === undefined || payload === undefined || !signature?.length) throw new TokenError('not canonical base64url');
  const parsedHeader = parseClosed(headerSchema, header, 'header');
  const claims = parseClosed(rootClaimsSchema, payload, 'claim');
  try {
    const key = importPublicJwk(claims.cnf.jwk);
    return { compact, header: parsedHeader, untrustedClaims: claims, untrustedKey: key, algorithm: claims.cnf.jwk.alg };
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

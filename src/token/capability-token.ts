// The form of an `agent-cap+jwt` root token (profile section 3): what an operator says one of its agents may do.

import { z } from 'zod';
import { bindKey, claims, did, header, jwkMembers, numericDate, readForm, type TokenForm, type WithKey } from './token-form.ts';

export { MAX_DEPTH, TOKEN_TYPE, TokenError } from './token-form.ts';

const headerSchema = z.strictObject({ ...header, kid: z.string().min(1).max(4600) });

const rootClaimsSchema = z.looseObject({
  iss: did,
  ...claims,
  nbf: numericDate.optional(),
  cnf: z.strictObject({ jwk: z.looseObject(jwkMembers) }),
  del_depth: z.literal(0),
  par_hash: z.undefined({ error: 'is for links only' }).optional(),
});

export type TokenHeader = z.infer<typeof headerSchema>;
export type RootClaims = z.infer<typeof rootClaimsSchema>;
export type RootForm = TokenForm<TokenHeader, RootClaims>;
export type UntrustedRoot = WithKey<RootForm>;

/** Reads a root without looking at its key. @throws {TokenError} that names the member that is wrong and never repeats its value. */
export function readRootForm(compact: string): RootForm {
  return readForm(compact, headerSchema, rootClaimsSchema);
}

/** @throws {TokenError} as {@link readRootForm}, or for a key that is none. */
export function parseRootToken(compact: string): UntrustedRoot {
  return bindKey(readRootForm(compact));
}

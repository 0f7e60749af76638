// The form of a link (profile section 3): a token that the holder of one token's key signs for the next. A session, a task scope
// and a delegation are links. Closed, and canonical (RFC 8785): what a link says it says in one spelling.

import canonicalize from 'canonicalize';
import { z } from 'zod';
import {
  bindKey,
  claims,
  header,
  jwkMembers,
  MAX_DEPTH,
  readForm,
  TokenError,
  type TokenForm,
  type WithKey,
} from './token-form.ts';

/** RFC 9278: what a link names its issuer by, with the thumbprint of the parent's key behind it. */
export const THUMBPRINT_URN = 'urn:ietf:params:oauth:jwk-thumbprint:sha-256:';

const headerSchema = z.strictObject({ ...header, kid: z.string().min(1).max(128).optional() });

const linkClaimsSchema = z.strictObject({
  iss: z.string().regex(/^urn:ietf:params:oauth:jwk-thumbprint:sha-256:[A-Za-z0-9_-]{43}$/, 'must be the URN of a thumbprint'),
  ...claims,
  cnf: z.strictObject({
    jwk: z.strictObject({
      ...jwkMembers,
      kid: z.string().optional(),
      use: z.string().optional(),
      key_ops: z.array(z.string()).optional(),
      ext: z.boolean().optional(),
    }),
  }),
  del_depth: z.int().min(1).max(MAX_DEPTH),
  par_hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be a SHA-256 in base64url'),
});

export type LinkHeader = z.infer<typeof headerSchema>;
export type LinkClaims = z.infer<typeof linkClaimsSchema>;
export type LinkForm = TokenForm<LinkHeader, LinkClaims>;
export type UntrustedLink = WithKey<LinkForm>;

/** Reads a link without looking at its key. @throws {TokenError} that names the member that is wrong and never repeats its value. */
export function readLinkForm(compact: string): LinkForm {
  const form = readForm(compact, headerSchema, linkClaimsSchema);
  if (!isCanonical(form)) throw new TokenError('the claim part is not in the canonical form of RFC 8785');
  return form;
}

/** @throws {TokenError} as {@link readLinkForm}, or for a key that is none. */
export function parseLinkToken(compact: string): UntrustedLink {
  return bindKey(readLinkForm(compact));
}

function isCanonical({ signingInput, untrustedClaims }: LinkForm): boolean {
  let canonical: string | undefined;
  try {
    canonical = canonicalize(untrustedClaims);
  } catch {
    return false; // A lone surrogate: it has no canonical form.
  }
  return canonical !== undefined && signingInput.endsWith(`.${Buffer.from(canonical).toString('base64url')}`);
}

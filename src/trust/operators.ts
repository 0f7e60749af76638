// The operators whose roots this gateway believes (profile section 3), by DID, each with what it may do at most.

import { z } from 'zod';
import { type AuthorizationDetails, authorizationDetailsSchema } from '../token/authorization-details.ts';
import type { DidDocument, VerificationMethod } from '../vault/did-document.ts';

export const trustConfiguration = z.strictObject({
  operators: z
    .array(
      z.strictObject({
        did: z.string().describe('DID of an operator whose root tokens are believed'),
        vouchesForAgents: z
          .boolean()
          .default(false)
          .describe('whether a root of this operator is enough for an agent whose DID (did:key, did:jwk) can name no controller'),
        ceiling: authorizationDetailsSchema
          .optional()
          .describe('an authorization_details entry that every chain of this operator is held under as well'),
      }),
    )
    .min(1)
    .describe('the operators whose agents may call'),
});

export type TrustConfiguration = z.infer<typeof trustConfiguration>;

export interface TrustedOperator {
  readonly did: string;
  readonly vouchesForAgents: boolean;
  readonly ceiling: AuthorizationDetails | undefined;
}

export type TrustedOperators = ReadonlyMap<string, TrustedOperator>;

export function trustOperators({ operators }: TrustConfiguration): TrustedOperators {
  return new Map(operators.map(({ did, vouchesForAgents, ceiling }) => [did, { did, vouchesForAgents, ceiling }]));
}

/**
 * The key that a token's `kid` names: the DID URL of an `assertionMethod`, or its fragment relative to `iss` (DID Core section 3.2.2).
 * @param now milliseconds since the epoch
 */
export function findAssertionKey(document: DidDocument, kid: string, now: number): VerificationMethod | undefined {
  const id = kid.startsWith('#') ? `${document.did}${kid}` : kid;
  return document.verificationMethods.find(
    (method) =>
      method.id === id && method.purposes.includes('assertionMethod') && (method.expires === undefined || now < method.expires),
  );
}

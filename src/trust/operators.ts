// The operators whose roots this gateway believes (profile section 3), by DID, each with what it may do at most.

import { z } from 'zod';
import type { PublicKey } from '../crypto/public-key.ts';
import { type AuthorizationDetails, authorizationDetailsSchema } from '../token/authorization-details.ts';
import { resolveDid } from '../vault/resolve-did.ts';

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
  /** `assertionMethod` keys by what a token's `kid` names: the DID URL, or its fragment relative to `iss` (DID Core section 3.2.2). */
  readonly assertionKeys: ReadonlyMap<string, PublicKey>;
}

export type TrustedOperators = ReadonlyMap<string, TrustedOperator>;

/** @throws {UnknownDid} for a DID that does not resolve, with the DID in its message. */
export function trustOperators(configuration: TrustConfiguration): TrustedOperators {
  return new Map(
    configuration.operators.map(({ did, vouchesForAgents, ceiling }) => {
      const assertionKeys = new Map<string, PublicKey>();
      for (const method of resolveDid(did).verificationMethods) {
        if (!method.purposes.includes('assertionMethod')) continue;
        assertionKeys.set(method.id, method.key).set(method.id.slice(did.length), method.key);
      }
      return [did, { did, vouchesForAgents, ceiling, assertionKeys }];
    }),
  );
}

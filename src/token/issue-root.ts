// Issues a root token: what an operator says one of its agents may do (profile section 3).

import { randomBytes } from 'node:crypto';
import canonicalize from 'canonicalize';
import { CompactSign } from 'jose';
import type { PrivateKey } from '../crypto/private-key.ts';
import type { Algorithm, PublicKey } from '../crypto/public-key.ts';
import { type AuthorizationDetails, authorizationDetailsSchema } from './authorization-details.ts';
import { MAX_DEPTH, parseRootToken, TOKEN_TYPE } from './capability-token.ts';

export interface RootGrant {
  readonly operatorKey: PrivateKey;
  readonly operator: string;
  /** DID URL of the operator's `assertionMethod` key. */
  readonly operatorKeyId: string;
  readonly agent: string;
  readonly agentKey: PublicKey;
  readonly agentAlgorithm: Algorithm;
  readonly audience: readonly string[];
  readonly details: AuthorizationDetails;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
  readonly lifetimeSeconds: number;
  /** How deep the agent may delegate; 0 is not at all. */
  readonly maxDepth: number;
}

/** @throws {z.ZodError} for details, or {@link TokenError} for another member, that no gateway would accept. */
export async function issueRootToken(grant: RootGrant): Promise<string> {
  if (grant.maxDepth > MAX_DEPTH) throw new RangeError(`a chain is at most ${MAX_DEPTH} deep`);
  const claims = {
    iss: grant.operator,
    sub: grant.operator,
    client_id: grant.agent,
    aud: grant.audience.length === 1 ? grant.audience[0] : grant.audience,
    iat: grant.issuedAt,
    exp: grant.issuedAt + grant.lifetimeSeconds,
    jti: randomBytes(16).toString('base64url'),
    cnf: { jwk: { ...grant.agentKey.jwk, alg: grant.agentAlgorithm } },
    del_depth: 0,
    del_max_depth: grant.maxDepth,
    authorization_details: [authorizationDetailsSchema.parse(grant.details)],
  };
  const token = await new CompactSign(new TextEncoder().encode(canonicalize(claims)))
    .setProtectedHeader({ alg: grant.operatorKey.algorithm, typ: TOKEN_TYPE, kid: grant.operatorKeyId })
    .sign(grant.operatorKey.keyObject);
  // What this program would refuse it does not hand out.
  parseRootToken(token);
  return token;
}

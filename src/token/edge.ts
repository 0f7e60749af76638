// One edge of a chain, from a token to the link below it (profile section 3): everything but the signature and the clock.

import { hash } from 'node:crypto';
import type { RootForm } from './capability-token.ts';
import { type LinkForm, THUMBPRINT_URN } from './link-token.ts';
import { findBroader } from './narrower.ts';

/** @returns what is wrong with the link under this parent, in words that follow "it"; `undefined` when it holds. */
export function findEdgeFault(link: LinkForm, parent: RootForm | LinkForm): string | undefined {
  const [child, above] = [link.untrustedClaims, parent.untrustedClaims];
  const { alg, kid } = link.header;
  const jkt = parent.untrustedJkt;
  if (child.iss !== `${THUMBPRINT_URN}${jkt}`) return 'is not issued by the key of the token above it (iss)';
  if (kid !== undefined && kid !== jkt && kid !== child.iss) return 'names another key than that of the token above it (kid)';
  if (alg !== above.cnf.jwk.alg) return 'is signed with another algorithm than the token above it binds to its key (alg)';
  if (child.par_hash !== parentHash(parent)) return 'belongs under another token (par_hash)';
  if (child.sub !== above.sub) return 'has another principal than the token above it (sub)';
  if (child.del_depth !== above.del_depth + 1) return 'has not the depth of its place (del_depth)';
  if (child.del_max_depth > above.del_max_depth) return 'may go deeper than the token above it (del_max_depth)';
  if (child.del_depth > child.del_max_depth) return 'is deeper than the chain may go (del_max_depth)';
  if (!listed(child.aud).every((name) => listed(above.aud).includes(name)))
    return 'is for a gateway that the token above it is not for (aud)';
  if (child.iat < above.iat) return 'is older than the token above it (iat)';
  if (child.exp > above.exp) return 'outlives the token above it (exp)';
  if (above.sid !== undefined && child.sid !== above.sid) return 'leaves the session of the token above it (sid)';
  if (above.task !== undefined && child.task !== above.task) return 'leaves the task of the token above it (task)';
  const broader = findBroader(child.authorization_details[0], above.authorization_details[0]);
  return broader && `allows more than the token above it (authorization_details: ${broader})`;
}

/** `par_hash` of a link below this token. */
export function parentHash({ signingInput }: RootForm | LinkForm): string {
  return hash('sha256', signingInput, 'base64url');
}

export function listed(audience: string | readonly string[]): readonly string[] {
  return typeof audience === 'string' ? [audience] : audience;
}

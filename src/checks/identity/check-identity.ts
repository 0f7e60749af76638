// Row 6 of profile section 4: the agent is who the root says it is, by a current key of its DID, under this operator.

import { denied, type Outcome, passed } from '../../outcome.ts';
import { type DidDocument, resolveDid, UnknownDid } from '../../vault/resolve-did.ts';
import type { VerifiedChain } from '../chain/check-chain.ts';

declare const proven: unique symbol;

export interface KnownIdentity {
  readonly [proven]: true;
  readonly agent: string;
  readonly operator: string;
}

// The methods resolved so far never change, so what was found for a verified chain stays found.
const known = new WeakMap<VerifiedChain, Outcome<KnownIdentity>>();

export function checkIdentity(chain: VerifiedChain): Outcome<KnownIdentity> {
  let outcome = known.get(chain);
  if (outcome === undefined) {
    outcome = identify(chain);
    known.set(chain, outcome);
  }
  return outcome;
}

function identify(chain: VerifiedChain): Outcome<KnownIdentity> {
  let document: DidDocument;
  try {
    document = resolveDid(chain.agent);
  } catch (error) {
    if (error instanceof UnknownDid) return denied('identity-unknown', "The agent's DID is not known here.");
    throw error;
  }
  const bound = document.verificationMethods.some(
    ({ key, purposes }) => purposes.includes('capabilityInvocation') && key.jkt === chain.key.jkt,
  );
  if (!bound) return denied('identity-unknown', "The cnf.jwk is not a current key of the agent's DID.");
  const controlled =
    document.controller === undefined ? chain.operator.vouchesForAgents : document.controller.includes(chain.operator.did);
  if (!controlled) return denied('identity-unknown', 'The operator does not control this agent and may not vouch for it.');
  return passed({ agent: chain.agent, operator: chain.operator.did } as KnownIdentity);
}

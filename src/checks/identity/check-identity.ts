// Row 6 of profile section 4: the agent is who the root says it is, by a current key of its DID, under this operator.

import { type Denied, denied, type Outcome, passed } from '../../outcome.ts';
import { type DidDocument, UnavailableDid, UnknownDid } from '../../vault/did-document.ts';
import type { DidResolver } from '../../vault/resolver.ts';
import type { VerifiedChain } from '../chain/check-chain.ts';

declare const proven: unique symbol;

export interface KnownIdentity {
  readonly [proven]: true;
  readonly agent: string;
  readonly operator: string;
  /** The version of the agent's DID log that its key stands in; `undefined` for a method without versions. */
  readonly agentVersion: string | undefined;
}

export type IdentityCheck = (chain: VerifiedChain, now: number) => Outcome<KnownIdentity> | Promise<Outcome<KnownIdentity>>;

interface Known {
  readonly document: DidDocument;
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly outcome: Outcome<KnownIdentity>;
}

export function makeIdentityCheck(resolver: DidResolver): IdentityCheck {
  // What was found for a verified chain holds as long as the document is the same one, and the key has not run out.
  const known = new WeakMap<VerifiedChain, Known>();

  return (chain, now) => {
    const document = resolver.current(chain.agent);
    if (document instanceof Promise) return document.then((found) => identify(chain, found, now)).catch(asDenied);
    const before = known.get(chain);
    return before?.document === document && now < before.until ? before.outcome : identify(chain, document, now).catch(asDenied);
  };

  async function identify(chain: VerifiedChain, current: DidDocument, now: number): Promise<Outcome<KnownIdentity>> {
    let document = current;
    let key = findKey(chain, document, now);
    if (key === undefined) {
      // Once: where nothing is kept, each document that is found is another one.
      document = await resolver.newer(document);
      key = findKey(chain, document, now);
    }
    if (key === undefined) return denied('identity-unknown', "The cnf.jwk is not a current key of the agent's DID.");
    const controlled =
      document.controller === undefined ? chain.operator.vouchesForAgents : document.controller.includes(chain.operator.did);
    if (!controlled) return denied('identity-unknown', 'The operator does not control this agent and may not vouch for it.');
    const outcome = passed({
      agent: chain.agent,
      operator: chain.operator.did,
      agentVersion: document.versionId,
    } as KnownIdentity);
    known.set(chain, { document, until: key.expires ?? Number.POSITIVE_INFINITY, outcome });
    return outcome;
  }
}

function findKey(chain: VerifiedChain, { verificationMethods }: DidDocument, now: number) {
  return verificationMethods.find(
    ({ key, purposes, expires }) =>
      purposes.includes('capabilityInvocation') && key.jkt === chain.key.jkt && (expires === undefined || now < expires),
  );
}

function asDenied(error: unknown): Denied {
  // Whether the DID does not exist, or its history is broken, is for the log and not for the caller.
  if (error instanceof UnknownDid) return denied('identity-unknown', "The agent's DID is not known here.", error);
  if (error instanceof UnavailableDid) return denied('identity-unavailable', "The agent's DID cannot be resolved now.", error);
  throw error;
}

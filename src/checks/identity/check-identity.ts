// Row 6 of profile section 4: the agents of the chain are who it says they are. The root's agent by a current key of its DID, under
// this operator; each agent that a link passes the work on to by a current key of its own.

import { Note } from '../../note.ts';
import { type Denied, denied, type Outcome, passed } from '../../outcome.ts';
import { type DidDocument, UnavailableDid, UnknownDid } from '../../vault/did-document.ts';
import type { DidResolver } from '../../vault/resolver.ts';
import type { VerifiedChain, VerifiedLink } from '../chain/check-chain.ts';

declare const proven: unique symbol;

export interface KnownIdentity {
  readonly [proven]: true;
  /** Who acts. */
  readonly agent: string;
  readonly operator: string;
  /** The version of each DID's log that its key stands in, by DID and in their order; `undefined` where no method has versions. */
  readonly didVersions: Readonly<Record<string, string>> | undefined;
}

export type IdentityCheck = (chain: VerifiedChain, now: number) => Outcome<KnownIdentity> | Promise<Outcome<KnownIdentity>>;

interface Known {
  readonly bound: readonly VerifiedLink[];
  /** Of the agents of `bound`, in its order. */
  readonly documents: readonly DidDocument[];
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly outcome: Outcome<KnownIdentity>;
}

export function makeIdentityCheck(resolver: DidResolver): IdentityCheck {
  // What was found for a verified chain holds as long as the documents are the same ones, and no key has run out.
  const known = new Note<VerifiedChain, Known>('identity');

  return (chain, now) => {
    const before = known.get(chain);
    const bound = before?.bound ?? boundTokens(chain);
    const documents = bound.map(({ agent }) => resolver.current(agent));
    if (!documents.every((document): document is DidDocument => !(document instanceof Promise)))
      return Promise.all(documents)
        .then((found) => identify(chain, bound, found, now))
        .catch(asDenied);
    const same = before?.documents.every((document, at) => document === documents[at]) === true && now < before.until;
    return same ? before.outcome : identify(chain, bound, documents, now).catch(asDenied);
  };

  async function identify(
    chain: VerifiedChain,
    bound: readonly VerifiedLink[],
    documents: readonly DidDocument[],
    now: number,
  ): Promise<Outcome<KnownIdentity>> {
    const inForce: DidDocument[] = [];
    let until = Number.POSITIVE_INFINITY;
    for (const [at, document] of documents.entries()) {
      const link = bound[at];
      const found = link && (await findKey(link, document, now));
      if (found === undefined) return denied('identity-unknown', notCurrent(chain, link));
      inForce.push(found.document);
      until = Math.min(until, found.until);
    }
    // Who gets work from an agent needs no controller in common with it: the link says that the agent passed it on.
    if (!isControlled(chain, inForce[0]))
      return denied('identity-unknown', 'The operator does not control this agent and may not vouch for it.');
    const outcome = passed({
      agent: chain.leaf.agent,
      operator: chain.operator.did,
      didVersions: versionsOf(chain, inForce),
    } as KnownIdentity);
    known.set(chain, { bound, documents: inForce, until, outcome });
    return outcome;
  }

  /** The key in the document, or in a newer one: it may have been published just now. */
  async function findKey(link: VerifiedLink, document: DidDocument, now: number): Promise<Found | undefined> {
    // Once: where nothing is kept, each document that is found is another one.
    return findKeyIn(document, link, now) ?? findKeyIn(await resolver.newer(document), link, now);
  }
}

interface Found {
  readonly document: DidDocument;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** A document that names an algorithm for the key binds it to that one (RFC 7517 section 4.4). */
function findKeyIn(document: DidDocument, { jkt, algorithm }: VerifiedLink, now: number): Found | undefined {
  const method = document.verificationMethods.find(
    ({ key, purposes, expires }) =>
      purposes.includes('capabilityInvocation') &&
      key.jkt === jkt &&
      key.algorithms.includes(algorithm) &&
      (expires === undefined || now < expires),
  );
  return method && { document, until: method.expires ?? Number.POSITIVE_INFINITY };
}

/** The tokens whose key must be their agent's own: the root, and each link to another agent. Below them the same agent's keys follow by signature. */
function boundTokens({ links }: VerifiedChain): readonly VerifiedLink[] {
  return links.filter(({ agent }, at) => agent !== links[at - 1]?.agent);
}

function isControlled({ operator }: VerifiedChain, document: DidDocument | undefined): boolean {
  return document?.controller === undefined ? operator.vouchesForAgents : document.controller.includes(operator.did);
}

function notCurrent({ links }: VerifiedChain, link: VerifiedLink | undefined): string {
  const at = link === undefined ? 0 : links.indexOf(link);
  return at === 0
    ? "The cnf.jwk is not a current key of the agent's DID."
    : `The cnf.jwk of link ${at} is not a current key of its agent's DID.`;
}

function versionsOf(chain: VerifiedChain, documents: readonly DidDocument[]): Record<string, string> | undefined {
  const versions = new Map(documents.map(({ did, versionId }) => [did, versionId]));
  versions.set(chain.operator.did, chain.operatorVersion);
  const known = [...versions].flatMap(([did, version]) => (version === undefined ? [] : [[did, version] as const]));
  return known.length > 0 ? Object.fromEntries(known.sort(([one], [other]) => (one < other ? -1 : 1))) : undefined;
}

function asDenied(error: unknown): Denied {
  // Whether the DID does not exist, or its history is broken, is for the log and not for the caller.
  if (error instanceof UnknownDid) return denied('identity-unknown', "The agent's DID is not known here.", error);
  if (error instanceof UnavailableDid) return denied('identity-unavailable', "The agent's DID cannot be resolved now.", error);
  throw error;
}

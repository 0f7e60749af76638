// The root of a chain (profile section 3): signed with a current `assertionMethod` key of an operator that the gateway trusts.

import { denied, type Outcome, passed } from '../../outcome.ts';
import type { RootForm } from '../../token/capability-token.ts';
import { findAssertionKey, type TrustedOperator, type TrustedOperators } from '../../trust/operators.ts';
import { type DidDocument, UnavailableDid, UnknownDid } from '../../vault/did-document.ts';
import type { DidResolver } from '../../vault/resolver.ts';
import { verifies } from './verify-links.ts';

export interface Issuer {
  readonly operator: TrustedOperator;
  readonly issuer: DidDocument;
  /** Milliseconds since the epoch at which the issuer's key runs out. */
  readonly until: number;
}

export interface IssuerSettings {
  readonly operators: TrustedOperators;
  readonly resolver: DidResolver;
}

/** @param now milliseconds since the epoch */
export async function verifyRoot(root: RootForm, settings: IssuerSettings, now: number): Promise<Outcome<Issuer>> {
  const { iss, sub } = root.untrustedClaims;
  const operator = settings.operators.get(iss);
  if (operator === undefined || sub !== iss) return unknownIssuer();
  let issuer: DidDocument;
  try {
    issuer = await findIssuer(settings.resolver, root, now);
  } catch (error) {
    if (error instanceof UnknownDid) return unknownIssuer(error);
    if (error instanceof UnavailableDid)
      return denied('identity-unavailable', 'The DID of the operator cannot be resolved now.', error);
    throw error;
  }
  const method = findAssertionKey(issuer, root.header.kid, now);
  if (method === undefined || !(await verifies(root, method.key))) return unknownIssuer();
  return passed({ operator, issuer, until: method.expires ?? Number.POSITIVE_INFINITY });
}

/** One answer for all of it: whom a gateway trusts is not for strangers to find out by asking. */
function unknownIssuer(cause?: unknown) {
  return denied('chain-invalid', 'The root token does not verify under a key of an operator that this gateway trusts.', cause);
}

/** The issuer's document; a newer one where the key is not in this one, since it may have been published just now. */
async function findIssuer(resolver: DidResolver, { header, untrustedClaims }: RootForm, now: number): Promise<DidDocument> {
  const document = await resolver.current(untrustedClaims.iss);
  return findAssertionKey(document, header.kid, now) === undefined ? resolver.newer(document) : document;
}

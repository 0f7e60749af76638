// From a DID to the keys that stand in its document (DID Core). Here: the methods whose identifier is the key itself.

import { KeyError, type PublicKey } from '../crypto/public-key.ts';
import { keyOfDidJwk } from './did-jwk.ts';
import { keyOfDidKey } from './did-key.ts';

/** DID Core section 5.3, as far as the profile uses them. */
export type Purpose = 'capabilityInvocation' | 'assertionMethod';

export interface VerificationMethod {
  /** DID URL with fragment. */
  readonly id: string;
  readonly key: PublicKey;
  readonly purposes: readonly Purpose[];
}

export interface DidDocument {
  readonly did: string;
  /** Who controls the DID; `undefined` for a method that can name no controller. */
  readonly controller: readonly string[] | undefined;
  readonly verificationMethods: readonly VerificationMethod[];
}

/** The DID is not one that this gateway can know: a method it does not accept, or an identifier that does not decode. */
export class UnknownDid extends Error {
  override readonly name = 'UnknownDid';
}

/** @throws {UnknownDid} */
export function resolveDid(did: string): DidDocument {
  const [scheme, method, identifier, ...rest] = did.split(':');
  if (scheme !== 'did' || method === undefined || !identifier || rest.length > 0)
    throw new UnknownDid('not a did:key or did:jwk');
  try {
    if (method === 'key') return document(did, `${did}#${identifier}`, keyOfDidKey(identifier));
    if (method === 'jwk') return document(did, `${did}#0`, keyOfDidJwk(identifier));
  } catch (error) {
    if (error instanceof KeyError) throw new UnknownDid(error.message);
    throw error;
  }
  throw new UnknownDid(`DID method "${method.slice(0, 20)}" is not accepted here: use did:key or did:jwk`);
}

function document(did: string, id: string, key: PublicKey): DidDocument {
  return {
    did,
    controller: undefined,
    verificationMethods: [{ id, key, purposes: ['capabilityInvocation', 'assertionMethod'] }],
  };
}

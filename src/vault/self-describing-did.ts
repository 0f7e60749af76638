// From a DID to the keys that stand in its document (DID Core). Here: the methods whose identifier is the key itself.

import { KeyError, type PublicKey } from '../crypto/public-key.ts';
import { type DidDocument, UnknownDid } from './did-document.ts';
import { keyOfDidJwk } from './did-jwk.ts';
import { keyOfDidKey } from './did-key.ts';

/** @throws {UnknownDid} */
export function resolveSelfDescribing(did: string): DidDocument {
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
    verificationMethods: [{ id, key, purposes: ['capabilityInvocation', 'assertionMethod'], expires: undefined }],
    versionId: undefined,
  };
}

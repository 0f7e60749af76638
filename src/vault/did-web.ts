// did:web (W3C CCG): a document at a well-known place, with no history that could be verified. So it is accepted only from
// hosts that the operator of the gateway names (profile section 1).

import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import { UnavailableDid, UnknownDid } from './did-document.ts';
import { locationOfDidWeb } from './did-location.ts';
import { FailedFetch, NotFound, RefusedFetch } from './fetch/fetch-error.ts';
import type { GuardedFetch } from './fetch/guarded-fetch.ts';
import { readDidDocument } from './read-did-document.ts';
import type { DocumentSource } from './resolver.ts';

const DOCUMENT_TYPES = [
  'application/did+json',
  'application/did+ld+json',
  'application/did',
  'application/json',
  'application/ld+json',
];

/** @param hosts host names, with a port if it is not 443 */
export function makeWebSource(guarded: GuardedFetch, hosts: readonly string[]): DocumentSource {
  return async (did) => {
    const url = locationOfDidWeb(did);
    if (!hosts.includes(url.host)) throw new UnknownDid('did:web is not accepted from this host');
    try {
      const document = parseStrictJson(await guarded.fetch(url, DOCUMENT_TYPES));
      return { document: readDidDocument(did, document), ttlSeconds: undefined };
    } catch (error) {
      if (error instanceof NotFound) throw new UnknownDid('there is no document at the location of the DID', { cause: error });
      if (error instanceof RefusedFetch) throw new UnknownDid(error.message, { cause: error });
      if (error instanceof JsonError) throw new UnknownDid(`the document is ${error.message}`);
      if (error instanceof FailedFetch) throw new UnavailableDid(error.message, { cause: error });
      throw error;
    }
  };
}

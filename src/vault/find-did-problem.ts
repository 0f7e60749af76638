// What can be said against a DID without asking anyone: that nobody here could ever resolve it.

import { UnknownDid } from './did-document.ts';
import { locationOfDidWeb, locationOfDidWebvh } from './did-location.ts';
import { resolveSelfDescribing } from './self-describing-did.ts';

/**
 * @param webHosts hosts whose did:web is accepted
 * @returns what is wrong with it, `undefined` when it can be resolved in principle
 */
export function findDidProblem(did: string, webHosts: readonly string[]): string | undefined {
  try {
    if (did.startsWith('did:webvh:')) locationOfDidWebvh(did);
    else if (did.startsWith('did:web:')) {
      if (!webHosts.includes(locationOfDidWeb(did).host)) return `${did}: its host is not listed in resolution.web`;
    } else resolveSelfDescribing(did);
    return undefined;
  } catch (error) {
    if (error instanceof UnknownDid) return error.message;
    throw error;
  }
}

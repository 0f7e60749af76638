// The keys in every version of a did:webvh log: what an author signed stays signed after the key was rotated out.

import type { VerificationMethod } from './did-document.ts';
import { readDidDocument } from './read-did-document.ts';

/** A key of some version of a DID; times in milliseconds since the epoch. */
export interface DatedKey {
  readonly method: VerificationMethod;
  readonly from: number;
  readonly until: number;
}

/** @param log did.jsonl that verified, whole; empty for a DID without history @throws {UnknownDid} for a version that cannot be read */
export function keyHistory(did: string, log: string): DatedKey[] {
  const versions = log
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { versionId: string; versionTime: string; state: { id?: unknown } });
  return versions.flatMap(({ versionId, versionTime, state }, at) => {
    const from = Date.parse(versionTime);
    const until = Date.parse(versions[at + 1]?.versionTime ?? '') || Number.POSITIVE_INFINITY;
    // A log that has moved begins under another name, whose keys were not this DID's.
    if (state.id !== did) return [];
    return readDidDocument(did, state, versionId).verificationMethods.map((method) => ({ method, from, until }));
  });
}

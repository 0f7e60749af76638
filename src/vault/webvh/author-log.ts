// Writes the entries of a did:webvh log (did:webvh 1.0, sections "Create", "Update" and "Deactivate"), always with pre-rotation:
// an entry is signed by the one key that the entry before committed to, and commits to the next.

import type { PrivateKey } from '../../crypto/private-key.ts';
import type { PublicKey } from '../../crypto/public-key.ts';
import { UnknownDid } from '../did-document.ts';
import { didWebvhLocationPart } from '../did-location.ts';
import { multihash } from './multihash.ts';
import { commitmentTo, multikeyOf } from './multikey.ts';
import { type AuthoredEntry, canonicalEntry, draftOf, signEntry } from './sign-entry.ts';
import type { VerifiedLog } from './verified-log.ts';

interface Keys {
  /** Ed25519; the key that the entry before committed to. */
  readonly updateKey: PrivateKey;
  /** Ed25519; the key that signs the entry after this one. */
  readonly nextUpdateKey: PublicKey;
}

export interface FirstEntry extends Keys {
  /** What follows the SCID in the DID, e.g. `vault.example%3A8443:agents:acme:reader`. */
  readonly location: string;
  /** The document of the DID that it is called with; the SCID in it is filled in later. */
  readonly state: (did: string) => object;
  /** Milliseconds since the epoch; the entry has the second. */
  readonly now: number;
  /** Seconds that a resolver may keep the document. */
  readonly ttl?: number | undefined;
}

export interface NextEntry extends Keys {
  /** The whole log so far, with its last version selected. */
  readonly log: VerifiedLog;
  readonly state: object;
  /** Milliseconds since the epoch. An entry is later than the one before: where this is not, it has the second after that. */
  readonly now: number;
  /** Ends the DID: no entry can follow. */
  readonly deactivate?: boolean | undefined;
  readonly ttl?: number | undefined;
}

/** What was asked for would not verify, so nothing was written. */
export class AuthorError extends Error {
  override readonly name = 'AuthorError';
}

const PLACEHOLDER = '{SCID}';
const SECOND = 1000;
const LONGEST_TTL = 2 ** 31;

/** The log is to be held against `verifyLog` before it is published: the document is not looked at here. */
export function firstEntry({ location, state, now, ttl, ...keys }: FirstEntry): AuthoredEntry {
  assertLocation(location);
  const did = `did:webvh:${PLACEHOLDER}:${location}`;
  const parameters = { method: 'did:webvh:1.0', scid: PLACEHOLDER, ...keyParameters(keys), portable: true, ...ttlParameter(ttl) };
  const draft = draftOf(parameters, did, documentOf(did, state(did)), now);
  const scid = multihash(canonicalEntry(draft, PLACEHOLDER));
  const fill = (text: string) => text.replaceAll(PLACEHOLDER, scid);
  const filled = { ...draft, did: fill(did), parameters: fill(draft.parameters), state: fill(draft.state) };
  return signEntry(filled, 1, scid, keys.updateKey);
}

/** @throws {AuthorError} for a key that the log did not commit to, and for a log that is deactivated. */
export function nextEntry({ log, state, now, deactivate = false, ttl, ...keys }: NextEntry): AuthoredEntry {
  const { did, versionIds, versionId, versionTime } = log;
  if (versionId !== versionIds.at(-1)) throw new AuthorError('an entry follows the last version only');
  if (log.deactivated) throw new AuthorError('the DID is deactivated');
  if (!log.parameters.nextKeyHashes.includes(commitmentTo(multikeyOf(keys.updateKey.publicKey))))
    throw new AuthorError('the log did not commit to this update key');
  const { updateKeys, nextKeyHashes } = keyParameters(keys);
  const parameters = deactivate
    ? // With pre-rotation in force an entry must name its keys; the specification lets a deactivating one keep them, and what
      // it asks for to empty their list as well are two entries, of which the first would leave the DID without pre-rotation.
      { updateKeys, nextKeyHashes: [], deactivated: true, ...ttlParameter(ttl) }
    : { updateKeys, nextKeyHashes, ...ttlParameter(ttl) };
  const time = Math.max(now, (Math.floor(versionTime / SECOND) + 1) * SECOND);
  return signEntry(draftOf(parameters, did, documentOf(did, state), time), versionIds.length + 1, versionId, keys.updateKey);
}

function keyParameters({ updateKey, nextUpdateKey }: Keys) {
  if (updateKey.algorithm !== 'Ed25519' || nextUpdateKey.raw === undefined) throw new AuthorError('update keys are Ed25519');
  return { updateKeys: [multikeyOf(updateKey.publicKey)], nextKeyHashes: [commitmentTo(multikeyOf(nextUpdateKey))] };
}

function ttlParameter(ttl: number | undefined): { ttl?: number } {
  if (ttl === undefined) return {};
  // Not every verifier takes the 0 that the specification allows.
  if (!Number.isInteger(ttl) || ttl < 1 || ttl > LONGEST_TTL) throw new AuthorError('a ttl is at least one second');
  return { ttl };
}

function documentOf(did: string, state: object): object {
  if (!('id' in state) || state.id !== did) throw new AuthorError('the document is not of the DID');
  return state;
}

function assertLocation(location: string): void {
  try {
    didWebvhLocationPart(`did:webvh:${'Q'.repeat(46)}:${location}`);
  } catch (error) {
    if (error instanceof UnknownDid) throw new AuthorError(`a log cannot be there: ${error.message}`);
    throw error;
  }
}

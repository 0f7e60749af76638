// The rules of did:webvh 1.0 over a whole log that need no key: hashes, numbers, times, names, and what may follow what.
// Most of them the library checks as well; those that it does not are marked, and a test holds each one.

import canonicalize from 'canonicalize';
import { multihash } from './multihash.ts';
import type { UnverifiedEntry } from './parse-log.ts';
import { InvalidLog, type LogParameters } from './verified-log.ts';

/** As far as the specification lets the clocks of author and reader be apart. */
const SKEW_MILLIS = 5 * 60 * 1000;

/** What is in force after an entry. */
export interface Moment {
  readonly entry: UnverifiedEntry;
  readonly parameters: LogParameters;
  readonly deactivated: boolean;
}

/**
 * @param now milliseconds since the epoch
 * @returns one moment for each entry. @throws {InvalidLog}
 */
export function replayLog(entries: readonly UnverifiedEntry[], now: number): readonly [Moment, ...Moment[]] {
  const [first, ...others] = entries;
  if (first === undefined) throw new InvalidLog('the log is empty');
  const moments: [Moment, ...Moment[]] = [begin(first)];
  let before: Moment = moments[0];
  for (const entry of others) {
    before = follow(before, entry);
    moments.push(before);
  }
  if (Date.parse(before.entry.versionTime) > now + SKEW_MILLIS) throw new InvalidLog('the last entry is from the future');
  return moments;
}

function begin(entry: UnverifiedEntry): Moment {
  const { method, scid, updateKeys, portable = false, deactivated = false } = entry.parameters;
  if (method === undefined || scid === undefined || !updateKeys?.length)
    throw new InvalidLog('entry 1 does not name the method, the SCID and the keys that update');
  // The library does not look at the hash in the first versionId, nor at `deactivated` in the first entry.
  checkNumberAndHash(entry, 1, scid);
  checkScid(entry, 1, scid);
  const base = { scid, portable, updateKeys, nextKeyHashes: [], witnessed: false, ttl: undefined };
  return { entry, parameters: merge(base, entry), deactivated };
}

function follow({ entry: previous, parameters, deactivated }: Moment, entry: UnverifiedEntry): Moment {
  const number = Number.parseInt(previous.versionId, 10) + 1;
  // The library lets a deactivated DID live on.
  if (deactivated) throw new InvalidLog(`entry ${number} comes after the DID was deactivated`);
  checkNumberAndHash(entry, number, previous.versionId);
  checkScid(entry, number, parameters.scid);
  if (Date.parse(entry.versionTime) <= Date.parse(previous.versionTime))
    throw new InvalidLog(`entry ${number} is not later than the one before`);
  const changed = entry.parameters;
  if (changed.scid !== undefined) throw new InvalidLog(`entry ${number} names the SCID again`);
  if (changed.portable && !parameters.portable) throw new InvalidLog(`entry ${number} makes the DID portable`);
  // The library takes the list from before where an entry leaves out `nextKeyHashes`, so one key could update for ever.
  if (parameters.nextKeyHashes.length > 0 && (changed.updateKeys === undefined || changed.nextKeyHashes === undefined))
    throw new InvalidLog(`entry ${number} leaves out the keys while pre-rotation is in force`);
  checkMove(previous, entry, number, parameters.portable);
  return { entry, parameters: merge(parameters, entry), deactivated: changed.deactivated ?? false };
}

function checkNumberAndHash({ proof: _, ...entry }: UnverifiedEntry, number: number, predecessor: string): void {
  const hashed = multihash(canonicalize({ ...entry, versionId: predecessor }) ?? '');
  if (entry.versionId !== `${number}-${hashed}`)
    throw new InvalidLog(`entry ${number} does not have the hash and number of its place`);
}

function checkScid({ state }: UnverifiedEntry, number: number, scid: string): void {
  if (!state.id.startsWith(`did:webvh:${scid}:`)) throw new InvalidLog(`entry ${number} is of another SCID`);
}

function checkMove(
  { state: { id: before } }: UnverifiedEntry,
  { state }: UnverifiedEntry,
  number: number,
  portable: boolean,
): void {
  if (state.id === before) return;
  if (!portable) throw new InvalidLog(`entry ${number} moves a DID that is not portable`);
  // The library does not ask for the name from before.
  if (!Array.isArray(state.alsoKnownAs) || !state.alsoKnownAs.includes(before))
    throw new InvalidLog(`entry ${number} moves the DID and does not say from where in alsoKnownAs`);
}

function merge(before: LogParameters, { parameters }: UnverifiedEntry): LogParameters {
  const { updateKeys, nextKeyHashes, portable, witness, ttl } = parameters;
  return {
    scid: before.scid,
    portable: portable ?? before.portable,
    updateKeys: updateKeys ?? before.updateKeys,
    nextKeyHashes: nextKeyHashes ?? before.nextKeyHashes,
    witnessed: witness === undefined ? before.witnessed : 'threshold' in witness,
    ttl: ttl ?? before.ttl,
  };
}

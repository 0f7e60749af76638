// A registration or an addition in the form in which it goes to the thread that writes: plain values, and of the log only what is kept.

import type { Addition, Answer, WriteOnce } from '../../../vault/registry.ts';
import { StoreError } from '../database.ts';
import { versionIdOf } from './read-rows.ts';
import type { EntryToWrite } from './vault-protocol.ts';

/** @throws {StoreError} for one that does not agree with itself: it comes from a mistake in the program. */
export function toEntryToWrite(
  { did, line, log, witness, thumbprints }: Addition,
  registration: EntryToWrite['registration'],
  write: WriteOnce,
  answer: Answer,
): EntryToWrite {
  const { versionIds, versionId, created, versionTime: updated, deactivated } = log;
  if (line.includes('\n') || versionIdOf(line) !== versionId || versionIds.at(-1) !== versionId)
    throw new StoreError('the line is not the last entry of the log');
  const follows = versionIds.at(-2);
  return {
    ...{ did, registration, version: versionIds.length, versionId, follows, created, updated, deactivated, line, witness, write },
    thumbprints: thumbprints.map(toBytes),
    answer,
  };
}

function toBytes(thumbprint: string): Uint8Array {
  const bytes = Buffer.from(thumbprint, 'base64url');
  if (bytes.length !== 32 || bytes.toString('base64url') !== thumbprint)
    throw new StoreError('a thumbprint is not a SHA-256 in base64url');
  return bytes;
}

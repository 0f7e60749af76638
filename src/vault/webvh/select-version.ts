// Which version of a DID was asked for (did:webvh 1.0, section "Reading did:webvh DID URLs").

import { InvalidLog } from './verified-log.ts';

/** `versionId` in full; milliseconds since the epoch at which the version was in force; or its number, 1 for the first. */
export type VersionSelector =
  | { readonly versionId: string }
  | { readonly versionTime: number }
  | { readonly versionNumber: number };

/** The log is in order, and the version that was asked for is not in it. */
export class VersionNotFound extends InvalidLog {}

interface Version {
  readonly versionId: string;
  readonly versionTime: string;
}

/** @returns the index of the version, the last for no selector. @throws {VersionNotFound} */
export function selectVersion(versions: readonly Version[], select: VersionSelector | undefined): number {
  const index = find(versions, select);
  if (index < 0 || index >= versions.length) throw new VersionNotFound('the log does not have the version that was asked for');
  return index;
}

function find(versions: readonly Version[], select: VersionSelector | undefined): number {
  if (select === undefined) return versions.length - 1;
  if ('versionId' in select) return versions.findIndex(({ versionId }) => versionId === select.versionId);
  if ('versionNumber' in select) return Number.isInteger(select.versionNumber) ? select.versionNumber - 1 : -1;
  return versions.findLastIndex(({ versionTime }) => Date.parse(versionTime) <= select.versionTime);
}

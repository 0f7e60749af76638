// did:webvh documents for a gateway: whoever serves the log, the gateway verifies it itself, and refuses one that is behind or
// beside what it has verified before (did:webvh 1.0; docs/threat-model.md E12).

import { hash } from 'node:crypto';
import { parseStrictJson } from '../crypto/strict-json.ts';
import { type DidDocument, UnavailableDid, UnknownDid } from './did-document.ts';
import { scidOf } from './did-location.ts';
import { readDidDocument } from './read-did-document.ts';
import type { DocumentSource } from './resolver.ts';
import type { SeenLog, SeenLogs } from './seen-logs.ts';
import { InvalidLog, type VerifiedLog } from './webvh/verified-log.ts';

export interface ServedLog {
  /** did.jsonl */
  readonly log: string;
  /** did-witness.json */
  readonly witness: string | undefined;
}

export interface WebvhSettings {
  /** Judges where a DID points to before it goes there. @throws {UnknownDid} or {@link UnavailableDid} */
  readonly readLog: (did: string) => Promise<ServedLog> | ServedLog;
  /** @throws {InvalidLog} */
  readonly verify: (request: { did: string; log: string; witness: string | undefined; now: number }) => Promise<VerifiedLog>;
  readonly seen: SeenLogs;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Told of a log that was taken back or forked: someone at its source is lying, or restored a backup. */
  readonly onRollback: (did: string, detail: string) => void;
}

export function makeWebvhSource(settings: WebvhSettings): DocumentSource {
  const { readLog, verify, seen, clock, onRollback } = settings;
  return async (did) => {
    const served = await readLog(did);
    const scid = scidOf(did);
    const digest = hash('sha256', `${served.log}\0${served.witness ?? ''}`, 'base64url');
    const known = seen.find(scid);
    if (known?.digest === digest) return { document: reopen(did, served.log, known), ttlSeconds: known.ttl };
    const log = await verify({ did, ...served, now: clock() }).catch((error: unknown) => {
      if (error instanceof InvalidLog) throw new UnknownDid(`the log of the DID does not verify: ${error.message}`);
      throw error;
    });
    // Looked up again: the log may have been seen under another of its names meanwhile.
    const before = seen.find(scid);
    const broken = before && findBreak(log, before);
    if (broken !== undefined) {
      onRollback(did, broken);
      throw new UnknownDid(broken);
    }
    const { deactivated, versionId } = log;
    await seen.remember(scid, { versionId, digest, deactivated, ttl: log.parameters.ttl }).catch((error: unknown) => {
      throw new UnavailableDid('what was verified could not be kept', { cause: error });
    });
    return { document: documentOf(did, log.state, versionId, deactivated), ttlSeconds: log.parameters.ttl };
  };
}

/** A version names its whole history by hash, so one comparison tells a continuation from anything else. */
export function findBreak({ versionIds }: Pick<VerifiedLog, 'versionIds'>, before: SeenLog): string | undefined {
  const number = Number.parseInt(before.versionId, 10);
  const there = versionIds[number - 1];
  if (there === before.versionId) return undefined;
  return there === undefined
    ? `the log ends at version ${versionIds.length}, but version ${number} was seen here before`
    : `the log tells another version ${number} than the one that was seen here before`;
}

/** The same bytes verified here before; only the last line needs to be read again. */
function reopen(did: string, log: string, { versionId, deactivated }: SeenLog): DidDocument {
  const last = parseStrictJson(Buffer.from(log.trimEnd().split('\n').at(-1) ?? '')) as { state?: unknown };
  return documentOf(did, last.state, versionId, deactivated);
}

function documentOf(did: string, state: unknown, versionId: string, deactivated: boolean): DidDocument {
  if (deactivated) return { did, controller: [], verificationMethods: [], versionId };
  return readDidDocument(did, state, versionId);
}

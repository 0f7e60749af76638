// Verifies what the store keeps as anyone who reads it would: every log from its first entry to its last, and what the store says
// of it against what it says itself.

import { availableParallelism } from 'node:os';
import { readPostedEntry } from '../../../vault/posted-entry.ts';
import { readDidDocument } from '../../../vault/read-did-document.ts';
import { LOG_VERIFIER_DEFAULTS, LogVerifier } from '../../../vault/webvh/log-verifier.ts';
import type { VerifiedLog } from '../../../vault/webvh/verified-log.ts';
import { toStoreError } from '../database.ts';
import { checkOtherRows, checkTables, type Progress } from './integrity.ts';
import { type KeptLog, readKeptLogs } from './kept-logs.ts';
import { openVaultForReading } from './vault-database.ts';

export interface BadDid {
  readonly did: string;
  readonly problem: string;
}

export interface Verification {
  readonly store: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly progress: Progress;
  /** Called with each one as it is found. */
  readonly onBad: (bad: BadDid) => void;
}

export interface VerificationSummary {
  readonly dids: number;
  readonly entries: number;
  readonly bad: number;
}

/** Beside a running service too. @throws {StoreError} when the file as a whole is damaged, so that there is no DID to name */
export async function verifyVault({ store, now, progress, onBad }: Verification): Promise<VerificationSummary> {
  const database = openVaultForReading(store);
  const verifiers = Array.from({ length: availableParallelism() }, () => LogVerifier.start({ timeLimitMillis: 60_000 }));
  try {
    database.exec('BEGIN');
    checkTables(database, progress);
    database.exec('COMMIT');
    const total = Number(database.prepare('SELECT max(id) AS n FROM dids').get()?.n ?? 0);
    const count = { dids: 0, entries: 0, bad: 0 };
    const logs = readKeptLogs(database);
    const keyOwner = database.prepare('SELECT did FROM keys WHERE thumbprint = ?');
    await Promise.all(
      verifiers.map(async (verifier) => {
        for (const kept of logs) {
          const problem =
            'problem' in kept ? kept.problem : await findProblem(kept, verifier, now, (jkt) => keyOwner.get(jkt)?.did);
          if (problem !== undefined) onBad({ did: kept.did, problem });
          progress('verifying logs', ++count.dids, total);
          count.entries += 'problem' in kept ? 0 : kept.row.version;
          count.bad += problem === undefined ? 0 : 1;
        }
      }),
    );
    for (const { done, total: keys } of checkOtherRows(database, true)) progress('checking keys', done, keys);
    return count;
  } catch (error) {
    throw toStoreError(error, store);
  } finally {
    await Promise.all(verifiers.map((verifier) => verifier.close()));
    database.close();
  }
}

async function findProblem(
  { id, did, row, lines, witness }: KeptLog,
  verifier: LogVerifier,
  now: number,
  ownerOf: (thumbprint: Uint8Array) => unknown,
): Promise<string | undefined> {
  const log = lines.map((line) => `${line}\n`).join('');
  // What was admitted once was short enough then, whatever the limits are now.
  const maxBytes = Math.max(LOG_VERIFIER_DEFAULTS.maxBytes, Buffer.byteLength(log), Buffer.byteLength(witness ?? ''));
  const maxEntries = Math.max(LOG_VERIFIER_DEFAULTS.maxEntries, lines.length);
  try {
    const verified = await verifier.verify({ did, log, witness, now, maxBytes, maxEntries });
    if (!agrees(verified, row)) return 'what the store says of the log is not what the log says';
    // The last entry of a deactivated DID has no keys that anyone would look at.
    const documents = row.deactivated === 1 ? lines.slice(0, -1) : lines;
    for (const thumbprint of documents.flatMap((line) => thumbprintsIn(did, line)))
      if (ownerOf(Buffer.from(thumbprint, 'base64url')) !== id) return `its key ${thumbprint} is not kept as its own`;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function agrees({ did, versionIds, created, versionTime, deactivated }: VerifiedLog, row: KeptLog['row']): boolean {
  return (
    did === row.did &&
    versionIds.length === row.version &&
    created === row.created &&
    versionTime === row.updated &&
    deactivated === (row.deactivated === 1)
  );
}

function thumbprintsIn(did: string, line: string): string[] {
  const entry = readPostedEntry(line);
  if ('field' in entry) throw new Error(`${entry.field} ${entry.detail}`);
  return readDidDocument(did, entry.untrustedState).verificationMethods.map(({ key }) => key.jkt);
}

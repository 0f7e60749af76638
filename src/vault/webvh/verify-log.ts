// Verifies a did:webvh log from its first entry to its last. Signatures, pre-rotation and witnesses are didwebvh-ts's work,
// which is given only what has one reading, and whose result is taken only with what replay-log.ts holds beside it.
// Runs in a thread of its own (log-verifier.ts) and nowhere else: the library's cache has no bound, it prints what strangers wrote,
// and where NODE_ENV is `test` it writes each log to a file.

import { resolveDIDFromLog } from 'didwebvh-ts';
import { importPublicJwk, KeyError, type PublicKey } from '../../crypto/public-key.ts';
import { verifySignature } from '../../crypto/verify-signature.ts';
import { type LogLimits, parseLog, parseWitnessProofs } from './parse-log.ts';
import { printable } from './regular-json.ts';
import { type Moment, replayLog } from './replay-log.ts';
import { selectVersion, type VersionSelector } from './select-version.ts';
import { InvalidLog, type VerifiedLog } from './verified-log.ts';

export interface VerifyRequest extends LogLimits {
  /** The DID that the log must be of; `undefined` takes the one that it says it is of. */
  readonly did: string | undefined;
  /** did.jsonl */
  readonly log: string;
  /** did-witness.json, where there is one. */
  readonly witness: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The last version unless another is asked for. The whole log must verify all the same. */
  readonly select?: VersionSelector | undefined;
  /** Takes a DID that has moved by the name that it had before: never where the document authorises anything. */
  readonly allowMoved?: boolean | undefined;
}

/** The library's function as far as it is used; its own types do not resolve here. */
const resolve: (
  log: readonly unknown[],
  options: { verifier: Verifier; witnessProofs: readonly unknown[] },
) => Promise<{ meta: { versionId: string; error?: string; problemDetails?: { detail: string } } }> = resolveDIDFromLog;

interface Verifier {
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): Promise<boolean>;
}

/** What is known of a log before anyone says that it is the log of a DID. */
type Reading = { readonly [K in keyof VerifiedLog as K extends string ? K : never]: VerifiedLog[K] };

/**
 * `deactivated` in the result is of the DID, whichever version was selected.
 * @throws {InvalidLog} or {@link VersionNotFound}
 */
export async function verifyLog(request: VerifyRequest): Promise<VerifiedLog> {
  const { did, select, allowMoved = false, now } = request;
  const entries = parseLog(request.log, request);
  const proofs = parseWitnessProofs(request.witness, request);
  const moments = replayLog(entries, now);
  const last = moments.at(-1) ?? moments[0];
  await checkSignatures(entries, proofs);
  const log = read(moments, last, moments[selectVersion(entries, select)] ?? last);
  // Each name in the log has its SCID, so a DID that is one of them has it too.
  const names = allowMoved ? entries.map(({ state }) => state.id) : [log.did];
  if (isLogOf(log, did ?? log.did, names)) return log;
  throw new InvalidLog('the log is of another DID');
}

function isLogOf(_log: Reading, did: string, names: readonly string[]): _log is VerifiedLog {
  return names.includes(did);
}

function read([first, ...others]: readonly [Moment, ...Moment[]], last: Moment, selected: Moment): Reading {
  return {
    did: last.entry.state.id,
    versionIds: [first, ...others].map(({ entry }) => entry.versionId),
    versionId: selected.entry.versionId,
    versionTime: Date.parse(selected.entry.versionTime),
    created: Date.parse(first.entry.versionTime),
    deactivated: last.deactivated,
    state: selected.entry.state,
    parameters: selected.parameters,
  };
}

async function checkSignatures(
  entries: ReturnType<typeof parseLog>,
  witnessProofs: ReturnType<typeof parseWitnessProofs>,
): Promise<void> {
  try {
    // Without a list of witness proofs, be it an empty one, the library would fetch them itself. No version is selected,
    // since it forgives what comes after a selected one.
    const { meta } = await resolve(entries, { verifier: strictVerifier(), witnessProofs });
    if (meta.error !== undefined) throw new Error(meta.problemDetails?.detail ?? meta.error);
    if (meta.versionId !== entries.at(-1)?.versionId) throw new Error('not every entry was verified');
  } catch (error) {
    // TypeErrors too: for the library, what it did not expect in a log is one.
    throw new InvalidLog(printable(error instanceof Error ? error.message : 'the log does not verify'));
  }
}

/** Ed25519 under valid keys only. */
function strictVerifier(): Verifier {
  const keys = new Map<string, PublicKey | undefined>();
  const find = (x: string): PublicKey | undefined => {
    if (!keys.has(x)) keys.set(x, importEd25519(x));
    return keys.get(x);
  };
  return {
    async verify(signature, message, publicKey) {
      const key = find(Buffer.from(publicKey).toString('base64url'));
      return key !== undefined && verifySignature(key, 'Ed25519', Buffer.from(message), Buffer.from(signature));
    },
  };
}

function importEd25519(x: string): PublicKey | undefined {
  try {
    return importPublicJwk({ kty: 'OKP', crv: 'Ed25519', x });
  } catch (error) {
    if (error instanceof KeyError) return undefined;
    throw error;
  }
}

// A log of the operator's, as its home keeps it and as the vault serves it. The copy in the home is what the vault is held against: a
// vault that lost entries gets them back, and one that tells another story is not followed.

import { didWebvhLocationPart, locationOfDidWebvh } from '../vault/did-location.ts';
import type { Kind } from '../vault/registry.ts';
import { AuthorError, nextEntry } from '../vault/webvh/author-log.ts';
import { deriveUpdateKey } from '../vault/webvh/update-key.ts';
import { InvalidLog, type VerifiedLog } from '../vault/webvh/verified-log.ts';
import type { DidState } from './did-state.ts';
import { readIfThere, writeDurably } from './durable-file.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import type { Author } from './sign-write.ts';
import type { VaultClient } from './vault-client.ts';
import { VaultRefusal } from './vault-problem.ts';

export interface LogPlace {
  readonly kind: Kind;
  readonly did: string;
  /** The copy in the home. */
  readonly file: string;
}

/** Verified from its first line to its last. */
export interface OwnLog extends LogPlace {
  readonly lines: readonly string[];
  readonly log: VerifiedLog;
  /** How many of the lines the vault has. */
  readonly published: number;
}

/**
 * The longer of the home's copy and the vault's log, one being the beginning of the other. Nothing is changed.
 * @throws {OperatorError} when there is neither, or when the two differ
 */
export async function readLog(place: LogPlace, vault: VaultClient, tools: OperatorTools): Promise<OwnLog> {
  const { did, file } = place;
  const copy = linesOf((await readIfThere(file)) ?? '');
  const served = await vault.readLog(locationOfDidWebvh(did).path);
  const there = linesOf(served?.log ?? '');
  const fork = copy.findIndex((line, at) => there[at] !== undefined && there[at] !== line);
  if (fork !== -1)
    throw new OperatorError(
      `the vault has another version ${fork + 1} of ${did} than ${file}: either another home with the same recovery key published it (continue there), or the vault is not to be trusted`,
    );
  const lines = there.length >= copy.length ? there : copy;
  if (lines.length === 0) throw new OperatorError(`the vault has no log of ${did}, and ${file} is not there either`);
  const log = await verify(did, lines, served?.witness, tools);
  return { ...place, lines, log, published: there.length };
}

/** The same, and the home's copy is brought up to date. */
export async function openLog(place: LogPlace, vault: VaultClient, tools: OperatorTools): Promise<OwnLog> {
  const own = await readLog(place, vault, tools);
  const text = textOf(own.lines);
  if (text !== (await readIfThere(place.file))) await writeDurably(place.file, text);
  return own;
}

/** Gives the vault what it does not have of the log. */
export async function publish(own: OwnLog, author: Author, vault: VaultClient): Promise<OwnLog> {
  for (const line of own.lines.slice(own.published)) {
    if (own.lines.indexOf(line) === 0) await vault.register(own.kind, line, author);
    else await vault.append(own.kind, own.did, line, author);
  }
  return { ...own, published: own.lines.length };
}

export interface NextVersion {
  readonly state: DidState;
  readonly deactivate?: boolean;
}

/**
 * Publishes one more version. It is in the vault before it is in the home's copy: a run that was cut short in between finds it there.
 * @throws {OperatorError}
 */
export async function addVersion(
  own: OwnLog,
  { state, deactivate = false }: NextVersion,
  { seed, author, vault, tools }: { seed: Buffer; author: Author; vault: VaultClient; tools: OperatorTools },
): Promise<OwnLog> {
  const location = didWebvhLocationPart(own.did);
  const version = own.lines.length + 1;
  const line = writeEntry(own.did, {
    log: own.log,
    state,
    updateKey: deriveUpdateKey(seed, location, version),
    nextUpdateKey: deriveUpdateKey(seed, location, version + 1).publicKey,
    now: tools.clock(),
    deactivate,
  });
  const lines = [...own.lines, line];
  // What would not verify is not sent.
  const log = await verify(own.did, lines, undefined, tools);
  await vault.append(own.kind, own.did, line, author).catch((error: unknown) => {
    if (error instanceof VaultRefusal && error.status === 409)
      throw new OperatorError(
        `${error.message}; someone else published version ${version} of ${own.did} meanwhile: run this again, it continues from there`,
      );
    throw error;
  });
  await writeDurably(own.file, textOf(lines));
  return { ...own, lines, log, published: lines.length };
}

/** A wrong recovery key shows here: the log has committed to another one. */
function writeEntry(did: string, entry: Parameters<typeof nextEntry>[0]): string {
  try {
    return nextEntry(entry).line;
  } catch (error) {
    if (error instanceof AuthorError)
      throw new OperatorError(
        `no version can be added to ${did}: ${error.message}; see that recovery.key is the one that it was made with`,
      );
    throw error;
  }
}

/** The documents of all versions, first to last. */
export function statesOf({ lines }: Pick<OwnLog, 'lines'>): DidState[] {
  return lines.map((line) => (JSON.parse(line) as { state: DidState }).state);
}

export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

export function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

async function verify(
  did: string,
  lines: readonly string[],
  witness: string | undefined,
  { verifyLog, clock }: OperatorTools,
): Promise<VerifiedLog> {
  try {
    return await verifyLog({ did, log: textOf(lines), witness, now: clock() });
  } catch (error) {
    if (error instanceof InvalidLog) throw new OperatorError(`the log of ${did} does not verify: ${error.message}`);
    throw error;
  }
}

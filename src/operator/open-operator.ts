// The operator of a home, ready to write: its log as it stands in the vault, its recovery seed, and the key that holds now.

import type { DidState, PublishedKey } from './did-state.ts';
import { dateTime, findHolding } from './did-state.ts';
import { type OperatorFile, readOperatorFile } from './home.ts';
import { findKey, type KeptKey, readSeed } from './kept-keys.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import { type OwnLog, openLog, publish, statesOf } from './own-log.ts';
import type { Author } from './sign-write.ts';
import type { VaultClient } from './vault-client.ts';

export interface OpenOperator {
  readonly operator: OperatorFile;
  readonly vault: VaultClient;
  /** In the vault to its last line. */
  readonly log: OwnLog;
  /** False when the vault did not have all of it before. */
  readonly wasPublished: boolean;
  readonly seed: Buffer;
  readonly author: Author;
}

/** @throws {OperatorError} when the home has no operator, its key does not hold any more, or the vault does not take its log */
export async function openOperator(tools: OperatorTools): Promise<OpenOperator> {
  const { files, clock, onProgress } = tools;
  const operator = await readOperatorFile(files);
  const vault = await tools.vaultAt(operator.vault, operator.vaultCa);
  const own = await openLog({ kind: 'operator', did: operator.did, file: files.log }, vault, tools);
  if (own.log.deactivated) throw new OperatorError(`${operator.did} is deactivated: nothing can be done in its name any more`);
  const author = await findAuthor(tools, lastState(own), clock());
  const wasPublished = own.published === own.lines.length;
  const log = wasPublished ? own : await publish(own, author, vault);
  if (!wasPublished) onProgress(`published ${operator.did} in the vault`);
  return { operator, vault, log, wasPublished, seed: await readSeed(files.recoveryKey), author };
}

export function lastState(own: Pick<OwnLog, 'lines'>): DidState {
  return statesOf(own).at(-1) ?? {};
}

/** A key that a rotation has published holds, although the rotation has not come to its end. */
async function findAuthor({ files }: OperatorTools, state: DidState, now: number): Promise<Author> {
  for (const file of [files.pendingKey, files.signingKey]) {
    const author = authorOf(state, await findKey(file), now);
    if (author !== undefined) return author;
  }
  throw new OperatorError(
    `${files.signingKey} is no key of the operator at ${dateTime(now)}: put the right one back, or replace it with \`hermesbridge operator recover\``,
  );
}

export function authorOf(state: DidState, key: KeptKey | undefined, now: number): Author | undefined {
  if (key?.private === undefined) return undefined;
  const found: PublishedKey | undefined = findHolding(state, key.publicKey, now);
  return found && { keyId: found.id, key: key.private };
}

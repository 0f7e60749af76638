// The operator of a home as an author of restrictions: read from the home alone, since what has to be revoked may be what keeps the
// vault from answering.

import type { RestrictionAuthor } from '../restrictions/sign-restriction.ts';
import type { DidState } from './did-state.ts';
import { readIfThere } from './durable-file.ts';
import { type HomeFiles, type OperatorFile, readOperatorFile } from './home.ts';
import { findKey } from './kept-keys.ts';
import { authorOf } from './open-operator.ts';
import { OperatorError } from './operator-error.ts';

export interface HomeAuthor {
  readonly operator: OperatorFile;
  readonly author: RestrictionAuthor;
}

/** @param now milliseconds since the epoch @throws {OperatorError} when the home has no operator, or no key of it that holds */
export async function homeAuthor(files: HomeFiles, now: number): Promise<HomeAuthor> {
  const operator = await readOperatorFile(files);
  const log = await readIfThere(files.log);
  const state = (JSON.parse(log?.trimEnd().split('\n').at(-1) || '{}') as { state?: DidState }).state ?? {};
  // A key that a rotation has published holds, although the rotation has not come to its end.
  for (const file of [files.pendingKey, files.signingKey]) {
    const found = authorOf(state, await findKey(file), now);
    if (found !== undefined) return { operator, author: found };
  }
  throw new OperatorError(`${files.directory} has no signing key that holds now: see \`hermesbridge operator show\``);
}

// Where the next page begins, in a form that nobody is tempted to take apart.

import { decodeBase64url } from '../crypto/base64url.ts';
import { Problem } from './problem.ts';

/** @param list names the list: a cursor of one is none of another */
export function encodeCursor(list: string, position: string): string {
  return Buffer.from(JSON.stringify([list, position])).toString('base64url');
}

/** @throws {Problem} */
export function decodeCursor(list: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  try {
    const [of, position] = JSON.parse((decodeBase64url(cursor) ?? '').toString()) as unknown[];
    if (of === list && typeof position === 'string') return position;
  } catch {
    // The answer is the same.
  }
  throw badCursor();
}

export function badCursor(): Problem {
  const errors = [{ field: 'cursor', detail: 'must be the `next` of the page before, of the same list' }];
  return new Problem('bad-parameter', 'The cursor is not one of this list.', { errors });
}

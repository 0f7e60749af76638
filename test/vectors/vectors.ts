// Where vectors come from: own ones beside this file, and a larger collection beside the repository, which is not everywhere.

import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'vitest';

const SHARED = new URL('../../../shared/vectors/', import.meta.url);

/** Runs where the collection is, and says that it was skipped where it is not. */
export function describeShared(name: string, body: () => void): void {
  if (existsSync(SHARED)) describe(name, body);
  else test.skip(`${name}: skipped, since ../shared/vectors is not here`, () => {});
}

export function readShared<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, SHARED), 'utf8')) as T;
}

export function readOwn<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`own/${path}`, import.meta.url), 'utf8')) as T;
}

// Every attack of docs/threat-model.md has a test named by its id, or stands here with the reason why not.

import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

const FOLDER = new URL('./', import.meta.url);

const numbered = (group: string, ...parts: (number | readonly [from: number, to: number])[]) =>
  parts
    .flatMap((part) =>
      typeof part === 'number' ? [part] : Array.from({ length: part[1] - part[0] + 1 }, (_, at) => part[0] + at),
    )
    .map((number) => `${group}${number}`);

/** The ids of the threat model for gateways and their vault. Numbers that are missing were never given. */
const ATTACKS = [
  ...numbered('A', [1, 14], [16, 23], [25, 31], [33, 35], 37, 38, 40, 42, 43),
  ...numbered('B', 1, 2, 3, [5, 8], 11, 12, 14, 15),
  ...numbered('C', 1, 2, [4, 13], 16, 17, 19, 21, 22),
  ...numbered('D', [1, 5], 7, 8, 9, 10, 11),
  ...numbered('E', 1, 2, [4, 12], 15, 16, 17, 19),
  ...numbered('G', [1, 5], [7, 12], [14, 17], [19, 28]),
  ...numbered('H', 1, 2, 3, 4, 6, 9, 10, 11, 13, 17),
];

export const NOT_APPLICABLE: Readonly<Record<string, string>> = {};

test('every attack has a test with its id, or a reason', async () => {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.test.ts') && name !== 'coverage.test.ts');
  const text = (await Promise.all(files.map((name) => readFile(new URL(name, FOLDER), 'utf8')))).join('\n');
  // Ids of rows, and the ones that begin a test's name.
  const found = new Set<string>();
  for (const [, ids = ''] of text.matchAll(/['"`]((?:[A-H]\d{1,2} ?)+)(?=['"` ]|[a-z])/g))
    for (const id of ids.trim().split(' ')) found.add(id);
  const missing = ATTACKS.filter((id) => !found.has(id) && !(id in NOT_APPLICABLE));
  expect(missing).toEqual([]);
  for (const id of Object.keys(NOT_APPLICABLE)) expect(found.has(id), `${id} has a test after all`).toBe(false);
});

test('docs/threat-model.md names every attack', async () => {
  const page = await readFile(new URL('../../docs/threat-model.md', FOLDER), 'utf8');
  expect(ATTACKS.filter((id) => !new RegExp(`^\\| ${id} \\|`, 'm').test(page))).toEqual([]);
});

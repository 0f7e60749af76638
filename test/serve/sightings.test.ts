// Sightings as a gateway keeps them, or does not: it works on where they cannot be kept, and its vault shows them while it runs.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NO_RESTRICTIONS } from '../../src/checks/restriction/check-restriction.ts';
import { parseConfiguration, type VerifyConfiguration } from '../../src/config.ts';
import { startSightings } from '../../src/serve/sightings.ts';
import type { Sighted } from '../../src/sightings/judge-link.ts';

let directory: string;
let shown: (Sighted | undefined)[];
let log: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-serve-'));
  [shown, log] = [[], []];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function start(sightings: object = {}) {
  const text = {
    verify: {
      gateway: { names: ['gateway.local'] },
      trust: { operators: [{ did: 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK' }] },
      providers: {},
      store: { file: join(directory, 'gateway.db') },
      sightings,
    },
  };
  const configuration = parseConfiguration(JSON.stringify(text), 'test.yaml').verify as VerifyConfiguration;
  return startSightings({
    configuration,
    restrictions: { inForce: NO_RESTRICTIONS, administrators: [], read: () => undefined },
    showSightings: (sighted) => shown.push(sighted),
    log: pino({}, { write: (line: string) => void log.push(line) }),
    clock: Date.now,
  });
}

test('are shown by the vault in the same process until the gateway ends', async () => {
  const { note, stop } = await start();
  expect(note).toBeDefined();
  expect(shown).toEqual([expect.objectContaining({ reader: expect.anything() })]);
  await stop();
  expect(shown.at(-1)).toBeUndefined();
  expect(existsSync(join(directory, 'gateway.db-sightings'))).toBe(true);
  expect(log).toEqual([]);
});

test('are kept nowhere where that is wanted', async () => {
  const { note, stop } = await start({ keepSeconds: 0 });
  await stop();
  expect([note, shown, existsSync(join(directory, 'gateway.db-sightings'))]).toEqual([undefined, [], false]);
});

test('that cannot be kept are no reason not to decide requests', async () => {
  const junk = 'this is no database, and long enough to be looked at as one';
  writeFileSync(join(directory, 'gateway.db-sightings'), junk);
  const { note, stop } = await start();
  await stop();
  expect([note, shown]).toEqual([undefined, []]);
  expect(log).toEqual([expect.stringContaining('no sightings are kept')]);
});

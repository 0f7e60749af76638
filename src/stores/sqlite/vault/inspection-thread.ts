// The thread that goes through all rows of a large store while it serves, at half the speed that it could: such a check takes
// minutes, too long to start with.

import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { toStoreError } from '../database.ts';
import { checkRows } from './integrity.ts';
import { openVaultForReading } from './vault-database.ts';
import type { Damage } from './vault-protocol.ts';

const file = String(workerData);
try {
  const database = openVaultForReading(file);
  try {
    let before = performance.now();
    for (const _ of checkRows(database, true)) {
      await pause(performance.now() - before);
      before = performance.now();
    }
  } finally {
    database.close();
  }
} catch (error) {
  parentPort?.postMessage({ damage: toStoreError(error, file).message } satisfies Damage);
}

// Run as a program of its own: writes records to the store in its first argument and prints each one that was acknowledged.

import { EmbeddedStore } from '../../../src/stores/sqlite/embedded-store.ts';

const store = await EmbeddedStore.open({
  file: process.argv[2] ?? '',
  recordTimeoutMillis: 5000,
  perKeyLimit: 100_000,
  windowMillis: 120_000,
  monotonic: () => performance.now(),
});

for (let at = 0; ; at += 20) {
  const batch = Array.from({ length: 20 }, (_, offset) => `record-${at + offset}`);
  await Promise.all(
    batch.map(async (record) => {
      await store.append(record, { entry: record, jkt: 'key', retainUntil: Date.now() + 3_600_000 });
      process.stdout.write(`${record}\n`);
    }),
  );
}

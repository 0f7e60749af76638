// Starts a module of this folder as a worker thread, from its source or from what was built of it.

import { Worker } from 'node:worker_threads';

export function startThread(module: 'vault-thread' | 'inspection-thread', workerData: unknown): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./${module}.${extension}`, import.meta.url), { workerData });
}

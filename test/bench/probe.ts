// Loaded into our service with `--import` where the bench looks inside: memory after a collection, or a CPU profile of the event
// loop's thread for exactly the time of the load (`--cpu-prof` would have the start and every idle second in it too).

import { type Profiler, Session } from 'node:inspector/promises';
import { isMainThread } from 'node:worker_threads';

export interface ToProbe {
  readonly kind: FromProbe['kind'];
}
export type FromProbe =
  | { readonly kind: 'memory'; readonly memory: NodeJS.MemoryUsage }
  | { readonly kind: 'profile-start' }
  | { readonly kind: 'profile-stop'; readonly profile: Profiler.Profile };

/** The interval between two samples, in microseconds. */
const SAMPLE_MICROS = 1000;

// Worker threads inherit the flag.
if (isMainThread) {
  const session = new Session();
  process.on('message', ({ kind }: ToProbe) => {
    answer(kind, session).then((message) => process.send?.(message));
  });
}

async function answer(kind: FromProbe['kind'], session: Session): Promise<FromProbe> {
  switch (kind) {
    case 'memory':
      globalThis.gc?.();
      return { kind, memory: process.memoryUsage() };
    case 'profile-start':
      session.connect();
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS });
      await session.post('Profiler.start');
      return { kind };
    case 'profile-stop':
      return { kind, profile: (await session.post('Profiler.stop')).profile };
  }
}

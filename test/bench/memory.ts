// Memory of our service over many decisions. Nonces are kept for as long as their signatures could be accepted, so signatures are
// short-lived here: after one such window as many leave as come, and from then on memory must be flat.

import type { BenchWorld } from './bench-world.ts';
import { CHAT_PATH, chatBody } from './credentials.ts';

const DECISIONS = 200_000;
const SAMPLE_EVERY = 20_000;
const BATCH = 2000;
const LIFETIME_SECONDS = 20;
const SKEW_SECONDS = 5;
/** As the service counts it: the lifetime and both skews; and the second by which nonces are gathered. */
const WINDOW_SECONDS = LIFETIME_SECONDS + 2 * SKEW_SECONDS + 1;

export interface MemorySample {
  readonly decisions: number;
  /** MiB; the heap after a collection. */
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
  /** Decisions within the last window, which is how many nonces are kept. */
  readonly nonces: number;
}

export interface MemoryResult {
  readonly decisions: number;
  readonly windowSeconds: number;
  readonly samples: readonly MemorySample[];
  /** Least squares, in bytes for each decision. */
  readonly slopeBytesPerDecision: { readonly rss: number; readonly heap: number };
  readonly rangeMiB: { readonly rss: number; readonly heap: number };
}

/** No other service of ours may be running. @throws {VoidRun} */
export async function measureMemory(world: BenchWorld, connections: number, say: (line: string) => void): Promise<MemoryResult> {
  const { load, envoy, credentials } = world;
  const service = await world.hermesbridge({
    probe: true,
    patienceMillis: 5000, // latency is measured elsewhere, and this run is long
    signature: { maxLifetimeSeconds: LIFETIME_SECONDS, clockSkewSeconds: SKEW_SECONDS },
  });
  try {
    const credential = { key: credentials.agentKey, capability: credentials.capability, lifetimeSeconds: LIFETIME_SECONDS };
    const prepare = () => load.prepare({ path: CHAT_PATH, body: chatBody(1024), count: BATCH, credential });
    const run = { port: envoy.ports.gateway ?? 0, connections, warmupMillis: 0, millis: 60_000, pids: [] };
    const ends: number[] = [];
    await prepare();
    const sendBatch = async () => {
      const next = prepare();
      await load.run(run);
      ends.push(performance.now());
      await next;
    };
    const warmUntil = performance.now() + WINDOW_SECONDS * 1500;
    while (performance.now() < warmUntil) await sendBatch();
    const samples: MemorySample[] = [];
    for (let decisions = 0; ; ) {
      const { memory } = await service.ask('memory');
      const since = performance.now() - WINDOW_SECONDS * 1000;
      const nonces = ends.filter((end) => end > since).length * BATCH;
      const [rss, heap, external] = [memory.rss, memory.heapUsed, memory.external + memory.arrayBuffers].map(
        (bytes) => bytes / 2 ** 20,
      );
      samples.push({ decisions, rss: rss ?? 0, heap: heap ?? 0, external: external ?? 0, nonces });
      say(
        `memory: ${decisions} decisions, rss ${rss?.toFixed(1)} MiB, heap ${heap?.toFixed(1)} MiB, about ${nonces} nonces kept`,
      );
      if (decisions >= DECISIONS) break;
      for (let sent = 0; sent < SAMPLE_EVERY; sent += BATCH) await sendBatch();
      decisions += SAMPLE_EVERY;
    }
    return {
      decisions: DECISIONS,
      windowSeconds: WINDOW_SECONDS,
      samples,
      slopeBytesPerDecision: { rss: slope(samples, 'rss'), heap: slope(samples, 'heap') },
      rangeMiB: { rss: range(samples, 'rss'), heap: range(samples, 'heap') },
    };
  } finally {
    await service.stop();
  }
}

function slope(samples: readonly MemorySample[], what: 'rss' | 'heap'): number {
  const mean = (of: (sample: MemorySample) => number) => samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean(({ decisions }) => decisions), mean((sample) => sample[what])];
  const above = samples.reduce((sum, sample) => sum + (sample.decisions - x) * (sample[what] - y), 0);
  return (above / samples.reduce((sum, { decisions }) => sum + (decisions - x) ** 2, 0)) * 2 ** 20;
}

function range(samples: readonly MemorySample[], what: 'rss' | 'heap'): number {
  const values = samples.map((sample) => sample[what]);
  return Math.max(...values) - Math.min(...values);
}

// What a gateway holds. Never asked between turns whose latency is compared: a collection that is forced leaves V8 a bound so close
// that the next one falls into the turn after it, which no gateway in earnest would have.

import type { Hermesbridge } from './hermesbridge.ts';

/** MiB. */
export interface UsedMemory {
  readonly rss: number;
  /** After a collection. */
  readonly heap: number;
}

const MIB = 2 ** 20;

export async function usedMemory(gateway: Pick<Hermesbridge, 'ask'>): Promise<UsedMemory> {
  const { memory } = await gateway.ask('memory');
  return { rss: memory.rss / MIB, heap: memory.heapUsed / MIB };
}

// The system's lookup of names, which takes a thread until it ends, and that may be ten seconds where a name server is silent. libuv
// gives half of its threads to lookups: names that were never found wait for each other, and leave the others to those that were.

import { type LookupAddress, lookup } from 'node:dns';
import type { Lookup } from './guarded-connection.ts';

/** Of the eight that sixteen threads make room for (src/main.ts). */
const MOST_UNKNOWN = 4;
const MOST_KNOWN = 10_000;
/** A name that takes longer is looked up among those that were never found the next time. */
const SLOW_MILLIS = 1000;

export interface FairLookupSettings {
  readonly lookup: Lookup;
  /** Milliseconds. */
  readonly monotonic: () => number;
}

export function makeFairLookup(settings: FairLookupSettings): Lookup {
  const known = new Set<string>();
  const waiting: (() => void)[] = [];
  let unknown = 0;

  const learn = (hostname: string, isGood: boolean) => {
    known.delete(hostname);
    if (!isGood) return;
    for (const oldest of known) {
      if (known.size < MOST_KNOWN) break;
      known.delete(oldest);
    }
    known.add(hostname);
  };

  return (hostname, options, found) => {
    const isKnown = known.has(hostname);
    const start = () => {
      if (!isKnown) unknown++;
      const since = settings.monotonic();
      settings.lookup(hostname, options, (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => {
        learn(hostname, error === null && settings.monotonic() - since < SLOW_MILLIS);
        if (!isKnown) {
          unknown--;
          waiting.shift()?.();
        }
        found(error, addresses);
      });
    };
    if (isKnown || unknown < MOST_UNKNOWN) start();
    else waiting.push(start);
  };
}

/** One for the process, as its threads are. */
export const systemLookup: Lookup = makeFairLookup({ lookup, monotonic: () => performance.now() });

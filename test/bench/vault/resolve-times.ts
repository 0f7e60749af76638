// How long it takes to resolve an agent, through the parts that a gateway resolves with: never seen before, so that its log is
// verified; seen before, but not in memory; and in memory. What verifying writes down is held against what was filled in.

import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { SqliteSeenLogs } from '../../../src/stores/sqlite/seen-logs/seen-logs.ts';
import { VaultReader } from '../../../src/stores/sqlite/vault/vault-reader.ts';
import { UnknownDid } from '../../../src/vault/did-document.ts';
import { locationOfDidWebvh } from '../../../src/vault/did-location.ts';
import { Resolver } from '../../../src/vault/resolver.ts';
import { LogVerifier } from '../../../src/vault/webvh/log-verifier.ts';
import { makeWebvhSource } from '../../../src/vault/webvh-source.ts';
import { type Percentiles, percentiles } from '../percentiles.ts';
import { makeFleet } from './fleet.ts';
import type { MadeVault } from './make-vault.ts';

/** Milliseconds. */
export interface ResolveTimes {
  readonly agents: number;
  readonly firstSight: Percentiles;
  /** The files in the memory of the operating system. */
  readonly cold: Percentiles;
  /** The files only on disk at the beginning; `undefined` where they cannot be put out of memory. */
  readonly coldFromDisk: Percentiles | undefined;
  readonly warm: Percentiles;
}

const SAMPLE = 500;
const WARMUP = 100;

export async function measureResolving(vault: MadeVault, directory: string): Promise<ResolveTimes> {
  const fleet = makeFleet(vault.fleet);
  const sample = (count: number) => [...randomNumbers(count, vault.agents)].map((number) => fleet.agent(number).did);
  const dids = sample(SAMPLE + WARMUP);
  const reader = new VaultReader(vault.file);
  const verifier = LogVerifier.start();
  const filled = await SqliteSeenLogs.open(vault.seenFile);
  const real = await SqliteSeenLogs.open(join(directory, 'seen-at-first-sight.db'));
  try {
    const firstSight = await timeEach(makeResolver(reader, verifier, real), dids);
    for (const did of dids) {
      const { scid } = locationOfDidWebvh(did);
      if (real.find(scid) === undefined || !isDeepStrictEqual(real.find(scid), filled.find(scid)))
        throw new Error(`what verifying the log of ${did} writes down is not what was filled in`);
    }
    const resolver = makeResolver(reader, verifier, filled);
    const known = sample(SAMPLE + WARMUP);
    const cold = await timeEach(resolver, known);
    const warm = timeWarm(resolver, known);
    const evicted = (await forgetPages(vault.file)) && (await forgetPages(vault.seenFile));
    // Another connection, since one keeps pages too.
    const fresh = new VaultReader(vault.file);
    const coldFromDisk = evicted ? await timeEach(makeResolver(fresh, verifier, filled), sample(SAMPLE + WARMUP)) : undefined;
    fresh.close();
    return { agents: SAMPLE, firstSight, cold, coldFromDisk, warm };
  } finally {
    reader.close();
    await verifier.close();
    await filled.close();
    await real.close();
  }
}

function makeResolver(reader: VaultReader, verifier: LogVerifier, seen: SqliteSeenLogs): Resolver {
  const webvh = makeWebvhSource({
    readLog: (did) => {
      const served = reader.readLog(did);
      if (served === undefined) throw new UnknownDid('not registered in this vault');
      return served;
    },
    verify: (request) => verifier.verify(request),
    seen,
    clock: Date.now,
    onRollback: (did, detail) => {
      throw new Error(`${did}: ${detail}`);
    },
  });
  return new Resolver({
    sources: { webvh },
    ttlSeconds: 86_400,
    maxStaleSeconds: 0,
    cacheEntries: SAMPLE + WARMUP,
    monotonic: () => performance.now(),
    onRefreshError: () => {},
  });
}

/** One after the other, none of them in memory; those of the warm-up are not counted. */
async function timeEach(resolver: Resolver, dids: readonly string[]): Promise<Percentiles> {
  const millis: number[] = [];
  for (const did of dids) {
    const startedAt = performance.now();
    const found = resolver.current(did);
    if (!(found instanceof Promise)) throw new Error(`${did} was in memory`);
    await found;
    millis.push(performance.now() - startedAt);
  }
  return percentiles(millis.slice(WARMUP));
}

function timeWarm(resolver: Resolver, dids: readonly string[]): Percentiles {
  const millis: number[] = [];
  for (let round = 0; round < 20; round++) {
    for (const did of dids) {
      const startedAt = performance.now();
      const found = resolver.current(did);
      millis.push(performance.now() - startedAt);
      if (found instanceof Promise) throw new Error(`${did} was not in memory`);
    }
  }
  return percentiles(millis.slice(millis.length / 2));
}

export function randomNumbers(count: number, below: number): ReadonlySet<number> {
  if (count > below / 2) throw new Error(`${count} of ${below} agents are not a sample: make more with --agents`);
  const numbers = new Set<number>();
  while (numbers.size < count) numbers.add(randomInt(below));
  return numbers;
}

/** Puts a file out of the operating system's memory. @returns whether that can be done here */
async function forgetPages(file: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const words = [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none'];
  return promisify(execFile)('dd', words).then(
    () => true,
    () => false,
  );
}

// The gateways of the bench, one at a time: one with the default bounds, in which few agents and all agents take turns; one with
// small bounds, for its memory; and one that has seen no agent before.

import { constants, copyFile, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BenchWorld } from '../bench-world.ts';
import type { Hermesbridge } from '../hermesbridge.ts';
import { median } from '../median.ts';
import { firstCheck } from '../start-time.ts';
import { type UsedMemory, usedMemory } from '../used-memory.ts';
import { anyOf, fewOf, runTurn, type Turn, type TurnSettings, untilIdle, warmUp } from './decisions.ts';
import type { MadeVault } from './make-vault.ts';
import { startGateway } from './vault-program.ts';

export interface GatewayResults {
  readonly start: {
    /** From the start of the program to its first answered Check. */
    readonly seconds: readonly number[];
    /** Until it has looked through its store. */
    readonly untilAtRest: number;
  };
  readonly few: readonly Turn[];
  readonly all: readonly Turn[];
  /** After all turns. */
  readonly memory: UsedMemory;
  readonly bounded: { readonly entries: number; readonly few: UsedMemory; readonly all: UsedMemory };
  readonly firstSight: Turn;
}

export interface GatewayRounds extends TurnSettings {
  readonly rounds: number;
  readonly warmUpSeconds: number;
}

const STARTS = 3;
export const SMALL_BOUND = 1000;
const FIRST_SIGHT = { perSecond: 50, warmups: 250 };

export async function measureGateways(
  world: BenchWorld,
  vault: MadeVault,
  settings: GatewayRounds,
  say: (line: string) => void,
): Promise<GatewayResults> {
  const { directory } = world;
  let stores = 0;
  const open = async (seen: 'all' | 'none', cacheEntries?: number) => {
    const storeFile = join(directory, `gateway-${++stores}`, 'hermesbridge.db');
    await mkdir(dirname(storeFile));
    if (seen === 'all') await copyFile(vault.seenFile, `${storeFile}-logs`, constants.COPYFILE_FICLONE);
    const program = { directory, vaultFile: vault.file, origin: vault.fleet.origin, operatorDid: vault.operator.did };
    const startedAt = performance.now();
    const gateway = await startGateway({ ...program, storeFile, cacheEntries });
    world.onStop(gateway.stop);
    await firstCheck(gateway.socket);
    const seconds = (performance.now() - startedAt) / 1000;
    const close = async () => {
      await gateway.stop();
      await rm(dirname(storeFile), { recursive: true });
    };
    return { gateway, seconds, close };
  };
  const turn = (gateway: Hermesbridge, which: 'few' | 'all', changes: Partial<TurnSettings> = {}) =>
    runTurn(world, gateway, vault, which === 'few' ? fewOf(vault) : anyOf(vault), { ...settings, ...changes });

  const starts: number[] = [];
  for (let start = 1; start < STARTS; start++) {
    const { seconds, close } = await open('all');
    starts.push(seconds);
    await close();
  }
  const first = await open('all');
  starts.push(first.seconds);
  const untilAtRest = await untilIdle(first.gateway);
  say(
    `start to first answered Check: ${median(starts).toFixed(2)} s; the store was looked through ${untilAtRest.toFixed(0)} s later`,
  );
  await warmUp(world, vault, anyOf(vault), settings.warmUpSeconds);
  const few: Turn[] = [];
  const all: Turn[] = [];
  for (let round = -1; round < settings.rounds; round++) {
    const order = round % 2 === 0 ? (['few', 'all'] as const) : (['all', 'few'] as const);
    for (const which of order) {
      const measured = await turn(first.gateway, which);
      // In the first round the caches are filled.
      if (round >= 0) (which === 'few' ? few : all).push(measured);
      say(`${round < 0 ? 'to warm up' : `round ${round + 1} of ${settings.rounds}`}, ${which}: ${shown(measured)}`);
    }
  }
  const memory = await usedMemory(first.gateway);
  await first.close();

  const small = await open('all', SMALL_BOUND);
  await untilIdle(small.gateway);
  await warmUp(world, vault, anyOf(vault), settings.warmUpSeconds);
  const after = async (which: 'few' | 'all') => {
    say(`with ${SMALL_BOUND} entries, ${which}: ${shown(await turn(small.gateway, which))}`);
    return usedMemory(small.gateway);
  };
  const bounded = { entries: SMALL_BOUND, few: await after('few'), all: await after('all') };
  await small.close();

  const unknowing = await open('none');
  await untilIdle(unknowing.gateway);
  const perSecond = Math.min(settings.perSecond, FIRST_SIGHT.perSecond);
  const firstSight = await turn(unknowing.gateway, 'all', { ...FIRST_SIGHT, perSecond });
  say(`at first sight, ${perSecond} per second: ${shown(firstSight)}`);
  await unknowing.close();
  return { start: { seconds: starts, untilAtRest }, few, all, memory, bounded, firstSight };
}

function shown({ p50Ms, p99Ms, cpuPerDecisionMicros }: Turn): string {
  return `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, CPU ${cpuPerDecisionMicros.toFixed(0)} µs/decision`;
}

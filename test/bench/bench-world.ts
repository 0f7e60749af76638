// What every measurement needs, started once: a directory, credentials, Envoy, the upstream that streams, the load generator.

import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { locateEnvoy } from '../../src/envoy/locate-envoy.ts';
import type { RunningEnvoy } from '../../src/envoy/run-envoy.ts';
import { startBenchEnvoy } from './bench-envoy.ts';
import { type BenchCredentials, makeCredentials } from './credentials.ts';
import { type Hermesbridge, type HermesbridgeSettings, startHermesbridge } from './hermesbridge.ts';
import { type Load, startLoad } from './load.ts';
import { stopOnSignal } from './run-bench.ts';
import { startStreamUpstream } from './stream-upstream.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
  readonly envoy: string;
  /** Where the store's file lies: a sync of `memory` costs nothing, so its numbers say less. */
  readonly store: 'disk' | 'memory';
}

export interface BenchWorld {
  readonly machine: Machine;
  readonly directory: string;
  readonly credentials: BenchCredentials;
  readonly envoy: RunningEnvoy;
  readonly load: Load;
  readonly sockets: { readonly okOnly: string; readonly opaEnvoy: string };
  /** Our service on an empty store; one at a time, stopped with the rest if not before. */
  hermesbridge(settings?: Pick<HermesbridgeSettings, 'signature' | 'patienceMillis' | 'probe' | 'flags'>): Promise<Hermesbridge>;
  /** The end of what our service wrote, for a run that is void. */
  log(): string;
  /** A name for a store that is not there yet. */
  newStore(): string;
  /** Adds to what {@link stop} stops, last first. */
  onStop(stop: () => Promise<unknown>): void;
  stop(): Promise<void>;
}

/** @param links number of links in the chain of `credentials.delegated` @param cutStreams whether responses are watched over */
export async function startBenchWorld(links = 0, cutStreams = true): Promise<BenchWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-bench-'));
  const stops: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= stopAll(stops));
  stopOnSignal(stop);
  try {
    const envoyPath = await envoyBinary();
    const credentials = await makeCredentials(links);
    const streaming = await startStreamUpstream();
    stops.push(streaming.stop);
    const sockets = { okOnly: join(directory, 'ok.sock'), opaEnvoy: join(directory, 'opa.sock') };
    let stores = 0;
    const newStore = () => `store-${++stores}/hermesbridge.db`;
    let ours: Hermesbridge | undefined;
    const hermesbridge: BenchWorld['hermesbridge'] = async (settings = {}) => {
      ours = await startHermesbridge({ directory, credentials, store: newStore(), ...settings });
      stops.push(ours.stop);
      return ours;
    };
    // It writes the provider's key that Envoy reads; Envoy itself finds the service whenever it is there.
    await (await hermesbridge()).stop();
    const envoy = await startBenchEnvoy({
      envoy: { kind: 'binary', path: envoyPath },
      directory,
      streamPort: streaming.port,
      jwks: credentials.jwks,
      sockets,
      cutStreams,
    });
    stops.push(envoy.stop);
    const load = startLoad();
    stops.push(load.stop);
    const machine = await describeMachine(envoyPath, directory);
    return {
      machine,
      directory,
      credentials,
      envoy,
      load,
      sockets,
      hermesbridge,
      newStore,
      log: () => ours?.log() ?? '',
      onStop: (add) => stops.push(add),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function stopAll(stops: (() => Promise<unknown>)[]): Promise<void> {
  for (let last = stops.pop(); last !== undefined; last = stops.pop()) await last();
}

const TMPFS = 0x01021994;

async function envoyBinary(): Promise<string> {
  const found = await locateEnvoy({ onProgress: (line) => process.stderr.write(`${line}\n`) });
  if (found.kind !== 'binary') throw new Error('the bench reads the CPU time of Envoy: set ENVOY_BIN to a binary');
  return found.path;
}

/** @param directory where stores are put */
export async function describeMachine(envoyPath: string, directory: string): Promise<Machine> {
  const version = /version: [0-9a-f]*\/([\d.]+)/.exec(execFileSync(envoyPath, ['--version'], { encoding: 'utf8' }))?.[1];
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    envoy: version ?? 'unknown',
    store: (await statfs(directory)).type === TMPFS ? 'memory' : 'disk',
  };
}

/** The machine, with the Envoy that is found on it. @throws where it is not one that runs here */
export async function machineWithEnvoy(): Promise<Machine> {
  return describeMachine(await envoyBinary(), tmpdir());
}

/** For the head of a report. */
export function machineLine({ cpu, cores, memoryGiB, platform, node, envoy, store }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}, Envoy ${envoy}; the stores lie on ${store}`;
}

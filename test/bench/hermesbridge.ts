// Our own service as the bench runs it: the program's `serve`, with its embedded store on disk and its defaults, and on request
// with a probe inside that reads the heap or takes a CPU profile. It is what users install: `npm run bench` builds it first.

import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type BenchCredentials, GATEWAY_NAME } from './credentials.ts';
import type { FromProbe, ToProbe } from './probe.ts';
import { type Program, startProgram, untilListening } from './program.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PROBE = new URL('./probe.ts', import.meta.url).href;

export interface HermesbridgeSettings {
  /** Of the configuration, the socket and the provider's key. */
  readonly directory: string;
  /** Of the store's file: each start with a new name begins with an empty store. */
  readonly store: string;
  readonly credentials: BenchCredentials;
  readonly signature?: { readonly maxLifetimeSeconds: number; readonly clockSkewSeconds: number };
  /** Most milliseconds that a decision may wait for the disk; the default denies on a machine that is busy for long. */
  readonly patienceMillis?: number;
  readonly probe?: boolean;
  /** Further flags of Node's, to try what they do. */
  readonly flags?: readonly string[];
}

export interface Hermesbridge extends Program {
  readonly socket: string;
  /** Asks the probe, which must be in it. */
  ask<Kind extends FromProbe['kind']>(kind: Kind): Promise<Extract<FromProbe, { kind: Kind }>>;
}

export const serviceSocket = (directory: string) => join(directory, 'verify.sock');
export const providerKeyFile = (directory: string) => join(directory, 'provider.key');

/** Starts it without waiting; {@link startHermesbridge} waits. */
export async function spawnHermesbridge(settings: HermesbridgeSettings): Promise<Hermesbridge> {
  const { directory, credentials } = settings;
  const credential = { file: providerKeyFile(directory) };
  const provider = { api: 'openai', upstream: 'http://127.0.0.1:9/', credential }; // Envoy's routes are the bench's own
  const patience = settings.patienceMillis;
  const verify = {
    service: { listen: `unix:${serviceSocket(directory)}`, ...(patience && { deadlineMillis: patience }) },
    gateway: { names: [GATEWAY_NAME] },
    trust: { operators: [{ did: credentials.operatorDid, vouchesForAgents: true }] },
    providers: { openai: provider, streaming: provider },
    store: { file: join(directory, settings.store), ...(patience && { recordTimeoutMillis: patience }) },
    // All the load comes from one key, which in earnest would be many.
    nonce: { perKeyLimit: 10_000_000 },
    ...(settings.signature && { signature: settings.signature }),
  };
  await writeFile(credential.file, 'sk-bench-0123456789\n', { mode: 0o600 });
  return { ...(await spawnServe({ verify }, settings)), socket: serviceSocket(directory) };
}

/** The program's `serve`, or with `up` its own Envoy too, with a configuration of one's own. */
export async function spawnServe(
  configuration: object,
  { directory, flags = [], probe = false }: Pick<HermesbridgeSettings, 'directory' | 'flags' | 'probe'>,
  command: 'serve' | 'up' = 'serve',
): Promise<Omit<Hermesbridge, 'socket'>> {
  const file = join(directory, 'hermesbridge.yaml');
  await writeFile(file, stringify(configuration));
  const program = startProgram(process.execPath, [
    ...flags,
    ...(probe ? ['--expose-gc', '--import', PROBE] : []),
    ...[MAIN, command, '--config', file],
  ]);
  return {
    ...program,
    ask: async (kind) => {
      program.child.send({ kind } satisfies ToProbe);
      const [answer] = (await once(program.child, 'message')) as [Extract<FromProbe, { kind: typeof kind }>];
      return answer;
    },
  };
}

export async function startHermesbridge(settings: HermesbridgeSettings): Promise<Hermesbridge> {
  const service = await spawnHermesbridge(settings);
  await untilListening(service, service.socket);
  return service;
}

// The program as the bench of the vault runs it: the roles `control` and `verify` in one process, on a vault that was made before.

import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GATEWAY_NAME } from '../credentials.ts';
import { type Hermesbridge, providerKeyFile, serviceSocket, spawnServe } from '../hermesbridge.ts';
import { untilListening } from '../program.ts';

export interface VaultProgramSettings {
  /** Of the configuration, the sockets and the provider's key. */
  readonly directory: string;
  readonly vaultFile: string;
  readonly origin: string;
  readonly operatorDid: string;
}

export interface GatewaySettings extends VaultProgramSettings {
  /** Of records and nonces; what is remembered of logs stands beside it. */
  readonly storeFile: string;
  /** `resolution.cacheEntries` and `chain.cacheEntries`; the defaults without it. */
  readonly cacheEntries?: number | undefined;
}

/** Reading through the keys of a million agents takes longer than a start otherwise does. */
const START_TIMEOUT_MILLIS = 120_000;
/** Latency is measured, not a deadline: a machine that is busy for a moment must not void a run. */
const PATIENCE_MILLIS = 5000;

export const controlSocket = (directory: string) => join(directory, 'control.sock');

export async function startVault(settings: VaultProgramSettings): Promise<Omit<Hermesbridge, 'socket'>> {
  const { directory } = settings;
  const program = await spawnServe({ control: controlSection(settings) }, { directory });
  await untilListening(program, controlSocket(directory), START_TIMEOUT_MILLIS);
  return program;
}

export async function startGateway(settings: GatewaySettings): Promise<Hermesbridge> {
  const { directory, storeFile, operatorDid, cacheEntries } = settings;
  await mkdir(dirname(storeFile), { recursive: true });
  const bounds = cacheEntries === undefined ? {} : { cacheEntries };
  const verify = {
    service: { listen: `unix:${serviceSocket(directory)}`, deadlineMillis: PATIENCE_MILLIS },
    gateway: { names: [GATEWAY_NAME] },
    trust: { operators: [{ did: operatorDid }] },
    // Envoy's routes are the bench's own.
    providers: { openai: { api: 'openai', upstream: 'http://127.0.0.1:9/', credential: { file: providerKeyFile(directory) } } },
    store: { file: storeFile, recordTimeoutMillis: PATIENCE_MILLIS },
    resolution: bounds,
    chain: bounds,
  };
  const program = await spawnServe({ control: controlSection(settings), verify }, { directory, probe: true });
  const socket = serviceSocket(directory);
  await untilListening(program, socket, START_TIMEOUT_MILLIS);
  return { ...program, socket };
}

function controlSection({ directory, vaultFile, origin, operatorDid }: VaultProgramSettings) {
  return {
    service: { listen: `unix:${controlSocket(directory)}` },
    origin,
    operators: [operatorDid],
    store: { file: vaultFile },
  };
}

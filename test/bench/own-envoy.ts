// Gateways as the program's `up` runs them, each with an Envoy of its own and a store of its own, and the vault beside them: for
// benches that need more than one gateway. Envoy and the service are configured by the program, as its users have it.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { GATEWAY_NAME } from './credentials.ts';
import { type Hermesbridge, providerKeyFile, serviceSocket, spawnServe } from './hermesbridge.ts';
import { monotonic } from './monotonic.ts';
import { untilListening } from './program.ts';
import { openWirePool } from './wire-pool.ts';

export interface GatewaySettings {
  /** Of its own: the configuration, the sockets, the store. */
  readonly directory: string;
  readonly operatorDid: string;
  readonly providerPort: number;
  /** Merged over the section. */
  readonly verify?: Readonly<Record<string, unknown>>;
  /** The section of a vault in the same process. */
  readonly control?: Readonly<Record<string, unknown>>;
  /** Whether its heap can be asked for. */
  readonly probe?: boolean;
}

export interface Gateway extends Hermesbridge {
  /** Of its Envoy. */
  readonly port: number;
}

/** Latency is measured, not a deadline: a machine that is busy for a moment must not void a run. */
export const PATIENCE_MILLIS = 5000;
/** The same of Redis. */
export const PATIENT_REDIS = { commandTimeoutMillis: 3000 };
/** Reading what a million restrictions and nonces left behind takes longer than a start otherwise does. */
const START_TIMEOUT_MILLIS = 180_000;

export const storeFile = (directory: string) => join(directory, 'hermesbridge.db');

/** Starts it without waiting. */
export async function spawnGateway(settings: GatewaySettings): Promise<Gateway> {
  const { directory, operatorDid, providerPort, verify, control, probe = false } = settings;
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  const credential = { file: providerKeyFile(directory) };
  await writeFile(credential.file, 'sk-bench-0123456789\n', { mode: 0o600 });
  const section = {
    service: { listen: `unix:${serviceSocket(directory)}`, deadlineMillis: PATIENCE_MILLIS },
    gateway: { names: [GATEWAY_NAME] },
    trust: { operators: [{ did: operatorDid, vouchesForAgents: true }] },
    providers: { openai: { api: 'openai', upstream: `http://127.0.0.1:${providerPort}/`, credential } },
    store: { file: storeFile(directory), recordTimeoutMillis: PATIENCE_MILLIS },
    // All the load comes from a few keys, which in earnest would be many.
    nonce: { perKeyLimit: 10_000_000 },
    envoy: { listen: `127.0.0.1:${port}`, concurrency: 1, directory: join(directory, 'envoy') },
    ...verify,
  };
  // What is denied is part of the load, and a line for each would be read by the bench.
  const log = { level: 'warn' };
  const configuration = { verify: section, ...(control && { control }), log };
  const program = await spawnServe(configuration, { directory, probe }, 'up');
  return { ...program, port, socket: serviceSocket(directory) };
}

/** Starts one and waits until it allows a request. @param chat makes one that is to be allowed */
export async function startGateway(settings: GatewaySettings, chat: () => Buffer): Promise<Gateway> {
  const gateway = await spawnGateway(settings);
  try {
    await untilAllowed(gateway, chat);
    return gateway;
  } catch (error) {
    await gateway.stop();
    throw error;
  }
}

const AGAIN_MILLIS = 10;

/** @returns when its first request was allowed, on the machine's monotonic clock @throws with its log when it never does */
export async function untilAllowed(gateway: Gateway, chat: () => Buffer): Promise<number> {
  await untilListening(gateway, gateway.socket, START_TIMEOUT_MILLIS);
  const deadline = monotonic() + START_TIMEOUT_MILLIS;
  for (let last: unknown; ; ) {
    try {
      const pool = await openWirePool(gateway.port, 1);
      try {
        for (;;) {
          const { status, answeredAt } = await pool.send(chat());
          if (status === 200) return answeredAt;
          last = status;
          await sleep(AGAIN_MILLIS);
          if (monotonic() > deadline) break;
        }
      } finally {
        pool.close();
      }
    } catch (error) {
      last = error;
    }
    if (monotonic() > deadline || gateway.child.exitCode !== null)
      throw new Error(`${gateway.socket}: no request is allowed (${last}):\n${gateway.log()}`);
    await sleep(AGAIN_MILLIS);
  }
}

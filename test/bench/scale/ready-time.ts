// From the start of a replica's program, with an empty store of its own, until it serves: by its health service, and by the first
// request that is allowed through its Envoy.

import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { monotonic } from '../monotonic.ts';
import { type GatewaySettings, spawnGateway, untilAllowed } from '../own-envoy.ts';
import { untilListening } from '../program.ts';

/** Seconds. */
export interface Ready {
  readonly serving: number;
  readonly firstAllowed: number;
}

/** Starts one, and ends it again. */
export async function measureReady(settings: GatewaySettings, chat: () => Buffer): Promise<Ready> {
  const startedAt = monotonic();
  const gateway = await spawnGateway(settings);
  try {
    const [servingAt, allowedAt] = await Promise.all([
      untilListening(gateway, gateway.socket, 180_000).then(() => untilServing(gateway.socket)),
      untilAllowed(gateway, chat),
    ]);
    return { serving: (servingAt - startedAt) / 1000, firstAllowed: (allowedAt - startedAt) / 1000 };
  } finally {
    await gateway.stop();
    await rm(settings.directory, { recursive: true, force: true });
  }
}

const METHOD = '/grpc.health.v1.Health/Check';
/** HealthCheckResponse with `status: SERVING`. */
const SERVING = Buffer.from([0x08, 0x01]);
const AGAIN_MILLIS = 10;
const LONGEST_MILLIS = 180_000;

async function untilServing(socket: string): Promise<number> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  const ask = () =>
    new Promise<Buffer | undefined>((resolve) => {
      client.makeUnaryRequest(METHOD, same, same, Buffer.alloc(0), (_, answer) => resolve(answer));
    });
  try {
    for (const end = monotonic() + LONGEST_MILLIS; monotonic() < end; await sleep(AGAIN_MILLIS)) {
      if ((await ask())?.equals(SERVING)) return monotonic();
    }
    throw new Error(`${socket} is not SERVING after ${LONGEST_MILLIS / 1000} s`);
  } finally {
    client.close();
  }
}

// From the start of the program to its first answered Check, on an empty store.

import { Client, credentials as grpcCredentials } from '@grpc/grpc-js';
import type { BenchWorld } from './bench-world.ts';
import { spawnHermesbridge } from './hermesbridge.ts';
import { median } from './median.ts';
import { untilListening } from './program.ts';

const STARTS = 5;
const METHOD = '/envoy.service.auth.v3.Authorization/Check';

/** Median milliseconds. No other service of ours may be running. */
export async function measureStart(world: BenchWorld): Promise<number> {
  const millis: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const settings = { directory: world.directory, credentials: world.credentials, store: world.newStore() };
    const startedAt = performance.now();
    const service = await spawnHermesbridge(settings);
    try {
      // grpc-js waits a second after a refused connection, so it dials once there is someone to answer.
      await untilListening(service, service.socket);
      await firstCheck(service.socket);
      millis.push(performance.now() - startedAt);
    } finally {
      await service.stop();
    }
  }
  return median(millis);
}

/** Any answer will do: an empty CheckRequest is denied. */
export function firstCheck(socket: string): Promise<void> {
  const client = new Client(`unix:${socket}`, grpcCredentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  return new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest(METHOD, same, same, Buffer.alloc(0), (error) => (error ? reject(error) : resolve()));
  }).finally(() => client.close());
}

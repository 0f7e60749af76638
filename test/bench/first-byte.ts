// Time to the first streamed byte through the same Envoy, with our service and without, in turns on one connection each.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { BenchWorld } from './bench-world.ts';
import { chatBody, STREAM_PATH } from './credentials.ts';
import { VoidRun } from './load.ts';
import { median } from './median.ts';
import { requestSigner } from './signed-request.ts';

const WARMUP = 50;
const REQUESTS = 300;

export interface FirstByte {
  readonly withMs: number;
  readonly withoutMs: number;
  readonly differenceMs: number;
}

/** Our service must be running. @throws {VoidRun} */
export async function measureFirstByte({ envoy, credentials }: BenchWorld): Promise<FirstByte> {
  const order = { key: credentials.agentKey, capability: credentials.capability, lifetimeSeconds: 60 };
  const sign = requestSigner({ path: STREAM_PATH, body: chatBody(1024, true) }, order);
  const requests = Array.from({ length: 2 * (WARMUP + REQUESTS) }, sign);
  const lines = await Promise.all(['gateway', 'plain'].map((listener) => open(envoy.ports[listener] ?? 0)));
  const millis: number[][] = [[], []];
  for (const [at, request] of requests.entries()) {
    const which = at % 2;
    const socket = lines[which];
    if (socket === undefined) continue;
    const taken = await ask(socket, request);
    if (at >= 2 * WARMUP) millis[which]?.push(taken);
  }
  for (const socket of lines) socket.destroy();
  const [withMs, withoutMs] = [median(millis[0] ?? []), median(millis[1] ?? [])];
  return { withMs, withoutMs, differenceMs: withMs - withoutMs };
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** Milliseconds until the first event; resolves when the answer is whole. */
function ask(socket: Socket, request: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    let firstAt = 0;
    const sentAt = performance.now();
    const hear = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.startsWith('HTTP/1.1 200')) return reject(new VoidRun(`a stream was not answered with 200:\n${text}`));
      if (firstAt === 0 && text.includes('data:')) firstAt = performance.now();
      if (!text.endsWith('\r\n0\r\n\r\n')) return;
      socket.off('data', hear);
      resolve(firstAt - sentAt);
    };
    socket.on('data', hear);
    socket.write(request);
  });
}

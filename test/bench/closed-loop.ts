// HTTP/1.1 over raw sockets: every connection sends its next request when the last one is answered. The requests are ready-made
// bytes and an answer is only looked at for its status and length, so that the generator costs far less than what it measures.

import { connect, type Socket } from 'node:net';
import { cpuMicros } from './cpu-time.ts';
import type { RunOrder, RunResult } from './load-protocol.ts';

/** @param next the next request, or `undefined` when there is none left. @throws when an answer is not 200. */
export async function closedLoop(order: RunOrder, next: () => Buffer | undefined): Promise<RunResult> {
  const sockets = await Promise.all(Array.from({ length: order.connections }, () => open(order.port)));
  const latencies: number[] = [];
  let startedAt = 0;
  let cpuBefore: number[] = [];
  const readCpu = () => order.pids.map(cpuMicros);
  const warmUntil = performance.now() + order.warmupMillis;

  try {
    return await new Promise<RunResult>((resolve, reject) => {
      let ended = false;
      let inFlight = 0;
      let result: RunResult | undefined;
      const send = (exchange: Exchange) => {
        const request = ended ? undefined : next();
        if (request === undefined) end();
        else {
          inFlight++;
          exchange.sentAt = performance.now();
          exchange.socket.write(request);
        }
        // Nothing is torn off in the middle: that would be another kind of decision.
        if (inFlight === 0 && result !== undefined) resolve(result);
      };
      const end = () => {
        if (ended) return;
        ended = true;
        const seconds = (performance.now() - startedAt) / 1000;
        if (startedAt === 0) return reject(new Error('the requests were used up before the interval began'));
        const after = readCpu();
        const cpu = after.map((micros, at) => micros - (cpuBefore[at] ?? 0));
        result = { decisions: latencies.length, seconds, ...percentiles(latencies), cpuMicros: cpu };
      };
      const answered = (exchange: Exchange) => {
        const now = performance.now();
        inFlight--;
        if (startedAt > 0 && !ended) latencies.push(now - exchange.sentAt);
        if (startedAt === 0 && now >= warmUntil) {
          cpuBefore = readCpu();
          startedAt = performance.now();
        } else if (startedAt > 0 && now >= startedAt + order.millis) end();
        send(exchange);
      };
      for (const socket of sockets) send(makeExchange(socket, answered, reject));
    });
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

interface Exchange {
  readonly socket: Socket;
  sentAt: number;
}

function makeExchange(socket: Socket, answered: (exchange: Exchange) => void, reject: (error: Error) => void): Exchange {
  const exchange: Exchange = { socket, sentAt: 0 };
  let received: Buffer = NOTHING;
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const headEnd = received.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const head = received.latin1Slice(0, headEnd);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    if (length !== undefined && received.length < headEnd + 4 + Number(length)) return;
    if (length === undefined || !head.startsWith('HTTP/1.1 200')) return reject(new Error(`an answer was not 200:\n${received}`));
    received = NOTHING;
    answered(exchange);
  });
  socket.on('error', reject).on('close', () => reject(new Error('Envoy closed a connection')));
  return exchange;
}

const NOTHING = Buffer.alloc(0);

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true }, () => resolve(socket)).once('error', reject);
  });
}

function percentiles(latencies: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

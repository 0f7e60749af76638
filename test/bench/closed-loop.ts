// Every connection sends its next request when the last one is answered: what a service can do at most.

import { cpuMicros } from './cpu-time.ts';
import { type Exchange, makeExchange, openConnections } from './http-exchange.ts';
import type { RunOrder, RunResult } from './load-protocol.ts';
import { percentiles } from './percentiles.ts';

/** @param next the next request, or `undefined` when there is none left. @throws when an answer is not 200. */
export async function closedLoop(order: RunOrder, next: () => Buffer | undefined): Promise<RunResult> {
  const sockets = await openConnections(order.port, order.connections);
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
        const { p50: p50Ms, p99: p99Ms } = percentiles(latencies);
        result = { decisions: latencies.length, seconds, p50Ms, p99Ms, cpuMicros: cpu };
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

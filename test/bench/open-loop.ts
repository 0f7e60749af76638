// Requests at a fixed rate, as callers send them who know nothing of each other: one that is slow holds back none of the others.

import { cpuMicros } from './cpu-time.ts';
import { type Exchange, makeExchange, openConnections } from './http-exchange.ts';
import type { RunOrder, RunResult } from './load-protocol.ts';
import { percentiles } from './percentiles.ts';

/** Requests that wait for a connection: with more, the rate is one that cannot be served. */
const MOST_WAITING = 1000;

interface Due {
  readonly request: Buffer;
  /** When it was handed over, on the clock of `performance`; from then on it waits, on a connection or for one. */
  readonly at: number;
  readonly measured: boolean;
}

/**
 * @param next the next request, or `undefined` when there is none left
 * @throws when an answer is not 200, when the rate cannot be served, and when the requests do not last
 */
export async function openLoop(
  order: RunOrder & { readonly perSecond: number },
  next: () => Buffer | undefined,
): Promise<RunResult> {
  const sockets = await openConnections(order.port, order.connections);
  const interval = 1000 / order.perSecond;
  const warmups = Math.ceil(order.warmupMillis / interval);
  const total = warmups + Math.floor(order.millis / interval);
  const latencies: number[] = [];
  const late: number[] = [];
  const waiting: Due[] = [];
  const idle: Exchange[] = [];
  const underWay = new Map<Exchange, Due>();
  const readCpu = () => order.pids.map(cpuMicros);
  let timer: NodeJS.Timeout | undefined;

  try {
    return await new Promise<RunResult>((resolve, reject) => {
      let planned = 0;
      let cpuBefore: number[] = [];
      let measuredFrom = 0;
      const startAt = performance.now();

      const sendWhatWaits = () => {
        for (let exchange = idle.pop(); exchange !== undefined; exchange = idle.pop()) {
          const due = waiting.shift();
          if (due === undefined) return void idle.push(exchange);
          underWay.set(exchange, due);
          exchange.socket.write(due.request);
        }
      };
      const answered = (exchange: Exchange) => {
        const due = underWay.get(exchange);
        underWay.delete(exchange);
        if (due?.measured) latencies.push(performance.now() - due.at);
        idle.push(exchange);
        sendWhatWaits();
        if (planned === total && underWay.size === 0) end();
      };
      const end = () => {
        const seconds = (performance.now() - measuredFrom) / 1000;
        const cpu = readCpu().map((micros, at) => micros - (cpuBefore[at] ?? 0));
        const { p50: p50Ms, p99: p99Ms } = percentiles(latencies);
        resolve({ decisions: latencies.length, seconds, p50Ms, p99Ms, cpuMicros: cpu, lateP99Ms: percentiles(late).p99 });
      };
      const tick = () => {
        for (; planned < total && startAt + planned * interval <= performance.now(); planned++) {
          const request = next();
          if (request === undefined) return reject(new Error('the requests were used up before the interval ended'));
          if (waiting.length > MOST_WAITING)
            return reject(new Error(`${order.perSecond} requests per second are not answered in time`));
          const measured = planned >= warmups;
          if (planned === warmups) {
            cpuBefore = readCpu();
            measuredFrom = performance.now();
          }
          const at = performance.now();
          if (measured) late.push(at - (startAt + planned * interval));
          waiting.push({ request, at, measured });
          sendWhatWaits();
        }
        if (planned < total) timer = setTimeout(tick, startAt + planned * interval - performance.now());
      };
      for (const socket of sockets) idle.push(makeExchange(socket, answered, reject));
      tick();
    });
  } finally {
    clearTimeout(timer);
    for (const socket of sockets) socket.destroy();
  }
}

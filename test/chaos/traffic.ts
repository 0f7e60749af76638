// The traffic as a run drives it; everything that it sent and that arrived is kept.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Arrival, Flow, FromTraffic, Sent, ToTraffic, TrafficSettings } from './traffic-protocol.ts';

export interface Traffic {
  readonly upstreamPort: number;
  /** All since the world began. */
  readonly sent: Sent[];
  readonly arrivals: Arrival[];
  start(flow: Flow): void;
  /** Sends no more; resolves when every request has its answer, or none. */
  end(): Promise<void>;
  stop(): Promise<void>;
}

export async function startTraffic(settings: TrafficSettings): Promise<Traffic> {
  const worker = new Worker(new URL('./traffic-thread.ts', import.meta.url), { workerData: settings });
  const [{ upstreamPort }] = (await once(worker, 'message')) as [{ upstreamPort: number }];
  const [sent, arrivals]: [Sent[], Arrival[]] = [[], []];
  let ended = Promise.withResolvers<void>();
  worker.on('error', (error) => ended.reject(error));
  worker.on('message', (message: FromTraffic) => {
    if ('sent' in message) {
      sent.push(...message.sent);
      arrivals.push(...message.arrivals);
    } else if ('ended' in message) ended.resolve();
  });
  const say = (message: ToTraffic) => worker.postMessage(message);
  return {
    upstreamPort,
    sent,
    arrivals,
    start: (flow) => say({ flow }),
    end: async () => {
      ended = Promise.withResolvers<void>();
      say({ end: true });
      await ended.promise;
    },
    stop: async () => void (await worker.terminate()),
  };
}

/** Milliseconds since the epoch on the clock of {@link Sent}. */
export function epochMillis(): number {
  return performance.timeOrigin + performance.now();
}

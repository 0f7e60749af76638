// First entries of many agents, made by two threads.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { AuthoringOrder } from './authoring-thread.ts';
import type { Authored, FleetSettings } from './fleet.ts';

const THREADS = 2;
const AT_A_TIME = 500;

/** Agents from a number up to another one, in order, some hundred at a time. */
export async function* authorAgents(fleet: FleetSettings, from: number, to: number): AsyncGenerator<readonly Authored[]> {
  const threads = Array.from(
    { length: THREADS },
    () => new Worker(new URL('./authoring-thread.ts', import.meta.url), { workerData: fleet }),
  );
  try {
    let ordered = from;
    const order = (thread: Worker): Promise<readonly Authored[]> | undefined => {
      if (ordered >= to) return undefined;
      const next: AuthoringOrder = { from: ordered, to: Math.min(to, ordered + AT_A_TIME) };
      ordered = next.to;
      thread.postMessage(next);
      return once(thread, 'message').then(([authored]) => authored as readonly Authored[]);
    };
    // Each thread is a batch ahead of whoever takes them.
    const underWay = threads.map((thread) => ({ thread, batch: order(thread) }));
    for (let turn = underWay.shift(); turn !== undefined; turn = underWay.shift()) {
      if (turn.batch === undefined) continue;
      const authored = await turn.batch;
      underWay.push({ thread: turn.thread, batch: order(turn.thread) });
      yield authored;
    }
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

/** The same, all of them at once. */
export async function authorAll(fleet: FleetSettings, from: number, to: number): Promise<Authored[]> {
  const all: Authored[] = [];
  for await (const some of authorAgents(fleet, from, to)) all.push(...some);
  return all;
}

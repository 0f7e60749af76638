// Makes first entries, a range of agents at a time.

import { parentPort, workerData } from 'node:worker_threads';
import { type Authored, type FleetSettings, makeFleet } from './fleet.ts';

export interface AuthoringOrder {
  readonly from: number;
  readonly to: number;
}

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const fleet = makeFleet(workerData as FleetSettings);

port.on('message', ({ from, to }: AuthoringOrder) => {
  const authored: Authored[] = Array.from({ length: to - from }, (_, at) => fleet.agent(from + at));
  port.postMessage(authored);
});

// An answered call is garbage that a young collection takes: what waits for a full one makes full ones frequent, and they are long.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { encodeDeny } from '../../src/ext-authz/build-check-response.ts';
import { startGrpcServer } from '../../src/ext-authz/grpc-server.ts';
import { problem } from '../../src/ext-authz/problem.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
});

const CALLS = 200;
const MESSAGE_BYTES = 32 * 1024;

test('the messages of answered calls are let go of without a full collection', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'closed-streams-'));
  stops.push(() => rm(directory, { recursive: true, force: true }));
  const socket = join(directory, 'verify.sock');
  const server = await startGrpcServer({
    configuration: { listen: `unix:${socket}`, deadlineMillis: 1000, drainSeconds: 0 },
    check: (call, reply) => reply(null, Buffer.from(String(call.request.length))),
    refuseStranger: () => encodeDeny(problem('indeterminate', 'no', 'id', 0)),
    maxRequestBytes: 2 * MESSAGE_BYTES,
  });
  stops.push(server.stop);
  const workerData = { socket, message: new Uint8Array(MESSAGE_BYTES) };
  const caller = new Worker(new URL('./calls-thread.ts', import.meta.url), { workerData });
  stops.push(() => caller.terminate());
  const callMany = async (count: number) => {
    caller.postMessage(count);
    const [statuses] = (await once(caller, 'message')) as [unknown[]];
    expect(new Set(statuses)).toEqual(new Set(['0']));
  };
  await callMany(20);
  collect();
  const before = process.memoryUsage().arrayBuffers;
  await callMany(CALLS);
  // What survives the first of them is in the old generation after the second.
  collect({ type: 'minor' });
  collect({ type: 'minor' });
  const kept = process.memoryUsage().arrayBuffers - before;
  expect(kept).toBeLessThan((CALLS * MESSAGE_BYTES) / 4);
});

// The load generator as a process of its own: batches are signed in its second thread and sent from its first.

import { Worker } from 'node:worker_threads';
import { closedLoop } from './closed-loop.ts';
import type { BatchOrder, FromGenerator, RunOrder, SignedBatch, ToGenerator } from './load-protocol.ts';
import { openLoop } from './open-loop.ts';

const signing = new Worker(new URL('./signing-thread.ts', import.meta.url));
const batches: { take: () => Buffer | undefined }[] = [];
const say = (message: FromGenerator): void => void process.send?.(message);
const sayVoid = (error: unknown) => {
  say({ voided: error instanceof Error ? error.message : String(error) });
};

// The bench is gone.
process.on('disconnect', () => process.exit());
process.on('message', (message: ToGenerator) => {
  if ('prepare' in message) prepare(message.prepare);
  else run(message.run);
});
signing.on('error', sayVoid);

function prepare(order: BatchOrder): void {
  signing.once('message', (batch: SignedBatch) => {
    batches.push({ take: taker(batch, order.count) });
    say({ prepared: order.count });
  });
  signing.postMessage(order);
}

function run(order: RunOrder): void {
  const batch = batches.shift();
  if (batch === undefined) sayVoid('run before prepare');
  else {
    const { perSecond } = order;
    const running = perSecond === undefined ? closedLoop(order, batch.take) : openLoop({ ...order, perSecond }, batch.take);
    running.then((ran) => say({ ran }), sayVoid);
  }
}

function taker({ bytes, ends }: SignedBatch, count: number): () => Buffer | undefined {
  const all = Buffer.from(bytes.buffer);
  let taken = 0;
  return () => {
    if (taken === count) return undefined;
    const at = taken++ % ends.length;
    return all.subarray(at === 0 ? 0 : ends[at - 1], ends[at]);
  };
}

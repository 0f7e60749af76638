// The load generator's second thread: signs the next batch while the last one is sent, or before anything is measured.

import { parentPort } from 'node:worker_threads';
import type { BatchOrder, SignedBatch } from './load-protocol.ts';
import { requestBytes, requestSigner } from './signed-request.ts';
import { fleetSigner } from './vault/fleet-signer.ts';

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');

port.on('message', async (order: BatchOrder) => {
  const batch = await makeBatch(order);
  port.postMessage(batch, [batch.bytes.buffer, batch.ends.buffer]);
});

async function makeBatch(order: BatchOrder): Promise<SignedBatch> {
  const make = await makerOf(order);
  // A bearer request is the same every time, and the generator starts again where a batch of one ends.
  const length = 'bearer' in order.credential ? 1 : order.count;
  const requests = Array.from({ length }, (_, at) => make(at));
  const bytes = new Uint8Array(requests.reduce((sum, request) => sum + request.length, 0));
  const ends = new Uint32Array(requests.length);
  let end = 0;
  for (const [at, request] of requests.entries()) {
    bytes.set(request, end);
    end += request.length;
    ends[at] = end;
  }
  return { bytes, ends };
}

async function makerOf(order: BatchOrder): Promise<(at: number) => Buffer> {
  const { credential } = order;
  if ('bearer' in credential) return () => requestBytes(order, [['authorization', `Bearer ${credential.bearer}`]]);
  return 'fleet' in credential ? fleetSigner(order, credential) : requestSigner(order, credential);
}

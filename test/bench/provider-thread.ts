// The provider of the benches that start gateways with Envoys of their own, in a thread of its own: it says when a request arrived,
// and a chat that asks for a stream gets an event every little while for as long as somebody reads.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { monotonic } from './monotonic.ts';
import { ARRIVED } from './wire-pool.ts';

const EVENT = 'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"OK"}}]}\n\n';
const ANSWER =
  '{"id":"chatcmpl-bench","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"OK"}}]}';
const PAUSE_MILLIS = 50;

// Envoy's connections stay for as long as Envoy wants them: to be closed just when one is used again would look like a failure.
const server = createServer({ noDelay: true, keepAliveTimeout: 0 }, async (request, response) => {
  const arrivedAt = monotonic();
  const body = Buffer.concat(await request.toArray());
  const headers = { [ARRIVED]: arrivedAt.toFixed(3) };
  if (!body.includes('"stream":true')) {
    const json = { ...headers, 'content-type': 'application/json', 'content-length': ANSWER.length };
    response.writeHead(200, json).end(ANSWER);
    return;
  }
  response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' }).write(EVENT);
  const going = setInterval(() => response.write(EVENT), PAUSE_MILLIS);
  response.once('close', () => clearInterval(going));
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));

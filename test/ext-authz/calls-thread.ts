// Calls the service at `workerData.socket` whenever it is told to, from a heap of its own.

import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const { socket, message } = workerData as { socket: string; message: Uint8Array };
const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
const frame = Buffer.alloc(5 + message.length);
frame.writeUInt32BE(message.length, 1);
frame.set(message, 5);

const call = (): Promise<unknown> =>
  new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/envoy.service.auth.v3.Authorization/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let status: unknown;
    stream.on('trailers', (trailers) => {
      status = trailers['grpc-status'];
    });
    stream.on('close', () => resolve(status)).resume();
    stream.end(frame);
  });

parentPort?.on('message', async (count: number) => {
  const statuses = [];
  for (let done = 0; done < count; done++) statuses.push(await call());
  parentPort?.postMessage(statuses);
});

// A provider that streams: the first event as soon as the request is there, the last one a little later.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const EVENT = 'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"OK"}}]}\n\n';
const PAUSE_MILLIS = 5;

export async function startStreamUpstream(): Promise<{ port: number; stop: () => Promise<void> }> {
  const server = createServer({ noDelay: true }, (request, response) => {
    request.resume().once('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(EVENT);
      setTimeout(() => response.end('data: [DONE]\n\n'), PAUSE_MILLIS);
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

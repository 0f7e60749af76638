/** A provider whose every answer the test writes itself: for what the stand-in's even pace cannot show (a fault, a silence, an abort). */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface ScriptedCall {
  readonly request: IncomingMessage;
  readonly body: Buffer;
  readonly response: ServerResponse;
  /** Resolves with the monotonic time at which the connection of this call was closed. */
  readonly closed: Promise<number>;
}

export interface ScriptedProvider extends AsyncDisposable {
  readonly url: string;
  /** The next call, in order of arrival; those that were given up before are passed over. */
  next(): Promise<ScriptedCall>;
  /** How many calls came in all. */
  count(): number;
}

export async function startScriptedProvider(): Promise<ScriptedProvider> {
  const arrived: ScriptedCall[] = [];
  const awaited: ((call: ScriptedCall) => void)[] = [];
  let count = 0;
  const server = createServer(async (request, response) => {
    count += 1;
    const closed = new Promise<number>((resolve) => response.once('close', () => resolve(performance.now())));
    const call = { request, body: await buffer(request), response, closed };
    const waiting = awaited.shift();
    if (waiting) waiting(call);
    else arrived.push(call);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    next: () => {
      let call = arrived.shift();
      while (call?.response.destroyed) call = arrived.shift();
      return call ? Promise.resolve(call) : new Promise((resolve) => awaited.push(resolve));
    },
    count: () => count,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** One event of a Chat Completions stream. */
export function chatEvent(content: string): string {
  const choices = [{ index: 0, delta: { content }, finish_reason: null }];
  return `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 0, model: 'm', choices })}\n\n`;
}

export const CHAT_END = 'data: [DONE]\n\n';

/** A whole Chat Completions answer. */
export function chatAnswer(content: string): string {
  const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }];
  return JSON.stringify({ id: 'c', object: 'chat.completion', created: 0, model: 'm', choices });
}

// One HTTP/1.1 connection of the load generator. Requests are ready-made bytes and an answer is only looked at for its status and
// length, so that the generator costs far less than what it measures.

import { connect, type Socket } from 'node:net';

export interface Exchange {
  readonly socket: Socket;
  /** When its request was sent, on the clock of `performance`. */
  sentAt: number;
}

const NOTHING = Buffer.alloc(0);
const isOk = (head: string) => head.startsWith('HTTP/1.1 200');

/**
 * @param answered called with each answer that is expected, and its head
 * @param reject called with an answer that is not, and when the connection ends
 * @param isExpected by the head of the answer
 */
export function makeExchange(
  socket: Socket,
  answered: (exchange: Exchange, head: string) => void,
  reject: (error: Error) => void,
  isExpected: (head: string) => boolean = isOk,
): Exchange {
  const exchange: Exchange = { socket, sentAt: 0 };
  let received: Buffer = NOTHING;
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const headEnd = received.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const head = received.latin1Slice(0, headEnd);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    if (length !== undefined && received.length < headEnd + 4 + Number(length)) return;
    if (length === undefined || !isExpected(head)) return reject(new Error(`an answer was not as expected:\n${received}`));
    received = NOTHING;
    answered(exchange, head);
  });
  socket.on('error', reject).on('close', () => reject(new Error('Envoy closed a connection')));
  return exchange;
}

export function openConnections(port: number, count: number): Promise<Socket[]> {
  return Promise.all(Array.from({ length: count }, () => open(port)));
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true }, () => resolve(socket)).once('error', reject);
  });
}

// Connections of one gateway that are kept open, over which ready-made requests are sent at any time, whatever their answers are.

import { type Exchange, makeExchange, openConnections } from './http-exchange.ts';
import { VoidRun } from './load.ts';
import { monotonic } from './monotonic.ts';

export interface WireAnswer {
  readonly status: number;
  /** When the request was handed over, and when its answer was there, on the machine's monotonic clock. */
  readonly sentAt: number;
  readonly answeredAt: number;
  /** When an allowed request reached the provider, on the same clock. */
  readonly arrivedAt: number | undefined;
}

export interface WirePool {
  /** @throws when the connection ends without an answer; {VoidRun} when too many wait for one */
  send(request: Buffer): Promise<WireAnswer>;
  close(): void;
}

/** Of the provider (provider-thread.ts). */
export const ARRIVED = 'x-arrived';
/** With more at once, the load is one that cannot be served. */
const MOST_CONNECTIONS = 300;
const STATUS = /^HTTP\/1\.1 (?<status>\d{3})/;
const ARRIVAL = new RegExp(`\r\n${ARRIVED}: (?<at>[\\d.]+)`, 'i');

/** @param connections how many are opened at once; more are, as they are needed */
export async function openWirePool(port: number, connections = 4): Promise<WirePool> {
  const idle: Exchange[] = [];
  const underWay = new Map<Exchange, { readonly resolve: (head: string) => void; readonly reject: (error: Error) => void }>();
  let opened = 0;
  const open = async (count: number) => {
    opened += count;
    if (opened > MOST_CONNECTIONS) throw new VoidRun(`${MOST_CONNECTIONS} requests at once are not answered in time`);
    for (const socket of await openConnections(port, count)) {
      let isLost = false;
      // Called for the error, and again for the end of the connection.
      const lost = (error: Error) => {
        if (isLost) return;
        isLost = true;
        const at = idle.indexOf(exchange);
        if (at !== -1) idle.splice(at, 1);
        underWay.get(exchange)?.reject(error);
        underWay.delete(exchange);
        opened--;
      };
      const answered = (_: Exchange, head: string) => {
        idle.push(exchange);
        underWay.get(exchange)?.resolve(head);
        underWay.delete(exchange);
      };
      const exchange = makeExchange(socket, answered, lost, () => true);
      idle.push(exchange);
    }
  };
  await open(connections);
  return {
    send: async (request) => {
      const sentAt = monotonic();
      while (idle.length === 0) await open(1);
      const exchange = idle.pop() as Exchange;
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      underWay.set(exchange, { resolve, reject });
      exchange.socket.write(request);
      const head = await promise;
      const arrived = ARRIVAL.exec(head)?.groups?.at;
      return {
        status: Number(STATUS.exec(head)?.groups?.status),
        sentAt,
        answeredAt: monotonic(),
        arrivedAt: arrived === undefined ? undefined : Number(arrived),
      };
    },
    close: () => {
      for (const { socket } of [...idle, ...underWay.keys()]) socket.destroy();
    },
  };
}

// A stretch of network that can be bad: it delays, loses connections, is cut, or leads somewhere else.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Weather {
  /** Milliseconds by which the next piece is late. Pieces keep their order, as TCP's do. */
  delay(): number;
  /** Whether the connection ends here. */
  breaks(): boolean;
}

/** Sees what passes on a connection, and may add to what the server says. */
export interface Interposer {
  fromClient(bytes: Buffer): void;
  fromServer(bytes: Buffer): Buffer;
}

export interface ProxiedConnection<I> {
  readonly interposer: I | undefined;
  toClient(bytes: Buffer): void;
  destroy(): void;
}

export interface TcpProxy<I> {
  readonly port: number;
  readonly connections: ReadonlySet<ProxiedConnection<I>>;
  /** Where new connections lead. */
  lead(port: number): void;
  weather(weather: Weather | undefined): void;
  /** Nothing comes through any more, and nobody is told: as when a cable is pulled. It is mended with new connections. */
  cut(): void;
  mend(): void;
  stop(): Promise<void>;
}

export async function startTcpProxy<I extends Interposer>(interpose?: () => I): Promise<TcpProxy<I>> {
  const connections = new Set<ProxiedConnection<I>>();
  let target = 0;
  let isCut = false;
  let current: Weather | undefined;
  const server = createServer((client) => {
    const interposer = interpose?.();
    const upstream = connect({ host: '127.0.0.1', port: target, noDelay: true });
    client.setNoDelay(true);
    const destroy = () => {
      connections.delete(connection);
      client.destroy();
      upstream.destroy();
    };
    const connection = { interposer, destroy, toClient: (bytes: Buffer) => void client.write(bytes) };
    connections.add(connection);
    for (const socket of [client, upstream]) socket.on('error', destroy).on('close', destroy);
    const weather = () => current;
    const down = delayed(client, weather, destroy);
    const up = delayed(upstream, weather, destroy);
    client.on('data', (bytes) => {
      if (isCut) return;
      interposer?.fromClient(bytes);
      up(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!isCut) down(interposer?.fromServer(bytes) ?? bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endAll = () => {
    for (const { destroy } of connections) destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    lead: (port) => {
      target = port;
    },
    weather: (next) => {
      current = next;
    },
    cut: () => {
      isCut = true;
    },
    mend: () => {
      endAll();
      isCut = false;
    },
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      endAll();
      await closed;
    },
  };
}

/** What waits goes out in its order, whatever the order of the timers. */
function delayed(to: Socket, weather: () => Weather | undefined, destroy: () => void): (bytes: Buffer) => void {
  const waiting: Buffer[] = [];
  let lastDue = 0;
  return (bytes) => {
    const now = weather();
    if (now?.breaks()) return destroy();
    if (now === undefined && waiting.length === 0) return void to.write(bytes);
    lastDue = Math.max(lastDue, performance.now() + (now?.delay() ?? 0));
    waiting.push(bytes);
    setTimeout(
      () => {
        const next = waiting.shift();
        if (next !== undefined && !to.destroyed) to.write(next);
      },
      Math.max(0, lastDue - performance.now()),
    );
  };
}

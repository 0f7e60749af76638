/** A Sentinel that holds its answers back, and tells of a failover, when the test says so: a real one cannot be made to. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Certificates } from '../../envoy/certificates.ts';

export interface ScriptedSentinel {
  readonly port: number;
  /** Clients that wait to be told where the primary is. */
  readonly asking: number;
  /** From now on it does not say where the primary is, until it is released. */
  hold(): void;
  release(): void;
  /** Tells whoever listens that there is another primary. */
  switchMaster(): void;
  stop(): Promise<void>;
}

const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const array = (...items: string[]) => `*${items.length}\r\n${items.join('')}`;

export async function startScriptedSentinel({ server: own }: Certificates, primaryPort: number): Promise<ScriptedSentinel> {
  const listening = new Set<TLSSocket>();
  const sockets = new Set<TLSSocket>();
  const asking = new Set<TLSSocket>();
  let isHeld = false;
  const tell = (socket: TLSSocket) => void socket.write(array(bulk('127.0.0.1'), bulk(String(primaryPort))));
  const answer = (socket: TLSSocket, [command = '', ...words]: readonly string[]) => {
    const asked = `${command} ${words[0] ?? ''}`.toLowerCase();
    if (asked === 'sentinel sentinels') socket.write('*0\r\n');
    else if (command.toLowerCase() === 'sentinel' && isHeld) asking.add(socket);
    else if (command.toLowerCase() === 'sentinel') tell(socket);
    else if (command.toLowerCase() === 'subscribe') {
      listening.add(socket);
      socket.write(array(bulk('subscribe'), bulk(words[0] ?? ''), ':1\r\n'));
    } else if (command.toLowerCase() === 'hello') socket.write('-NOPROTO unsupported protocol version\r\n');
    else socket.write('+OK\r\n');
  };
  const server = createServer({ cert: readFileSync(own.certificateFile), key: readFileSync(own.keyFile) }, (socket) => {
    let unread = '';
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => [sockets, listening, asking].map((set) => set.delete(socket)));
    socket.setEncoding('utf8').on('data', (text: string) => {
      unread += text;
      for (;;) {
        const count = /^\*(\d+)\r\n/.exec(unread);
        const command = count && new RegExp(`^\\*\\d+\\r\\n(?:\\$\\d+\\r\\n[^\\r]*\\r\\n){${count[1]}}`).exec(unread);
        if (!command) return;
        unread = unread.slice(command[0].length);
        answer(
          socket,
          command[0]
            .split('\r\n')
            .slice(2)
            .filter((_, at) => at % 2 === 0),
        );
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get asking() {
      return asking.size;
    },
    hold: () => {
      isHeld = true;
    },
    release: () => {
      isHeld = false;
      for (const socket of asking) tell(socket);
      asking.clear();
    },
    switchMaster: () => {
      const told = `nonces 127.0.0.1 1 127.0.0.1 ${primaryPort}`;
      for (const socket of listening) socket.write(array(bulk('message'), bulk('+switch-master'), bulk(told)));
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

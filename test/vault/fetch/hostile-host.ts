/** A host on a loopback address that answers over TLS with whatever bytes a test wants, and counts who came. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { type Lookup, makeGuardedFetch } from '../../../src/vault/fetch/guarded-fetch.ts';
import { makeCertificates } from '../../envoy/certificates.ts';

export interface Authority {
  readonly trustedCa: string;
  /** For the name service.test. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer };
}

export async function makeAuthority(): Promise<Authority> {
  const directory = mkdtempSync(join(tmpdir(), 'hostile-host-'));
  const { trustedCaFile, server } = await makeCertificates(directory);
  const trustedCa = readFileSync(trustedCaFile, 'utf8');
  const tls = { cert: readFileSync(server.certificateFile), key: readFileSync(server.keyFile) };
  rmSync(directory, { recursive: true });
  return { trustedCa, tls };
}

export interface Host extends AsyncDisposable {
  readonly port: number;
  /** TCP connections so far. */
  readonly connections: () => number;
  /** Of them, those still open. */
  readonly open: () => number;
  /** Bytes received before any TLS is taken off. */
  readonly bytes: () => number;
  /** Heads of requests, as they were sent. */
  readonly requests: readonly string[];
}

/** Called with each request's head; what is not written is not answered. */
export type Answer = (socket: Socket, head: string) => void;

/** Without `tls` the answer follows on the first bytes, whatever they are; without `answer` there is none. */
export async function startHost(
  tls: TlsOptions | undefined,
  answer: Answer | undefined,
  address = '127.0.0.1',
  port = 0,
): Promise<Host> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let bytes = 0;
  const heard = (socket: Socket) => {
    let head = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      requests.push(head);
      answer?.(socket, head);
      head = '';
    });
  };
  const inner = tls === undefined ? undefined : createTlsServer(tls, heard);
  inner?.on('tlsClientError', () => {});
  const outer: Server = createTcpServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('close', () => {
      bytes += socket.bytesRead;
    });
    if (inner !== undefined) inner.emit('connection', socket);
    else socket.once('data', () => answer?.(socket, '')).resume();
  });
  outer.listen(port, address);
  await once(outer, 'listening');
  return {
    port: (outer.address() as AddressInfo).port,
    connections: () => connections,
    open: () => sockets.size,
    bytes: () => bytes + [...sockets].reduce((sum, socket) => sum + socket.bytesRead, 0),
    requests,
    [Symbol.asyncDispose]: async () => {
      const closed = once(outer, 'close');
      outer.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A whole answer with status 200, unless told otherwise. */
export function answerWith(body: string, fields: readonly string[] = [], status = '200 OK'): Answer {
  const head = [`HTTP/1.1 ${status}`, `content-length: ${Buffer.byteLength(body)}`, 'content-type: application/json', ...fields];
  return (socket) => socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Every name leads to these addresses. */
export function lookupOf(...addresses: readonly string[]): Lookup {
  return (_hostname, _options, found) =>
    setImmediate(
      found,
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
}

export type FetchSettings = Parameters<typeof makeGuardedFetch>[0];

export function guardedFetch(authority: Authority, changed: Partial<FetchSettings> = {}) {
  return makeGuardedFetch({
    allowedAddresses: ['127.0.0.0/8'],
    trustedCa: authority.trustedCa,
    requestsPerSecond: 1000,
    maxConcurrent: 100,
    lookup: lookupOf('127.0.0.1'),
    monotonic: () => performance.now(),
    ...changed,
  });
}

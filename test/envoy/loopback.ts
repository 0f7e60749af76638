/** The two neighbours of an Envoy under test: an upstream that keeps what it received, and a Check server that allows. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect, createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createRequire } from 'node:module';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { loadPackageDefinition, Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface ReceivedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  bodyBytes: number;
  httpVersion: string;
  trailers: NodeJS.Dict<string | string[]>;
}

export interface Upstream extends AsyncDisposable {
  url: URL;
  received: ReceivedRequest[];
}

/** Answers 200 `{}` to everything, over TLS with HTTP/2 and HTTP/1.1 when it has a certificate. */
export async function startUpstream(
  options: { port?: number; tls?: { certificateFile: string; keyFile: string } } = {},
): Promise<Upstream> {
  const received: ReceivedRequest[] = [];
  const answer = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse) => {
    let bodyBytes = 0;
    request.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length;
    });
    request.on('end', () => {
      const { method = '', url = '', headers, httpVersion, trailers } = request;
      received.push({ method, path: url, headers, bodyBytes, httpVersion, trailers });
      response.setHeader('alt-svc', 'h3=":443"');
      response.setHeader('content-type', 'application/json');
      response.setHeader('server', 'upstream');
      response.end('{}');
    });
  };
  const { tls } = options;
  const server = tls
    ? createSecureServer({ allowHTTP1: true, cert: readFileSync(tls.certificateFile), key: readFileSync(tls.keyFile) }, answer)
    : createServer({ maxHeaderSize: 64 * 1024 }, answer);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port: actual } = server.address() as AddressInfo;
  return {
    url: new URL(`${tls ? 'https' : 'http'}://127.0.0.1:${actual}`),
    received,
    [Symbol.asyncDispose]: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export interface ReceivedCheck {
  path: string;
  host: string;
  headers: [string, string][];
  bodyBytes: number;
}

interface CheckCall {
  request: {
    attributes: {
      request: {
        http: { path: string; host: string; raw_body: Buffer; header_map: { headers: { key: string; raw_value: Buffer }[] } };
      };
    };
  };
}

export interface CheckServer extends AsyncDisposable {
  checks: ReceivedCheck[];
  /** Status of the next Checks: 0 allows, 7 denies with 403. */
  code: number;
  port: number;
  /** Headers an allow sets. */
  headers: Record<string, string>;
}

/** Envoy's own proto files, complete, as a package of grpc-js carries them. */
function authorizationService(): ServiceDefinition {
  const root = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps');
  const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
    keepCase: true,
    defaults: true,
    includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(root, name)),
  });
  loadPackageDefinition(definition);
  return definition['envoy.service.auth.v3.Authorization'] as ServiceDefinition;
}

/** `address`: `unix:/path` or `127.0.0.1:0`. */
export async function startCheckServer(address: string, credentials = ServerCredentials.createInsecure()): Promise<CheckServer> {
  const server = new Server({ 'grpc.max_receive_message_length': 64 * 1024 * 1024 });
  const state = { checks: [] as ReceivedCheck[], code: 0, headers: {} as Record<string, string> };
  server.addService(authorizationService(), {
    Check: (call: CheckCall, reply: (error: null, response: object) => void) => {
      const { http } = call.request.attributes.request;
      state.checks.push({
        path: http.path,
        host: http.host,
        bodyBytes: http.raw_body.length,
        headers: http.header_map.headers.map(({ key, raw_value }) => [key, raw_value.toString('latin1')]),
      });
      const headers = Object.entries(state.headers).map(([key, value]) => ({ header: { key, value } }));
      if (state.code === 0) reply(null, { status: { code: 0 }, ok_response: { headers } });
      else reply(null, { status: { code: state.code }, denied_response: { status: { code: 403 }, body: 'denied' } });
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return Object.assign(state, { port, [Symbol.asyncDispose]: async () => server.forceShutdown() });
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Call {
  path: string;
  host?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

const secondsPerCall = 10;

/** One POST over HTTP/1.1 to a port of this machine. */
export function post(port: number, call: Call): Promise<Answer> {
  const headers = { host: call.host ?? 'gateway.example', ...call.headers };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(secondsPerCall * 1000);
    const sent = request(
      { host: '127.0.0.1', port, method: 'POST', path: call.path, headers, agent: false, signal },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(call.body ?? '{}');
  });
}

/** One POST over HTTP/2 in clear text to a port of this machine; resolves to the status. */
export function postHttp2(port: number, call: Call): Promise<number> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on('error', reject);
    const pseudo = { ':method': 'POST', ':path': call.path, ':authority': call.host ?? 'gateway.example' };
    const stream = session.request({ ...pseudo, ...call.headers }, { signal: AbortSignal.timeout(secondsPerCall * 1000) });
    stream.on('error', reject);
    stream.on('response', (headers) => {
      resolve(Number(headers[':status']));
      session.close();
    });
    stream.resume().end(call.body ?? '{}');
  });
}

/** Bytes as they stand; resolves to the first line that comes back. */
export function sendRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.setEncoding('utf8').setTimeout(secondsPerCall * 1000, () => socket.destroy(new Error('no answer')));
    socket.on('error', reject).on('data', (chunk: string) => {
      answer += chunk;
      const end = answer.indexOf('\r\n');
      if (end < 0) return;
      resolve(answer.slice(0, end));
      socket.destroy();
    });
  });
}

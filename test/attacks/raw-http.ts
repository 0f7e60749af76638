// HTTP as bytes: what a client library would refuse to send, over HTTP/1.1 and HTTP/2, and what comes back.

import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';

export type Line = readonly [name: string, value: string];

/** Text is one character for each byte (ISO 8859-1). Lines go out as they stand, in order; `host` is among them. */
export interface WireRequest {
  readonly method: string;
  readonly target: string;
  readonly lines: readonly Line[];
  readonly body: Buffer;
}

export interface WireResponse {
  /** 0 when the connection or stream ended without an answer. */
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** All of it, as it came. */
  readonly text: string;
}

const GIVE_UP_MILLIS = 20_000;

/** The bytes of an HTTP/1.1 request that asks for the connection to be closed after its answer. */
export function http1Bytes({ method, target, lines, body }: WireRequest, version = 'HTTP/1.1'): Buffer {
  const head = [
    `${method} ${target} ${version}`,
    ...lines.map(([name, value]) => `${name}: ${value}`),
    'connection: close',
    '',
    '',
  ];
  return Buffer.concat([Buffer.from(head.join('\r\n'), 'latin1'), body]);
}

/** Writes the pieces one after the other and reads until the peer closes. `pauseMillis` lies between the pieces. */
export function sendBytes(
  port: number,
  pieces: Buffer | Iterable<Buffer>,
  pauseMillis = 0,
  giveUp = GIVE_UP_MILLIS,
): Promise<WireResponse> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', async () => {
      for (const piece of Buffer.isBuffer(pieces) ? [pieces] : pieces) {
        if (socket.destroyed) return;
        socket.write(piece);
        if (pauseMillis > 0) await new Promise((next) => setTimeout(next, pauseMillis));
      }
    });
    const timer = setTimeout(() => socket.destroy(), giveUp);
    // A server that answers early resets what is still on its way: that is no failure of the test.
    socket.on('data', (bytes) => received.push(bytes)).on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(parseResponse(Buffer.concat(received).toString('latin1')));
    });
  });
}

export const sendHttp1 = (port: number, request: WireRequest) => sendBytes(port, http1Bytes(request));

function parseResponse(text: string): WireResponse {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1] ?? 0), headers, body: rest.join('\r\n\r\n'), text };
}

/** Names that HTTP/2 has other places for, or none. */
const HTTP1_ONLY = new Set(['host', 'connection', 'transfer-encoding', 'upgrade']);

export async function sendHttp2(port: number, request: WireRequest, trailers?: OutgoingHttpHeaders): Promise<WireResponse> {
  const session = await openSession(port);
  const response = await sendOn(session, request, {}, trailers);
  session.destroy();
  return response;
}

/** Copies of one request, 100 streams on each connection, all of them under way at once. */
export async function sendCopies(
  port: number,
  request: WireRequest | ((index: number) => WireRequest),
  copies: number,
): Promise<WireResponse[]> {
  const sessions = await Promise.all(Array.from({ length: Math.ceil(copies / 100) }, () => openSession(port)));
  const responses = await Promise.all(
    Array.from({ length: copies }, (_, index) =>
      sendOn(sessions[Math.floor(index / 100)] as ClientHttp2Session, typeof request === 'function' ? request(index) : request),
    ),
  );
  for (const session of sessions) session.destroy();
  return responses;
}

function openSession(port: number): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session
      .once('connect', () => resolve(session))
      .once('error', reject)
      .on('error', () => {});
  });
}

export function sendOn(
  session: ClientHttp2Session,
  { method, target, lines, body }: WireRequest,
  pseudo: OutgoingHttpHeaders = {},
  trailers?: OutgoingHttpHeaders,
): Promise<WireResponse> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of lines) {
    if (HTTP1_ONLY.has(name.toLowerCase())) continue;
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  const authority = lines.find(([name]) => name.toLowerCase() === 'host')?.[1];
  return new Promise((resolve) => {
    let status = 0;
    let fields: IncomingHttpHeaders = {};
    let text = '';
    const stream = session.request(
      { ':method': method, ':path': target, ':authority': authority, ...headers, ...pseudo },
      { waitForTrailers: trailers !== undefined, signal: AbortSignal.timeout(GIVE_UP_MILLIS) },
    );
    stream.on('response', (received) => {
      status = Number(received[':status']);
      fields = received;
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    stream.on('error', () => {});
    stream.on('close', () => {
      const plain = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
      resolve({ status, headers: plain, body: text, text: JSON.stringify(plain) + text });
    });
    stream.end(body);
  });
}

const FRAME = { data: 0, headers: 1, rstStream: 3, settings: 4, goaway: 7, continuation: 9 } as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

/** One frame of RFC 9113. */
export function frame(type: keyof typeof FRAME, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = FRAME[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block of literals that are neither indexed nor Huffman-coded (RFC 7541 section 6.2.2): any bytes at all. */
export function headerBlock(lines: readonly Line[]): Buffer {
  return Buffer.concat(lines.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const length: number[] = [];
  if (text.length < 127) length.push(text.length);
  else {
    length.push(127);
    let rest = text.length - 127;
    for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(text, 'latin1')]);
}

export const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame('settings', 0, 0, Buffer.alloc(0))]);

/**
 * Sends frames after the preface and says how it ended for the stream: `reset`, `goaway`, `closed`, an answer (`400`, `404`,
 * `2xx`: those that HPACK has an index for; `other` otherwise), or `nothing` within the time.
 */
export function sendFrames(port: number, frames: readonly Buffer[], millis = 3000): Promise<string> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([PREFACE, ...frames])));
    const finish = (how: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(how);
    };
    const timer = setTimeout(() => finish('nothing'), millis);
    socket.on('error', () => finish('closed')).on('close', () => finish('closed'));
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
        const payload = received.subarray(9, 9 + received.readUIntBE(0, 3));
        const type = received[3];
        received = received.subarray(9 + payload.length);
        if (type === FRAME.rstStream) return finish('reset');
        if (type === FRAME.goaway) return finish('goaway');
        if (type === FRAME.headers) return finish(indexedStatus(payload[0] ?? 0));
      }
    });
  });
}

/** RFC 7541 appendix A: 8 to 10 are 2xx, 12 is 400, 13 is 404. */
function indexedStatus(first: number): string {
  if (first >= 0x88 && first <= 0x8a) return '2xx';
  if (first === 0x8c) return '400';
  return first === 0x8d ? '404' : 'other';
}

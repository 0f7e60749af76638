/**
 * The LLM provider of the quickstart and of the end-to-end tests: stands where api.openai.com, api.anthropic.com or
 * generativelanguage.googleapis.com would stand behind Envoy's route.
 *
 * The APIs and their event streams come from `@copilotkit/aimock`: OpenAI Chat Completions, Responses and Embeddings, Anthropic
 * Messages, Gemini generateContent, Azure OpenAI deployments and Bedrock invoke/converse. Its own journal replaces every
 * credential by "[REDACTED]", merges repeated headers and keeps the parsed body only, so it cannot prove which header or which
 * byte crossed the gateway. A small node:http front therefore receives the requests, records them as they came off the wire and
 * pipes both directions unbuffered.
 */
import { createServer, type IncomingMessage, request as openRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { LLMock } from '@copilotkit/aimock';

const LOOPBACK = '127.0.0.1';
const DEFAULT_TEXT =
  'The bridge carried this call: it was signed by its agent, checked at the gateway and written to the record.';
/** They speak about one connection only (RFC 9110, section 7.6.1), so the front must not hand them to the next one. */
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'expect']);
const UNAUTHORIZED = JSON.stringify({
  type: 'error',
  error: { type: 'authentication_error', code: 'invalid_api_key', message: 'the stand-in was called without its key' },
});

/** One request as the provider received it. */
export type ReceivedRequest = {
  readonly method: string;
  /** Request target, query included. */
  readonly path: string;
  /** Names lower-cased; the values of a repeated name joined by ", ". */
  readonly headers: Readonly<Record<string, string>>;
  /** Name (lower-cased) and value in wire order, a repeated name once for each line. */
  readonly rawHeaders: readonly (readonly [name: string, value: string])[];
  /** The bytes received so far; all of them once `complete` is true, which precedes the answer. */
  readonly body: Buffer;
  readonly complete: boolean;
};

export type LlmStandInOptions = {
  /** What every chat is answered with, for any model and any message. */
  readonly text?: string;
  /** Number of pieces the text is streamed in, default 12. */
  readonly chunks?: number;
  /** Pause before each event of a stream in milliseconds, default 40. */
  readonly pauseMs?: number;
  /** When set, a request without this key as bearer token, `x-api-key`, `x-goog-api-key` or `api-key` is answered 401. */
  readonly requireKey?: string;
  /** TCP port on 127.0.0.1; by default the operating system chooses a free one. */
  readonly port?: number;
};

export type LlmStandIn = {
  /** Origin without a trailing slash, e.g. `http://127.0.0.1:40123`. */
  readonly url: string;
  readonly port: number;
  readonly text: string;
  /** Every request in order of arrival, rejected ones included; a request is in here as soon as its headers are. */
  readonly requests: readonly ReceivedRequest[];
  clear(): void;
  /** Cuts open answers and resolves when both ports are closed; may be called again. */
  stop(): Promise<void>;
};

/**
 * Starts the stand-in on 127.0.0.1.
 * @throws RangeError when `chunks` or `pauseMs` is out of range; the listen error when `port` is taken.
 */
export async function startLlmStandIn(options: LlmStandInOptions = {}): Promise<LlmStandIn> {
  const { text = DEFAULT_TEXT, chunks = 12, pauseMs = 40, requireKey, port = 0 } = options;
  if (!Number.isInteger(chunks) || chunks < 1) throw new RangeError('chunks must be a positive integer');
  if (!Number.isFinite(pauseMs) || pauseMs < 0) throw new RangeError('pauseMs must be zero or more');

  const chunkSize = Math.max(1, Math.ceil(text.length / chunks));
  const provider = new LLMock({ host: LOOPBACK, port: 0, latency: pauseMs, chunkSize, journalMaxEntries: 1 });
  // Chats only: without a fixture aimock answers embeddings with a vector derived from the input, as many numbers as were asked for.
  provider.on({ endpoint: 'chat' }, { content: text });
  await provider.start();

  const requests: ReceivedRequest[] = [];
  // node:http would answer a request without Host itself, unseen by the log.
  const front = createServer({ requireHostHeader: false }, (req, res) => {
    const record = recordRequest(req);
    requests.push(record);
    if (requireKey === undefined || carriesKey(record.headers, requireKey)) forward(req, res, provider.port);
    // Not before the end of the body, so that the record is complete when the caller sees the answer.
    else req.once('end', () => res.writeHead(401, { 'content-type': 'application/json' }).end(UNAUTHORIZED));
  });
  // Like a provider, it keeps idle connections longer than Envoy does: one that it is just closing would show as a fault.
  front.keepAliveTimeout = 120_000;
  try {
    await new Promise<void>((resolve, reject) => {
      front.once('error', reject).listen(port, LOOPBACK, resolve);
    });
  } catch (error) {
    await provider.stop();
    throw error;
  }

  const boundPort = (front.address() as AddressInfo).port;
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => front.close(() => resolve()));
    front.closeAllConnections();
    await closed;
    await provider.stop();
  };
  return {
    url: `http://${LOOPBACK}:${boundPort}`,
    port: boundPort,
    text,
    requests,
    clear: () => {
      requests.length = 0;
    },
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

function recordRequest(req: IncomingMessage): ReceivedRequest {
  const rawHeaders = headerLines(req);
  // Without a prototype, so that a header named "constructor" is a header like any other.
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of rawHeaders) headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  const received: Buffer[] = [];
  let complete = false;
  req.on('data', (bytes: Buffer) => received.push(bytes));
  req.once('end', () => {
    complete = true;
  });
  return {
    method: req.method ?? '',
    path: req.url ?? '',
    headers,
    rawHeaders,
    get body() {
      return Buffer.concat(received);
    },
    get complete() {
      return complete;
    },
  };
}

function headerLines(message: IncomingMessage): [string, string][] {
  const { rawHeaders } = message;
  return Array.from({ length: rawHeaders.length / 2 }, (_, line) => [
    (rawHeaders[2 * line] ?? '').toLowerCase(),
    rawHeaders[2 * line + 1] ?? '',
  ]);
}

function carriesKey(headers: Readonly<Record<string, string>>, key: string): boolean {
  return (
    headers.authorization === `Bearer ${key}` || ['x-api-key', 'x-goog-api-key', 'api-key'].some((name) => headers[name] === key)
  );
}

function forward(req: IncomingMessage, res: ServerResponse, port: number): void {
  // aimock parses the target against the host, so it gets its own: the one received names the gateway's provider.
  const headers = Object.entries(req.headers).filter(([name]) => name !== 'host' && !CONNECTION_HEADERS.has(name));
  const toProvider = openRequest({
    host: LOOPBACK,
    port,
    method: req.method,
    path: req.url,
    headers: Object.fromEntries(headers),
    // One connection for each request: an idle one that aimock is just closing would show as a provider fault.
    agent: false,
  });
  toProvider.once('response', (answer) => {
    const lines = headerLines(answer).filter(([name]) => !CONNECTION_HEADERS.has(name) && name !== 'transfer-encoding');
    res.writeHead(answer.statusCode ?? 502, lines.flat());
    res.flushHeaders();
    pipeline(answer, res, () => {});
  });
  toProvider.once('error', () => {
    if (res.headersSent) res.destroy();
    else res.writeHead(502).end();
  });
  // A caller that goes away must not leave a stream running behind the front.
  res.once('close', () => toProvider.destroy());
  req.pipe(toProvider);
}

// `POST /delegate` over HTTP/1.1, for a Unix socket: the one way to ask a running sidecar for a delegation. Whoever can open the
// socket can do what the agent can do, and no more; every refusal is problem+json (RFC 9457) and names the member at fault.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import { type Delegation, DelegationRefused, type DelegationRequest, delegationSchema, type RefusalCode } from './delegate.ts';

export interface DelegationServerSettings {
  /** @throws {DelegationRefused} */
  readonly delegate: (request: DelegationRequest) => Promise<Delegation>;
  readonly log: Logger;
}

interface FieldError {
  readonly field: string;
  readonly detail: string;
}

const MAX_BODY_BYTES = 64 * 1024;
const MOST_CONNECTIONS = 16;
const MOST_ERRORS = 20;
const REFUSALS: Readonly<Record<RefusalCode, readonly [status: number, title: string]>> = {
  'invalid-key': [422, 'The key is not one of that agent'],
  'not-another-agent': [422, 'The delegation is to the agent itself'],
  broader: [403, 'The delegation is broader than what it is made from'],
  'too-deep': [403, 'The chain can go no deeper'],
  expired: [403, 'The capability has expired'],
  'not-delegable': [403, 'The chain with this link would not hold'],
};

export function makeDelegationServer(settings: DelegationServerSettings): Server {
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: 1000,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      answer(request, response, settings).catch((error: unknown) => {
        settings.log.error({ err: error }, 'delegation failed');
        refuse(response, 500, 'internal', 'The sidecar has a defect', 'Its log has the cause.');
      });
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  // Without a listener node answers by itself, in words of its own.
  server.on('checkExpectation', (_, response: ServerResponse) =>
    refuse(response, 417, 'expectation', 'No expectation is met', 'Leave the Expect header out.'),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable) return void socket.destroy();
    const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    const body = JSON.stringify(
      late
        ? { type: 'urn:hermesbridge:delegation:timeout', title: 'The request did not arrive in time', status: 408 }
        : { type: 'urn:hermesbridge:delegation:malformed', title: 'The request is not HTTP/1.1', status: 400 },
    );
    socket.end(
      `HTTP/1.1 ${late ? '408 Request Timeout' : '400 Bad Request'}\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  });
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, { delegate, log }: DelegationServerSettings) {
  if (request.url !== '/delegate') return refuse(response, 404, 'not-found', 'There is no such path', 'Use POST /delegate.');
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST');
    return refuse(response, 405, 'method-not-allowed', 'The method is not one of this path', 'Use POST.');
  }
  if (!/^application\/json(?:; *charset=utf-8)?$/i.test(request.headers['content-type'] ?? ''))
    return refuse(response, 415, 'unsupported-media-type', 'The body must be JSON', 'Send application/json.');
  const body = await readBody(request);
  if (body === undefined)
    return refuse(response, 413, 'content-too-large', 'The body is too large', `A body has at most ${MAX_BODY_BYTES} bytes.`);
  let value: unknown;
  try {
    value = parseStrictJson(body);
  } catch (error) {
    if (error instanceof JsonError) return refuse(response, 400, 'malformed', 'The body is not JSON', `It is ${error.message}.`);
    throw error;
  }
  const { success, data, error } = delegationSchema.safeParse(value);
  if (!success) {
    const fields = error.issues.slice(0, MOST_ERRORS).map((issue) => ({ field: nameOf(issue.path), detail: detailOf(issue) }));
    return refuse(response, 422, 'invalid-body', 'The body has not the form that it must have', 'See errors.', fields);
  }
  try {
    const delegation = await delegate(data);
    const { to, task, maxDepth } = data;
    log.info({ to, task, maxDepth, expires: delegation.expires, tokens: delegation.chain.length }, 'delegated');
    send(response, 201, 'application/json', delegation);
  } catch (refused) {
    if (!(refused instanceof DelegationRefused)) throw refused;
    const [status, title] = REFUSALS[refused.code];
    const { field, message } = refused;
    log.warn({ code: refused.code, field }, 'not delegated');
    refuse(response, status, refused.code, title, message, field === undefined ? [] : [{ field, detail: message }]);
  }
}

/** @returns `undefined` when it is too large */
function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const chunks: Buffer[] = [];
  let length = 0;
  // Not by iterating: leaving a loop early would take the connection down, and the answer with it.
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      chunks.length = 0;
      resolve(undefined);
    } else chunks.push(chunk);
  });
  request.once('end', () => resolve(Buffer.concat(chunks)));
  // It broke off: nobody is left to be answered.
  request.once('error', () => resolve(undefined));
  return promise;
}

function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  title: string,
  detail: string,
  errors: readonly FieldError[] = [],
): void {
  // What was not read of a body must not be taken for the next request.
  response.setHeader('connection', 'close');
  const problem = { type: `urn:hermesbridge:delegation:${code}`, title, status, detail, ...(errors.length > 0 && { errors }) };
  send(response, status, 'application/problem+json', problem);
}

function send(response: ServerResponse, status: number, type: string, value: object): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(JSON.stringify(value));
}

/** Names of members are the caller's choice: only plain characters of them go back. */
function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map(String)
    .join('.')
    .replace(/[^\w.-]/g, '?')
    .slice(0, 100);
}

function detailOf(issue: {
  readonly code?: string | undefined;
  readonly message: string;
  readonly keys?: readonly string[];
}): string {
  return issue.keys === undefined ? issue.message : `${nameOf(issue.keys)} is not known`;
}

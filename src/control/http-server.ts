// The HTTP server of the control API: fastify for routing and limits; every answer that is no success is problem+json.

import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { fieldErrors } from './accept-write.ts';
import { inboundRequest } from './inbound-request.ts';
import type { Operation, Reply } from './operation.ts';
import { Problem, type ProblemCode, problemReply } from './problem.ts';

export interface HttpServerSettings {
  readonly operations: readonly Operation[];
  /** PEM; without them the server speaks plain HTTP. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly maxConnections: number;
  readonly log: Logger;
}

const BODY_BYTES = 64 * 1024;
const HEADER_BYTES = 16 * 1024;
const NO_BODY = Buffer.alloc(0);
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const;
/** A header and a request that are not complete after this time are not waited for. */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 15_000, connectionsCheckingInterval: 2000 };

export function makeHttpServer({ operations, tls, maxConnections, log }: HttpServerSettings): FastifyInstance {
  const server = {
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: TIMEOUTS.headersTimeout,
    connectionsCheckingInterval: TIMEOUTS.connectionsCheckingInterval,
    // A request without one gets an answer like any other bad request.
    requireHostHeader: false,
  };
  const app = fastify({
    ...(tls === undefined ? { http: server } : { https: { ...server, ...tls, minVersion: 'TLSv1.2' as const } }),
    logger: false,
    genReqId: () => randomUUID(),
    bodyLimit: BODY_BYTES,
    requestTimeout: TIMEOUTS.requestTimeout,
    // Longer than anyone may wait for changes.
    connectionTimeout: 40_000,
    keepAliveTimeout: 30_000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    routerOptions: { maxParamLength: 4096 },
    frameworkErrors: (_, request, reply) => {
      sendProblem(new Problem('malformed-request', 'The request target cannot be decoded.'), request, reply);
    },
    clientErrorHandler: answerClientError,
  }) as unknown as FastifyInstance;
  app.server.maxConnections = maxConnections;
  app.removeAllContentTypeParsers();
  // The bytes as received are what was signed.
  for (const mediaType of new Set(['application/json', ...operations.flatMap(({ bodyMediaType }) => bodyMediaType ?? [])]))
    app.addContentTypeParser(mediaType, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', async (request) => {
    if (request.is404) throw new Problem('not-found', 'There is no such path: /v1/openapi.json lists those there are.');
  });
  app.addHook('onResponse', async (request, reply) => {
    const { id, method, routeOptions } = request;
    log.debug({ id, method, route: routeOptions.url, status: reply.statusCode, millis: reply.elapsedTime }, 'control request');
  });
  app.setErrorHandler((error, request, reply) => sendProblem(toProblem(error, request, log), request, reply));
  app.setNotFoundHandler((request, reply) => sendProblem(new Problem('not-found', 'There is no such path.'), request, reply));
  for (const [path, some] of Map.groupBy(operations, (operation) => operation.path)) addRoutes(app, path, some);
  return app;
}

function addRoutes(app: FastifyInstance, path: string, operations: readonly Operation[]): void {
  const url = path.replace(/\{(\w+)\}/g, ':$1');
  for (const operation of operations) {
    app.route({ method: operation.method, url, handler: (request, reply) => answer(operation, request, reply) });
  }
  const allowed: string[] = operations.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  app.route({
    method: METHODS.filter((method) => !allowed.includes(method)),
    url,
    // Before a body is read that nobody wants.
    onRequest: async () => {
      throw new Problem('method-not-allowed', `Use ${allowed.join(', ')}.`, { headers: { allow: allowed.join(', ') } });
    },
    handler: () => undefined,
  });
}

async function answer(operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { raw, body } = request;
  const params = request.params as Record<string, string>;
  if (Object.values(params).includes('')) throw new Problem('not-found', 'There is no such path.');
  assertMediaType(operation, request);
  const inbound = inboundRequest(raw, Buffer.isBuffer(body) ? body : NO_BODY);
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const call = {
    parameters: parse(operation.parameters, params),
    query: parse(operation.query, queryOf(inbound.query)),
    request: inbound,
    raw,
    gone: gone.signal,
  };
  return send(operation, await operation.answer(call as never), reply);
}

/** One that another operation takes was read, and is not this one's all the same. */
function assertMediaType({ body, bodyMediaType = 'application/json' }: Operation, { headers }: FastifyRequest): void {
  const sent = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (body !== undefined && sent !== undefined && sent !== bodyMediaType)
    throw new Problem('unsupported-media-type', `Send ${bodyMediaType}.`);
}

function send(
  { method, signed, responses }: Operation,
  { status, headers = {}, body }: Reply,
  reply: FastifyReply,
): FastifyReply {
  const mediaType = responses[status]?.mediaType;
  reply.code(status).headers({ 'cache-control': 'no-store', ...headers });
  // What is public is public to pages of other origins too (did:webvh resolvers in browsers).
  if (method === 'GET' && !signed) reply.header('access-control-allow-origin', '*');
  if (body === undefined) return reply.send();
  return reply.type(mediaType ?? 'application/json').send(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
}

/** @throws {Problem} for a name that stands there twice */
function queryOf(query: string): Record<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (found.has(name)) throw badParameters([{ field: name, detail: 'stands there twice' }]);
    found.set(name, value);
  }
  return Object.fromEntries(found);
}

function parse(schema: z.ZodObject, value: unknown): Record<string, unknown> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw badParameters(fieldErrors(result.error));
}

function badParameters(errors: { field: string; detail: string }[]): Problem {
  return new Problem('bad-parameter', 'A parameter of the path or query is not valid.', { errors });
}

const FASTIFY_ERRORS: ReadonlyMap<string, readonly [ProblemCode, string]> = new Map([
  ['FST_ERR_CTP_BODY_TOO_LARGE', ['content-too-large', `A body has at most ${BODY_BYTES} bytes.`]],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', ['unsupported-media-type', 'The OpenAPI document says which one.']],
  ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', ['malformed-request', 'The body is not as long as Content-Length says.']],
]);

function toProblem(error: unknown, { id, method, routeOptions }: FastifyRequest, log: Logger): Problem {
  const problem = error instanceof Problem ? error : ofFastify(error);
  if (problem !== undefined && problem.cause === undefined) return problem;
  log.error({ id, method, route: routeOptions.url, err: problem?.cause ?? error }, 'control request failed');
  return problem ?? new Problem('internal', 'The log of the vault has the cause under the id of this request.');
}

/** What the client did wrong before anyone here looked at the request: a body that breaks off, too. */
function ofFastify(error: unknown): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode } = error as { readonly code?: unknown; readonly statusCode?: unknown };
  const known = FASTIFY_ERRORS.get(String(code));
  if (known !== undefined) return new Problem(...known);
  const theirs = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
  return theirs ? new Problem('malformed-request', 'The request could not be read.') : undefined;
}

function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): void {
  const { status, headers, body } = problemReply(problem, request.id);
  if (request.method === 'GET' || request.method === 'HEAD') reply.header('access-control-allow-origin', '*');
  void reply.code(status).headers(headers).send(Buffer.from(body));
}

/** What node's parser refuses never becomes a request. */
function answerClientError(error: { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const code =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'headers-too-large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'timeout'
        : 'malformed-request';
  const { status, headers, body } = problemReply(new Problem(code, 'The request could not be read.'), randomUUID());
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  );
}

// One operation of the control API: what the server routes and the OpenAPI document describes, from the same object.

import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { InboundRequest } from '../request.ts';
import type { ProblemCode } from './problem.ts';

export interface Call<P, Q> {
  readonly parameters: P;
  readonly query: Q;
  readonly request: InboundRequest;
  readonly raw: IncomingMessage;
  /** Aborted when the caller has gone. */
  readonly gone: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, unless it is text of the operation's own media type; absent for an answer without content. */
  readonly body?: unknown;
}

export interface ResponseDescription {
  readonly description: string;
  /** JSON of this schema; or else text. */
  readonly schema?: z.ZodType;
  /** `application/json` by default. */
  readonly mediaType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface OperationDescription {
  readonly id: string;
  readonly method: 'GET' | 'POST';
  /** With `{parameter}`, as OpenAPI has it. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body?: z.ZodType;
  /** What is read is not public: the request is signed as a write is. */
  readonly signed?: boolean;
  /** `application/json` by default. */
  readonly bodyMediaType?: string;
  /** What is posted carries a signature of its own, so that the request need not be signed. */
  readonly authenticatesItself?: boolean;
  /** By status. */
  readonly responses: Readonly<Record<number, ResponseDescription>>;
  /** Beyond those that any operation can end in. */
  readonly problems: readonly ProblemCode[];
}

export interface Operation extends OperationDescription {
  readonly answer: (call: Call<never, never>) => Promise<Reply> | Reply;
}

export function defineOperation<P extends z.ZodObject, Q extends z.ZodObject>(
  operation: Omit<OperationDescription, 'parameters' | 'query'> & {
    readonly parameters: P;
    readonly query: Q;
    readonly answer: (call: Call<z.infer<P>, z.infer<Q>>) => Promise<Reply> | Reply;
  },
): Operation {
  return operation;
}

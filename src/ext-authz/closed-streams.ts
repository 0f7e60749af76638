// What hangs on an answered call and on its HTTP/2 stream goes with them. In Node 24 each writable stream is held by a function that V8
// allocates in the old generation, as it does every function that is written where it is assigned to a property: so each call, its
// message and all that was made of it would wait for a full collection, and full collections are the long ones (docs/decisions/0025).

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Stream } from 'node:http2';
import type { handleUnaryCall } from '@grpc/grpc-js';

const CREATED = 'http2.server.stream.created';
/** What grpc-js's call holds, and is asked for no more once it is answered; a test fails should that change. */
const NOTHING = { request: undefined, metadata: undefined, trailingMetadata: undefined, call: undefined };

/** For all HTTP/2 servers of this process. @returns what ends it */
export function releaseClosedStreams(): () => void {
  subscribe(CREATED, watch);
  return () => void unsubscribe(CREATED, watch);
}

/** What grpc-js makes for each unary call is a writable stream too, and since nothing is written to it, it never closes. */
export function releaseAnsweredCalls(handle: handleUnaryCall<Buffer, Buffer>): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) =>
    handle(call, (...reply) => {
      callback(...reply);
      Object.assign(call, NOTHING);
    });
}

function watch(message: unknown): void {
  (message as { stream: ServerHttp2Stream }).stream.once('close', release);
}

/** `close` is the last event of a stream; whoever else listens for it is still told. */
function release(this: ServerHttp2Stream): void {
  this.removeAllListeners();
  // An error without a listener would end the program.
  this.on('error', ignore);
}

function ignore(): void {}

// One response that runs through Envoy: its ext_proc filter says when the headers have come, waits for our word, and keeps this call
// open until the response has ended. To end the call with an error is to end the response; to end it without one would let the
// response go on unwatched, so that is done only when Envoy has done so first.

import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { LiveStreams } from '../streams/live-streams.ts';
import { decodeProcessingRequest } from './decode-processing-request.ts';

/** ProcessingResponse with an empty HeadersResponse, or TrailersResponse: go on, and change nothing. */
const GO_ON_HEADERS = Buffer.of(0x12, 0x00);
const GO_ON_TRAILERS = Buffer.of(0x32, 0x00);

/** google.rpc.Code ABORTED, FAILED_PRECONDITION, UNAVAILABLE: any code but 0 ends the response. */
const CUT = 10;
const REFUSED = 9;
const STOPPED = 14;

const WANTED = ['decision_id', 'chain'] as const;

export function makeWatchHandler(streams: LiveStreams, log: Logger): handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    const response = new WatchedResponse(call, streams, log);
    call.on('data', (bytes: Buffer) => response.hear(bytes));
    call.on('end', () => response.end());
    call.on('cancelled', () => response.ended());
    call.on('error', () => response.ended());
  };
}

class WatchedResponse {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #streams: LiveStreams;
  readonly #log: Logger;
  /** `watched` from the headers on. */
  #state: 'new' | 'watched' | 'ended' = 'new';
  #leave = () => {};

  constructor(call: ServerDuplexStream<Buffer, Buffer>, streams: LiveStreams, log: Logger) {
    this.#call = call;
    this.#streams = streams;
    this.#log = log;
  }

  hear(bytes: Buffer): void {
    if (this.#state === 'ended') return;
    try {
      const { part, metadata } = decodeProcessingRequest(bytes, WANTED);
      if (part === 'response_headers' && this.#state === 'new') this.#watch(metadata);
      else if (part === 'response_trailers' && this.#state === 'watched') this.#call.write(GO_ON_TRAILERS);
      else throw new Error(`${part} when the response was ${this.#state}`);
    } catch (err) {
      this.#log.error({ err }, 'a response that cannot be watched: ended');
      this.#fail(REFUSED, 'the response cannot be watched');
    }
  }

  /** Envoy has closed its side. */
  end(): void {
    this.ended();
    this.#call.end();
  }

  ended(): void {
    this.#state = 'ended';
    this.#leave();
  }

  #watch(metadata: ReadonlyMap<string, string>): void {
    const [decisionId, chain] = WANTED.map((name) => metadata.get(name));
    if (!decisionId || !chain) throw new Error('the metadata of ext_authz is missing: nobody allowed this');
    this.#leave = this.#streams.add(decisionId, chain, (why) => this.#fail(why === 'stopped' ? STOPPED : CUT, why));
    if (this.#state !== 'new') return;
    this.#state = 'watched';
    this.#call.write(GO_ON_HEADERS);
  }

  #fail(code: number, details: string): void {
    if (this.#state === 'ended') return;
    this.ended();
    this.#call.emit('error', { code, details });
  }
}

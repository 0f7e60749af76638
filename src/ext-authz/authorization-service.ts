// One Check of Envoy's, from bytes to bytes. Whatever happens behind it, there is exactly one reply, in time, and it denies
// unless a permit was reached: a gRPC error is no deny to Envoy (an operator may have set it to let errors pass).

import { randomUUID } from 'node:crypto';
import type { handleUnaryCall, ServerUnaryCall } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { denied, type Outcome } from '../outcome.ts';
import type { InboundRequest } from '../request.ts';
import { encodeDeny } from './build-check-response.ts';
import { type CheckedHttpRequest, decodeCheckRequest } from './decode-check-request.ts';
import { parseCheckRequest } from './parse-check-request.ts';
import { problem } from './problem.ts';

/** A role's answer to a Check; a throw is answered with 503. */
export type Answer = (parsed: Outcome<InboundRequest>, check: CheckUnderWay) => Promise<Buffer>;

/** What the two who may answer a Check tell each other, so that its record says what the caller was told. */
export interface CheckUnderWay {
  /** The decision's, once it has one. */
  id: string | undefined;
  /** The caller was told that there is no conclusion. */
  givenUp: boolean;
}

export interface AuthorizationSettings {
  readonly answer: Answer;
  /** Milliseconds after which a Check without a deadline of its own is denied. */
  readonly deadlineMillis: number;
  readonly clock: () => number;
  readonly log: Logger;
}

/** Share of Envoy's deadline after which the answer is given up: the rest is for the reply to arrive. */
const SHARE = 0.8;
const STEP_MILLIS = 50;

export function makeCheckHandler(settings: AuthorizationSettings): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    let replied = false;
    const check: CheckUnderWay = { id: undefined, givenUp: false };
    const reply = (bytes: Buffer) => {
      if (replied) return;
      replied = true;
      clearTimeout(timer);
      callback(null, bytes);
    };
    const giveUp = (cause: unknown) => {
      if (replied) return;
      check.id ??= randomUUID();
      check.givenUp = true;
      const { id } = check;
      settings.log.error({ err: cause, decisionId: id }, 'check without a conclusion: denied');
      reply(encodeDeny(problem('indeterminate', 'The gateway could not decide and therefore denied.', id, settings.clock())));
    };
    const timer = setTimeout(() => giveUp(new Error('the deadline is near')), remainingMillis(call, settings));
    settings.answer(parseCheck(call.request, settings.log), check).then(reply, giveUp);
  };
}

function parseCheck(bytes: Buffer, log: Logger): Outcome<InboundRequest> {
  let http: CheckedHttpRequest | undefined;
  try {
    http = decodeCheckRequest(bytes);
  } catch {
    return denied('malformed', 'The check is not a CheckRequest.');
  }
  try {
    return parseCheckRequest(http);
  } catch (error) {
    log.error({ err: error }, 'Envoy is not configured as this service needs it: denied');
    return denied('indeterminate', 'The gateway could not decide and therefore denied.');
  }
}

function remainingMillis(call: ServerUnaryCall<Buffer, Buffer>, { deadlineMillis }: AuthorizationSettings): number {
  // grpc-js counts deadlines by the wall clock, so this is the one place that reads it directly.
  const remaining = Number(call.getDeadline()) - Date.now();
  if (!(remaining * SHARE < deadlineMillis)) return deadlineMillis;
  // In steps: Node keeps a queue for each duration, and most calls then share one.
  return Math.max(1, Math.floor((remaining * SHARE) / STEP_MILLIS) * STEP_MILLIS);
}

// Whatever happens behind a Check: one reply, in time, that denies unless a permit was reached.

import type { handleUnaryCall, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Answer, makeCheckHandler } from '../../src/ext-authz/authorization-service.ts';
import { encodeAllow } from '../../src/ext-authz/build-check-response.ts';
import type { Outcome } from '../../src/outcome.ts';
import type { InboundRequest } from '../../src/request.ts';
import { CHECK_REQUEST, CHECK_RESPONSE, decode, encode, fullProtos } from '../protos.ts';

const ALLOW = encodeAllow({ set: [], remove: [], metadata: new Uint8Array() });
const http = { method: 'GET', path: '/', host: 'gateway.example', headers: { 'agent-capability': '"a.b.c"' } };
const CHECK = encode(fullProtos, CHECK_REQUEST, { attributes: { request: { http } } });

interface Asked {
  readonly answer: Answer;
  readonly bytes?: Buffer;
  readonly deadlineMillis?: number;
  readonly deadline?: number;
}

/** The replies that a call got within `waitMillis` after the first. */
async function ask(
  { answer, bytes = CHECK, deadlineMillis = 500, deadline = Infinity }: Asked,
  waitMillis = 0,
): Promise<Buffer[]> {
  const handler: handleUnaryCall<Buffer, Buffer> = makeCheckHandler({
    answer,
    deadlineMillis,
    clock: () => 0,
    log: pino({ level: 'silent' }),
  });
  const replies: Buffer[] = [];
  await new Promise<void>((resolve) => {
    const callback: sendUnaryData<Buffer> = (error, reply) => {
      expect(error).toBeNull();
      if (reply) replies.push(reply);
      resolve();
    };
    handler({ request: bytes, getDeadline: () => deadline } as unknown as ServerUnaryCall<Buffer, Buffer>, callback);
  });
  await new Promise((resolve) => setTimeout(resolve, waitMillis));
  return replies;
}

const denied503 = { status: { code: 7 }, denied_response: { status: { code: 503 } } };
const read = (reply: Buffer | undefined) => decode(fullProtos, CHECK_RESPONSE, reply ?? Buffer.alloc(0));

test('a permit goes out as it was answered', async () => {
  expect(await ask({ answer: async () => ALLOW })).toEqual([ALLOW]);
});

test.each<[string, Answer]>([
  ['rejects', () => Promise.reject(new Error('secret cause'))],
  ['rejects with nothing', () => Promise.reject()],
  ['throws later', async () => JSON.parse('{')],
])('an answer that %s is denied with 503, and the cause stays inside', async (_, answer) => {
  const [reply, ...more] = await ask({ answer });
  expect(more).toEqual([]);
  expect(read(reply)).toMatchObject(denied503);
  expect(String(reply)).not.toContain('secret cause');
});

test('an answer that never comes is denied at the deadline', async () => {
  const started = performance.now();
  const [reply] = await ask({ answer: () => new Promise(() => {}), deadlineMillis: 50 });
  expect(read(reply)).toMatchObject(denied503);
  expect(performance.now() - started).toBeLessThan(2000);
});

test('Envoy’s own deadline counts where it is nearer, with time left for the reply', async () => {
  const started = performance.now();
  const [reply] = await ask({ answer: () => new Promise(() => {}), deadlineMillis: 60_000, deadline: Date.now() + 2500 });
  expect(read(reply)).toMatchObject(denied503);
  expect(performance.now() - started).toBeLessThan(2500);
});

test('an answer after the deadline is no second reply', async () => {
  const late: Answer = () => new Promise((resolve) => setTimeout(() => resolve(ALLOW), 80));
  const replies = await ask({ answer: late, deadlineMillis: 20 }, 120);
  expect(replies).toHaveLength(1);
  expect(read(replies[0])).toMatchObject(denied503);
});

test.each([
  ['no CheckRequest', Buffer.from('ff', 'hex'), 'malformed'],
  ['no HTTP request in it', Buffer.alloc(0), 'malformed'],
  [
    'a body that Envoy withholds',
    encode(fullProtos, CHECK_REQUEST, {
      attributes: { request: { http: { ...http, headers: { ...http.headers, 'content-length': '5' } } } },
    }),
    'indeterminate',
  ],
])('%s reaches the role as a denial', async (_, bytes, reason) => {
  let seen: Outcome<InboundRequest> | undefined;
  await ask({
    bytes,
    answer: async (parsed) => {
      seen = parsed;
      return ALLOW;
    },
  });
  expect(seen).toMatchObject({ denied: true, reason });
});

// Envoy ends calls by resetting them, and does so for every response that ends: a connection has to last all the same.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { encodeDeny } from '../../src/ext-authz/build-check-response.ts';
import { startGrpcServer } from '../../src/ext-authz/grpc-server.ts';
import { problem } from '../../src/ext-authz/problem.ts';

let stop: (() => Promise<void>) | undefined;
afterEach(() => stop?.());

const reset = (session: ClientHttp2Session): Promise<void> => {
  const call = session.request({
    ':method': 'POST',
    ':path': '/envoy.service.auth.v3.Authorization/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.on('error', () => {});
  call.close(constants.NGHTTP2_CANCEL);
  return once(call, 'close').then(() => {});
};

test('a connection on which 5000 calls were reset is still open', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'resets-'));
  const socket = join(directory, 'verify.sock');
  const server = await startGrpcServer({
    configuration: { listen: `unix:${socket}`, deadlineMillis: 1000, drainSeconds: 0 },
    check: (_, reply) => reply(null, Buffer.alloc(0)),
    refuseStranger: () => encodeDeny(problem('indeterminate', 'no', 'id', 0)),
    maxRequestBytes: 1024,
  });
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
  const ended: unknown[] = [];
  session.on('goaway', (code) => ended.push(code));
  session.on('error', (error) => ended.push(error));
  stop = async () => {
    session.destroy();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
  for (let round = 0; round < 100; round++) await Promise.all(Array.from({ length: 50 }, () => reset(session)));
  await new Promise((resolve) => session.ping(resolve));
  expect([ended, session.closed, session.destroyed]).toEqual([[], false, false]);
});

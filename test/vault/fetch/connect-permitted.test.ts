// Threat model row E7: the address that a socket is connected to is looked at before anything is sent.

import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPermitted } from '../../../src/vault/fetch/connect-permitted.ts';
import { FailedFetch, RefusedFetch } from '../../../src/vault/fetch/fetch-error.ts';
import { type Authority, answerWith, type Host, makeAuthority, startHost } from './hostile-host.ts';

let authority: Authority;
let host: Host;

beforeAll(async () => {
  authority = await makeAuthority();
  host = await startHost(authority.tls, answerWith('{}'));
});

afterAll(() => host[Symbol.asyncDispose]());

function connecting(permitted: (address: string) => boolean, signal = new AbortController().signal) {
  const addresses = [{ address: '127.0.0.1', family: 4 }];
  const secureContext = createSecureContext({ ca: authority.trustedCa });
  return connectPermitted({ hostname: 'service.test', port: host.port, addresses, permitted, secureContext, signal });
}

test('E7: one that was permitted when it was looked up and is not when connected gets no byte', async () => {
  const asked: string[] = [];
  const once = (address: string) => asked.push(address) === 1;
  await expect(connecting(once)).rejects.toBeInstanceOf(RefusedFetch);
  expect(asked).toEqual(['127.0.0.1', '127.0.0.1']);
  await expect.poll(() => [host.connections(), host.open()]).toEqual([1, 0]);
  expect(host.bytes()).toBe(0);
});

test('a permitted one is connected to, with TLS 1.2 or later and HTTP/1.1', async () => {
  const socket = await connecting(() => true);
  expect(socket.authorized).toBe(true);
  expect(socket.getProtocol()).toMatch(/^TLSv1\.[23]$/);
  socket.destroy();
  await expect.poll(host.open).toBe(0);
});

test('a signal that was given before is heard', async () => {
  const late = new FailedFetch('late');
  await expect(connecting(() => true, AbortSignal.abort(late))).rejects.toBe(late);
  await delay(100);
  expect(host.open()).toBe(0);
});

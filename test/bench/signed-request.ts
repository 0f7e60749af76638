// The bytes of a request as the bench sends them over HTTP/1.1.

import { randomBytes } from 'node:crypto';
import { readPrivateKey } from '../../src/crypto/private-key.ts';
import { type SigningCredentials, signRequest } from '../../src/sign/sign-request.ts';
import { GATEWAY_NAME } from './credentials.ts';
import type { SigningOrder } from './load-protocol.ts';

export interface RequestToSend {
  readonly path: string;
  readonly body: Uint8Array;
}

/** @returns a maker of requests that differ in nonce, time and signature. */
export function requestSigner({ path, body }: RequestToSend, order: SigningOrder): () => Buffer {
  const credentials = { key: readPrivateKey(order.key), chain: order.capability.split(' ') };
  return () => signedRequest({ path, body }, credentials, order.lifetimeSeconds);
}

export function signedRequest({ path, body }: RequestToSend, credentials: SigningCredentials, lifetimeSeconds: number): Buffer {
  const fields = new Map([['content-type', ['application/json']]]);
  const request = { method: 'POST', authority: GATEWAY_NAME, path, query: '?', fields, body };
  const moment = { now: Date.now(), lifetimeSeconds, nonce: randomBytes(16) };
  return requestBytes({ path, body }, signRequest(request, credentials, moment));
}

export function requestBytes({ path, body }: RequestToSend, headers: readonly (readonly [string, string])[]): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: ${GATEWAY_NAME}`,
    'user-agent: hermesbridge-bench',
    'accept: application/json',
    'content-type: application/json',
    `content-length: ${body.length}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

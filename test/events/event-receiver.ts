// A receiver of security events: node:https and jose, which take nothing from the code under test.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import type { Certificates } from '../envoy/certificates.ts';

export interface Received {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
}

export interface ReceiverSettings {
  readonly certificates: Pick<Certificates, 'server'>;
  readonly jwks: () => JSONWebKeySet | Promise<JSONWebKeySet>;
  readonly issuer: string;
  readonly audience: string;
  readonly port?: number;
  /** Instead of 202. */
  readonly answer?: (received: Received, response: ServerResponse) => boolean;
}

export class EventReceiver {
  /** Those that verified and were answered with 202, repetitions too. */
  readonly accepted: Received[] = [];
  /** Why others did not verify. */
  readonly faults: unknown[] = [];
  requests = 0;
  readonly #settings: ReceiverSettings;
  readonly #server: Server;

  constructor(settings: ReceiverSettings) {
    this.#settings = settings;
    const { certificateFile, keyFile } = settings.certificates.server;
    this.#server = createServer({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => void this.#take(Buffer.concat(chunks).toString(), request.headers, response));
    });
  }

  async start(): Promise<this> {
    this.#server.listen(this.#settings.port ?? 0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ids of what it was told, each once, in the order in which it came. */
  get transactions(): unknown[] {
    return [...new Set(this.accepted.map(({ claims }) => claims.txn))];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #take(body: string, headers: Record<string, unknown>, response: ServerResponse): Promise<void> {
    this.requests++;
    const { issuer, audience, jwks, answer } = this.#settings;
    try {
      const { protectedHeader, payload } = await jwtVerify(body, createLocalJWKSet(await jwks()), {
        typ: 'secevent+jwt',
        issuer,
        audience,
        maxTokenAge: 60,
        requiredClaims: ['jti', 'iat', 'events', 'sub_id'],
      });
      const received = {
        header: { ...protectedHeader },
        claims: payload,
        authorization: headers.authorization as string | undefined,
        contentType: headers['content-type'] as string | undefined,
      };
      if (answer?.(received, response) === true) return;
      this.accepted.push(received);
      response.writeHead(202).end();
    } catch (error) {
      this.faults.push(error);
      response.writeHead(400, { 'content-type': 'application/json' }).end('{"err":"invalid_request","description":"no"}');
    }
  }
}

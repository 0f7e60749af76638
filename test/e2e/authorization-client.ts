/** Someone who dials the service as Envoy does: Check, and gRPC's health service. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type ChannelCredentials,
  type Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const PROTOS = fileURLToPath(new URL('../../protos', import.meta.url));
const HEALTH = join(dirname(createRequire(import.meta.url).resolve('grpc-health-check/package.json')), 'proto');

function serviceOf(file: string, directory: string, name: string): ServiceClientConstructor {
  const loaded = loadPackageDefinition(loadSync(file, { includeDirs: [directory], keepCase: true, enums: String }));
  const found = name.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], loaded);
  return found as ServiceClientConstructor;
}

export interface CheckReply {
  readonly status: { readonly code: number };
  readonly denied_response?: { readonly status: { readonly code: number | string }; readonly body: string };
}

type Unary = (request: object, callback: (error: Error | null, reply: unknown) => void) => void;

export interface AuthorizationClient {
  /** Asks about a request without anything in it, which no gateway allows. */
  check(): Promise<CheckReply>;
  health(): Promise<string>;
  watchHealth(onStatus: (status: string) => void): ClientReadableStream<unknown>;
  close(): void;
}

/** @param address `unix:PATH` or `HOST:PORT` */
export function authorizationClient(
  address: string,
  channel: ChannelCredentials = credentials.createInsecure(),
): AuthorizationClient {
  const authorization = serviceOf('envoy/service/auth/v3/external_auth.proto', PROTOS, 'envoy.service.auth.v3.Authorization');
  const health = serviceOf('health/v1/health.proto', HEALTH, 'grpc.health.v1.Health');
  const clients = { authorization: new authorization(address, channel), health: new health(address, channel) };
  const ask = <Reply>(client: Client, method: string) =>
    new Promise<Reply>((resolve, reject) => {
      const call = (client as unknown as Record<string, Unary>)[method]?.bind(client);
      call?.({}, (error, reply) => (error ? reject(error) : resolve(reply as Reply)));
    });
  return {
    check: () => ask<CheckReply>(clients.authorization, 'Check'),
    health: async () => (await ask<{ status: string }>(clients.health, 'Check')).status,
    watchHealth: (onStatus) => {
      const watch = (clients.health as unknown as Record<string, (request: object) => ClientReadableStream<unknown>>).Watch;
      const stream = watch?.call(clients.health, {});
      if (stream === undefined) throw new Error('the health service has no Watch');
      stream.on('data', (reply: { status: string }) => onStatus(reply.status));
      stream.on('error', () => {});
      return stream;
    },
    close: () => {
      for (const client of Object.values(clients)) client.close();
    },
  };
}

// The gRPC server that Envoy asks: authorization and health on a Unix socket, on loopback, or on TCP with mutual TLS.

import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  experimental,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { HealthImplementation } from 'grpc-health-check';
import { z } from 'zod';
import { releaseAnsweredCalls, releaseClosedStreams } from './closed-streams.ts';

const millis = z.int().min(1);
const LOCAL = /^(?:unix:|127\.\d+\.\d+\.\d+:|localhost:|\[::1\]:)/;

export const serviceConfiguration = z
  .strictObject({
    listen: z
      .string()
      .regex(/^(?:unix:.+|[^\s:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})$/, 'must be unix:PATH or HOST:PORT')
      .describe('where Envoy asks: `unix:PATH` (relative to this file) or `HOST:PORT`; a port beyond loopback needs `tls`'),
    tls: z
      .strictObject({
        certificate: z.string().describe("file with this service's certificate chain, PEM; read again when it changes"),
        key: z.string().describe('file with its private key, PEM'),
        clientCa: z.string().describe("file with the CA certificates that Envoy's certificate is verified against"),
        clientNames: z
          .array(z.string().min(1))
          .min(1)
          .describe("subject alternative names (`spiffe://…` or DNS) of which Envoy's certificate must carry one"),
        serverName: z
          .string()
          .optional()
          .describe("subject alternative name by which Envoy knows this service's certificate; the host of `listen` by default"),
        envoyCertificate: z.string().optional().describe('file with the certificate chain that `up` and `envoy` give to Envoy'),
        envoyKey: z.string().optional().describe('file with its private key'),
      })
      .optional()
      .describe('mutual TLS between Envoy and this service'),
    deadlineMillis: millis.default(800).describe('a check without an answer after this time is denied with 503'),
    drainSeconds: z
      .number()
      .min(0)
      .max(300)
      .default(0)
      .describe('time between NOT_SERVING and the last answer on SIGTERM; longer than Envoy’s health interval'),
  })
  .refine(({ listen, tls }) => tls !== undefined || LOCAL.test(listen), {
    path: ['listen'],
    message: 'is a port beyond loopback: give it `tls`, or anyone who reaches it could ask in the name of Envoy',
  });
export type ServiceConfiguration = z.infer<typeof serviceConfiguration>;

export interface RunningServer {
  /** As grpc-js bound it: `unix:PATH` or `HOST:PORT` with the actual port. */
  readonly address: string;
  /** What the health service says until the server stops; checks are answered either way. */
  setServing(serving: boolean): void;
  /** NOT_SERVING, wait, finish what is in flight, stop. */
  stop(): Promise<void>;
}

export interface GrpcServerSettings {
  readonly configuration: ServiceConfiguration;
  readonly check: handleUnaryCall<Buffer, Buffer>;
  /** Watches over responses; without it Envoy must have no filter that asks for that. */
  readonly watch?: handleBidiStreamingCall<Buffer, Buffer> | undefined;
  /** Answers a peer whose certificate has none of the names. */
  readonly refuseStranger: () => Buffer;
  /** Largest request body in bytes that Envoy passes on; gRPC's limit follows from it. */
  readonly maxRequestBytes: number;
}

/** Envoy's header limit and the message's own frame: a check that is too large for gRPC would be an error and no deny. */
const HEADERS_AND_SLACK = 256 * 1024;
const FINISH_MILLIS = 5000;
const MOST_RESETS = 100_000;

const AUTHORIZATION = {
  file: 'envoy/service/auth/v3/external_auth.proto',
  service: 'envoy.service.auth.v3.Authorization',
  method: 'Check',
} as const;
const PROCESSOR = {
  file: 'envoy/service/ext_proc/v3/external_processor.proto',
  service: 'envoy.service.ext_proc.v3.ExternalProcessor',
  method: 'Process',
} as const;

const identity = (bytes: Buffer) => bytes;

export async function startGrpcServer(settings: GrpcServerSettings): Promise<RunningServer> {
  const { configuration } = settings;
  const server = new Server({
    'grpc.max_receive_message_length': settings.maxRequestBytes + HEADERS_AND_SLACK,
    'grpc.max_concurrent_streams': 1000,
    'grpc.enable_channelz': 0,
  });
  allowResets(server);
  server.addService({ Check: methodOf(AUTHORIZATION) }, { Check: releaseAnsweredCalls(guard(settings)) });
  if (settings.watch !== undefined)
    server.addService({ Process: methodOf(PROCESSOR) }, { Process: guardWatch(settings.watch, configuration) });
  const health = new HealthImplementation({ '': 'SERVING', [AUTHORIZATION.service]: 'SERVING' });
  const say = (status: 'SERVING' | 'NOT_SERVING') => {
    for (const name of ['', AUTHORIZATION.service]) health.setStatus(name, status);
  };
  let stopping = false;
  health.addToServer(server);
  const socket = configuration.listen.startsWith('unix:') ? configuration.listen.slice(5) : undefined;
  if (socket !== undefined) await clearSocket(socket);
  const port = await bind(server, configuration);
  const keepStreams = releaseClosedStreams();
  if (socket !== undefined) await chmod(socket, 0o660);
  const address = socket === undefined ? configuration.listen.replace(/\d+$/, String(port)) : configuration.listen;
  return {
    address,
    setServing: (serving) => {
      if (!stopping) say(serving ? 'SERVING' : 'NOT_SERVING');
    },
    stop: async () => {
      stopping = true;
      say('NOT_SERVING');
      await new Promise((resolve) => setTimeout(resolve, configuration.drainSeconds * 1000));
      await new Promise<void>((resolve) => {
        // A call that never ends, such as a health Watch, must not hold the program up.
        const force = setTimeout(() => {
          server.forceShutdown();
          resolve();
        }, FINISH_MILLIS);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      });
      keepStreams();
      if (socket !== undefined) await rm(socket, { force: true });
    },
  };
}

/** Envoy's method from protos/, with the bytes left to those who read and write them. */
function methodOf({ file, service, method }: typeof AUTHORIZATION | typeof PROCESSOR): MethodDefinition<Buffer, Buffer> {
  const root = fileURLToPath(new URL('../../protos', import.meta.url));
  const loaded = loadSync(file, { includeDirs: [root] })[service];
  const definition =
    loaded && method in loaded ? (loaded as Record<string, MethodDefinition<object, object>>)[method] : undefined;
  if (definition === undefined) throw new Error(`protos/ does not define ${service}`);
  return {
    ...definition,
    requestDeserialize: identity,
    requestSerialize: identity,
    responseDeserialize: identity,
    responseSerialize: identity,
  };
}

/**
 * Node takes more than 33 resets a second for an attack and ends the connection, and every call on it. Here they are Envoy's way to
 * end a call whose response has ended, or whose client has gone, so each connection takes as many as there can be requests.
 * grpc-js has no option for it; a test fails should it stop handing these on.
 */
function allowResets(server: Server): void {
  const { commonServerOptions } = server as unknown as { commonServerOptions: Record<string, unknown> };
  Object.assign(commonServerOptions, { streamResetBurst: MOST_RESETS, streamResetRate: MOST_RESETS });
}

/** Anyone who can dial the port could otherwise ask in Envoy's name, burn nonces or use the service as an oracle. */
function guard({ configuration, check, refuseStranger }: GrpcServerSettings): handleUnaryCall<Buffer, Buffer> {
  const names = configuration.tls?.clientNames;
  if (names === undefined) return check;
  return (call, callback) => (isKnown(call, names) ? check(call, callback) : callback(null, refuseStranger()));
}

function guardWatch(
  watch: handleBidiStreamingCall<Buffer, Buffer>,
  { tls }: ServiceConfiguration,
): handleBidiStreamingCall<Buffer, Buffer> {
  const names = tls?.clientNames;
  if (names === undefined) return watch;
  return (call) =>
    isKnown(call, names)
      ? watch(call)
      : void call.emit('error', { code: status.PERMISSION_DENIED, details: 'the peer is not a gateway of ours' });
}

function isKnown(call: Pick<ServerUnaryCall<Buffer, Buffer>, 'getAuthContext'>, names: readonly string[]): boolean {
  const alternatives = call.getAuthContext().sslPeerCertificate?.subjectaltname ?? '';
  // Node prints them as `DNS:a, URI:b` and quotes a name that holds a comma, which then equals none of ours.
  return alternatives.split(', ').some((entry) => names.includes(entry.replace(/^(?:DNS|URI|IP Address):/, '')));
}

/** @throws when the address is taken, or the TLS files cannot be read. */
async function bind(server: Server, { listen, tls }: ServiceConfiguration): Promise<number> {
  const credentials = tls === undefined ? ServerCredentials.createInsecure() : mutualTls(tls);
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

function mutualTls(tls: NonNullable<ServiceConfiguration['tls']>): ServerCredentials {
  const identityFiles = new experimental.FileWatcherCertificateProvider({
    certificateFile: tls.certificate,
    privateKeyFile: tls.key,
    caCertificateFile: tls.clientCa,
    refreshIntervalMs: 10_000,
  });
  return experimental.createCertificateProviderServerCredentials(identityFiles, identityFiles, true);
}

/** Removes what a killed process left behind, and nothing that someone still listens on. */
async function clearSocket(path: string): Promise<void> {
  if (!isAbsolute(path)) throw new Error(`socket ${path} must be an absolute path`);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const inUse = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => resolve(true)).on('error', () => resolve(false));
    probe.on('connect', () => probe.destroy());
  });
  if (inUse) throw new Error(`socket ${path} is in use: another hermesbridge listens there`);
  await rm(path, { force: true });
}

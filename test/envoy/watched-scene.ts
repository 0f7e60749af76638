/** A gateway's Envoy whose responses are watched over, with a provider that the test writes and a service that allows everything. */

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import { encodeAllow, metadataStruct } from '../../src/ext-authz/build-check-response.ts';
import { startGrpcServer } from '../../src/ext-authz/grpc-server.ts';
import { type ScriptedProvider, startScriptedProvider } from '../e2e/scripted-provider.ts';
import { startScene, temporaryDirectory } from './scene.ts';

export type Watch = handleBidiStreamingCall<Buffer, Buffer>;

export interface WatchedScene extends AsyncDisposable {
  readonly port: number;
  readonly adminSocket: string;
  readonly provider: ScriptedProvider;
  /** As on SIGTERM: what runs has five seconds to end, then its connections are closed. */
  stopService(): Promise<void>;
  /** As when it is killed. */
  killService(): void;
}

export interface WatchedSceneSettings {
  /** For an answer of the service; two seconds otherwise. */
  readonly timeoutMillis?: number;
  readonly watch?: Watch | undefined;
  /** What the service leaves as dynamic metadata of every request. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly upstream?: URL;
}

export async function startWatchedScene(settings: WatchedSceneSettings): Promise<WatchedScene> {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryDirectory());
  const provider = stack.use(await startScriptedProvider());
  const allow = encodeAllow({ set: [], remove: [], metadata: metadataStruct(settings.metadata ?? {}) });
  const socket = `${path}/service.sock`;
  const service = await startGrpcServer({
    configuration: { listen: `unix:${socket}`, deadlineMillis: 1000, drainSeconds: 0 },
    check: (_call, callback) => callback(null, allow),
    watch: settings.watch,
    refuseStranger: () => Buffer.alloc(0),
    maxRequestBytes: 100_000,
  });
  let stopped: Promise<void> | undefined;
  const stopService = () => (stopped ??= service.stop());
  stack.defer(stopService);
  // Between the two, so that the connections can break without a word.
  const sockets = new Set<Socket>();
  const between = createServer((envoy) => {
    const toService = connect(socket);
    for (const end of [envoy, toService]) sockets.add(end.on('error', () => {}));
    envoy.pipe(toService).pipe(envoy);
  }).listen(`${path}/between.sock`);
  await once(between, 'listening');
  const killService = () => {
    between.close();
    for (const end of sockets) end.destroy();
  };
  stack.defer(killService);
  const scene = stack.use(
    await startScene({
      upstream: settings.upstream ?? new URL(provider.url),
      gateway: {
        authorizationService: { unixSocket: `${path}/between.sock` },
        cutStreams: true,
        ...(settings.timeoutMillis && { timeoutMillis: settings.timeoutMillis }),
      },
    }),
  );
  return {
    port: scene.port,
    adminSocket: `${scene.directory}/admin.sock`,
    provider,
    stopService,
    killService,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

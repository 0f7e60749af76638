/** A gateway's Envoy with a loopback provider `local` and an allowing Check server, in a directory of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CredentialSource, credentialFile } from '../../src/envoy/credential-file.ts';
import { type GatewayBootstrap, type GatewayProvider, gatewayBootstrap } from '../../src/envoy/gateway-bootstrap.ts';
import { startEnvoy } from '../../src/envoy/run-envoy.ts';
import { type CheckServer, startCheckServer } from './loopback.ts';

export interface Scene extends AsyncDisposable {
  port: number;
  check: CheckServer;
  directory: string;
}

export interface SceneSettings {
  upstream: URL;
  gateway?: Partial<GatewayBootstrap>;
  provider?: Partial<GatewayProvider>;
  credential?: CredentialSource;
  watchMillis?: number;
}

export function temporaryDirectory(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'hb-envoy-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export async function startScene(settings: SceneSettings): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  const { path: directory } = stack.use(temporaryDirectory());
  const check = stack.use(await startCheckServer(`unix:${directory}/check.sock`));
  const sdsFile = join(directory, 'credentials', 'local.json');
  const source = settings.credential ?? { environment: 'KEY' };
  const credential = await credentialFile({
    name: 'local',
    source,
    sdsFile,
    environment: { KEY: 'sk-environment' },
    watchMillis: settings.watchMillis ?? 50,
  });
  stack.defer(credential.close);
  const bootstrap = gatewayBootstrap({
    listen: { address: '127.0.0.1', port: 0 },
    authorities: ['gateway.example'],
    maxRequestBytes: 100_000,
    authorizationService: { unixSocket: `${directory}/check.sock` },
    admin: { unixSocket: `${directory}/admin.sock` },
    timeoutMillis: 2000,
    cutStreams: false, // the Check server here watches over nothing
    providers: [
      {
        name: 'local',
        prefix: '/local/',
        upstream: settings.upstream,
        sdsFile,
        credential: { header: 'authorization', prefix: 'Bearer ' },
        ...settings.provider,
      },
    ],
    ...settings.gateway,
  });
  const envoy = await startEnvoy({ bootstrap, directory: join(directory, 'run'), concurrency: 1 });
  stack.defer(envoy.stop);
  const port = envoy.ports.gateway;
  if (port === undefined) throw new Error('Envoy has no listener `gateway`');
  return { port, check, directory, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

// Envoy in a container, where a Docker daemon runs here and has the image (it is not pulled for a test).

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { type CredentialSource, credentialFile } from '../../src/envoy/credential-file.ts';
import { type GatewayBootstrap, gatewayBootstrap } from '../../src/envoy/gateway-bootstrap.ts';
import { type EnvoyLocation, envoyImage } from '../../src/envoy/locate-envoy.ts';
import { adminGet, startEnvoy } from '../../src/envoy/run-envoy.ts';
import { makeCertificates } from './certificates.ts';
import { post, startCheckServer, startUpstream } from './loopback.ts';
import { temporaryDirectory } from './scene.ts';

const envoy: EnvoyLocation = { kind: 'docker', image: envoyImage };
const missing = whyNoDocker();
const SOON = { timeout: 20_000, interval: 100 };

describe.skipIf(missing !== undefined)(
  `Envoy in a container${missing ? ` (skipped: ${missing})` : ''}`,
  { timeout: 120_000 },
  () => {
    test('reads sockets, keys, certificates and CAs wherever they lie, and takes up what is replaced there', async () => {
      await using stack = new AsyncDisposableStack();
      const { path: directory } = stack.use(temporaryDirectory());
      const at = (name: string) => {
        mkdirSync(join(directory, name), { mode: 0o700 });
        return join(directory, name);
      };
      const certificates = await makeCertificates(at('tls, "quoted" and:more'));
      const upstream = stack.use(await startUpstream({ tls: certificates.server }));
      const check = stack.use(await startCheckServer(`unix:${at('service')}/check.sock`));
      const keyFile = join(at('keys'), 'local.key');
      writeFileSync(keyFile, 'sk-first', { mode: 0o600 });
      const run = join(directory, 'run');
      const { bootstrap, close } = await gatewayIn(run, join(directory, 'service', 'check.sock'), upstream.url, {
        source: { file: keyFile },
        trustedCaFile: certificates.trustedCaFile,
        accessLog: true,
      });
      stack.defer(close);
      const lines: string[] = [];
      const started = await startEnvoy({ bootstrap, directory: run, envoy, concurrency: 1, onLog: (line) => lines.push(line) });
      stack.defer(started.stop);
      const port = started.ports.gateway ?? 0;

      expect((await post(port, { path: '/local/v1/x' })).status).toBe(200);
      expect(check.checks).toHaveLength(1);
      expect(upstream.received.at(-1)?.headers.authorization).toBe('Bearer sk-first');
      await vi.waitFor(() => expect(lines.some((line) => line.startsWith('{'))).toBe(true), SOON);

      writeFileSync(`${keyFile}.new`, 'sk-second', { mode: 0o600 });
      renameSync(`${keyFile}.new`, keyFile);
      await vi.waitFor(async () => {
        await post(port, { path: '/local/v1/x' });
        expect(upstream.received.at(-1)?.headers.authorization).toBe('Bearer sk-second');
      }, SOON);

      const socket = statSync(join(run, 'admin.sock'));
      expect([socket.uid, socket.mode & 0o777]).toEqual([process.getuid?.(), 0o600]);
      expect(containersOf(run)).toHaveLength(1);
      await Promise.all([started.stop(), started.stop()]);
      expect(containersOf(run)).toEqual([]);
    });

    test('that dies early says why', async () => {
      using first = temporaryDirectory();
      using second = temporaryDirectory();
      const running = await startGateway(first.path);
      const taken = startGateway(second.path, { listen: { address: '127.0.0.1', port: running.ports.gateway ?? 0 } });
      await expect(taken).rejects.toThrow(/Envoy exited with 1[\s\S]*Address already in use/);
      expect(containersOf(second.path)).toEqual([]);
      await running.stop();
    });

    test('a file that is not there is named', async () => {
      using directory = temporaryDirectory();
      const tls = { certificateFile: '/nowhere/tls.crt', keyFile: '/nowhere/tls.key' };
      await expect(startGateway(directory.path, { tls })).rejects.toThrow(
        /Envoy exited with 125[\s\S]*\/nowhere\/tls\.(crt|key)/,
      );
    });

    test.each(['TERM', 'KILL'])('ends when the docker client is ended by SIG%s, and says so once', async (signal) => {
      using directory = temporaryDirectory();
      const onExit = vi.fn();
      const running = await startGateway(directory.path, {}, onExit);
      process.kill(running.pid, `SIG${signal}`);
      await vi.waitFor(() => expect(onExit).toHaveBeenCalledOnce(), SOON);
      await vi.waitFor(() => expect(containersOf(directory.path)).toEqual([]), SOON);
      await running.stop();
    });

    test('that does not answer any more is killed, and `stop` waits for that', async () => {
      using directory = temporaryDirectory();
      const running = await startGateway(directory.path);
      const [container = ''] = containersOf(directory.path);
      const freeze = 'for at in /proc/[0-9]*; do [ "$(cat $at/comm)" != envoy ] || kill -STOP $(basename $at); done';
      docker('exec', '--user', '0', container, 'sh', '-c', freeze);
      await expect(adminGet(join(directory.path, 'admin.sock'), '/ready')).rejects.toThrow('no answer');
      await running.stop();
      expect(containersOf(directory.path)).toEqual([]);
    });

    test.each(['SIGTERM', 'SIGKILL', 'an exit'])('ends with the program that started it, by %s', async (how) => {
      using directory = temporaryDirectory();
      const { bootstrap, close } = await gatewayIn(
        directory.path,
        join(directory.path, 'check.sock'),
        new URL('http://127.0.0.1:9'),
      );
      await close();
      const program = `
      import { startEnvoy } from ${JSON.stringify(import.meta.resolve('../../src/envoy/run-envoy.ts'))};
      await startEnvoy(${JSON.stringify({ bootstrap, directory: directory.path, envoy, concurrency: 1 })});
      process.stdout.write('ready');
      process.stdin.once('data', () => process.exit());`;
      const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['pipe', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      expect(containersOf(directory.path)).toHaveLength(1);
      const exited = once(child, 'exit');
      if (how === 'an exit') child.stdin.write('now');
      else child.kill(how as NodeJS.Signals);
      await exited;
      await vi.waitFor(() => expect(containersOf(directory.path)).toEqual([]), SOON);
    });
  },
);

async function startGateway(directory: string, change: Partial<GatewayBootstrap> = {}, onExit = (_error: Error) => {}) {
  const service = join(directory, 'check.sock');
  const { bootstrap, close } = await gatewayIn(directory, service, new URL('http://127.0.0.1:9'), { ...change });
  await close();
  return startEnvoy({ bootstrap, directory, envoy, concurrency: 1, onExit });
}

interface Change extends Partial<GatewayBootstrap> {
  source?: CredentialSource;
  trustedCaFile?: string;
}

async function gatewayIn(run: string, unixSocket: string, upstream: URL, { source, trustedCaFile, ...change }: Change = {}) {
  const sdsFile = join(run, 'credentials', 'local.json');
  const { close } = await credentialFile({
    name: 'local',
    source: source ?? { environment: 'KEY' },
    sdsFile,
    environment: { KEY: 'sk-environment' },
    watchMillis: 50,
  });
  const bootstrap = gatewayBootstrap({
    listen: { address: '127.0.0.1', port: 0 },
    authorities: ['gateway.example'],
    maxRequestBytes: 100_000,
    authorizationService: { unixSocket },
    admin: { unixSocket: join(run, 'admin.sock') },
    timeoutMillis: 2000,
    cutStreams: false,
    providers: [
      {
        name: 'local',
        prefix: '/local/',
        upstream,
        sdsFile,
        credential: { header: 'authorization', prefix: 'Bearer ' },
        ...(trustedCaFile !== undefined && { trustedCaFile }),
      },
    ],
    ...change,
  });
  return { bootstrap, close };
}

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', timeout: 20_000, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Containers in any state that have this directory mounted. */
function containersOf(directory: string): string[] {
  return docker('ps', '--all', '--quiet', '--filter', `volume=${directory}`).split('\n').filter(Boolean);
}

function whyNoDocker(): string | undefined {
  try {
    docker('version', '--format', '{{.Server.Version}}');
  } catch {
    return 'no Docker daemon answers';
  }
  try {
    docker('image', 'inspect', '--format', '{{.Id}}', envoyImage);
  } catch {
    return `no image ${envoyImage} here`;
  }
  return undefined;
}

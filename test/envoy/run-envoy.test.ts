import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { adminGet, startEnvoy } from '../../src/envoy/run-envoy.ts';
import { sidecarBootstrap } from '../../src/envoy/sidecar-bootstrap.ts';
import { temporaryDirectory } from './scene.ts';

function bootstrapIn(directory: string, change: { port?: number } = {}) {
  return sidecarBootstrap({
    listen: { address: '127.0.0.1', port: change.port ?? 0 },
    maxRequestBytes: 1000,
    authorizationService: { unixSocket: `${directory}/sign.sock` },
    admin: { unixSocket: `${directory}/admin.sock` },
    timeoutMillis: 800,
    gateway: { url: new URL('http://127.0.0.1:9') },
  });
}

describe('an Envoy started here', { timeout: 120_000 }, () => {
  test('has its actual port, keeps its files for its owner, and ends when stopped, as often as asked', async () => {
    using directory = temporaryDirectory();
    const run = join(directory.path, 'run');
    const onExit = vi.fn();
    const envoy = await startEnvoy({ bootstrap: bootstrapIn(directory.path), directory: run, onExit });
    expect(envoy.ports.sidecar).toBeGreaterThan(0);
    expect(statSync(run).mode & 0o777).toBe(0o700);
    expect(statSync(join(run, 'bootstrap.json')).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory.path, 'admin.sock')).mode & 0o777).toBe(0o600);
    expect(await adminGet(join(directory.path, 'admin.sock'), '/ready')).toMatchObject({ status: 200, body: 'LIVE\n' });
    await Promise.all([envoy.stop(), envoy.stop()]);
    await envoy.stop();
    expect(() => globalThis.process.kill(envoy.pid, 0)).toThrow('ESRCH');
    expect(onExit).not.toHaveBeenCalled();
  });

  test('tells once when it ends by itself, and can be started again over what it left', async () => {
    using directory = temporaryDirectory();
    const onExit = vi.fn();
    const settings = { bootstrap: bootstrapIn(directory.path), directory: join(directory.path, 'run') };
    const envoy = await startEnvoy({ ...settings, onExit });
    globalThis.process.kill(envoy.pid, 'SIGKILL');
    await vi.waitFor(() => expect(onExit).toHaveBeenCalledOnce());
    expect(String(onExit.mock.calls[0]?.[0])).toContain('was ended by SIGKILL');
    await envoy.stop();
    const again = await startEnvoy(settings);
    expect(again.ports.sidecar).toBeGreaterThan(0);
    await again.stop();
  });

  test('that dies early says why: its last lines are in the error', async () => {
    using directory = temporaryDirectory();
    const first = await startEnvoy({ bootstrap: bootstrapIn(directory.path), directory: join(directory.path, 'run') });
    using other = temporaryDirectory();
    const taken = startEnvoy({
      bootstrap: bootstrapIn(other.path, { port: first.ports.sidecar ?? 0 }),
      directory: join(other.path, 'run'),
    });
    await expect(taken).rejects.toThrow(/Envoy exited with 1[\s\S]*Address already in use/);
    await first.stop();
  });

  test('is not started on a socket path that Linux cannot bind, which is named', async () => {
    using directory = temporaryDirectory();
    const long = join(directory.path, 'd'.repeat(100));
    const started = startEnvoy({ bootstrap: bootstrapIn(long), directory: join(directory.path, 'run') });
    await expect(started).rejects.toThrow(
      /Unix socket path of \d+ bytes, 107 are possible; use a shorter directory: .*admin\.sock/,
    );
  });

  test('that cannot be run is an error', async () => {
    using directory = temporaryDirectory();
    const envoy = { kind: 'binary', path: join(directory.path, 'envoy') } as const;
    const started = startEnvoy({ bootstrap: bootstrapIn(directory.path), directory: join(directory.path, 'run'), envoy });
    await expect(started).rejects.toThrow(/did not start: .*ENOENT/);
  });
});

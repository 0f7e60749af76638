/**
 * Starts an Envoy on a rendered bootstrap and waits until it serves: for `serve`, the sidecar command and every test with a real Envoy.
 * The run directory holds the bootstrap and the admin socket and is the owner's alone.
 */
import type { ChildProcess } from 'node:child_process';
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dockerCommand } from './docker-command.ts';
import { startBinary, startContainer } from './envoy-child.ts';
import type { EnvoyBootstrap } from './envoy-config.ts';
import { type EnvoyLocation, locateEnvoy } from './locate-envoy.ts';

export type EnvoyLogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'critical' | 'off';

export interface StartEnvoy {
  bootstrap: EnvoyBootstrap;
  /** Run directory, made when missing, mode 0700. Each running Envoy needs its own. */
  directory: string;
  /** Default: `locateEnvoy()`. */
  envoy?: EnvoyLocation;
  /** Default `warning`. */
  logLevel?: EnvoyLogLevel;
  /** Worker threads; default 2. */
  concurrency?: number;
  /** Milliseconds until it must be ready; default 20000 (credentials that do not load hold it back for up to 15 s). */
  readyMillis?: number;
  /** Most milliseconds that streams in flight are given to end when Envoy is stopped; default 0. */
  drainMillis?: number;
  /** Each line that Envoy writes, access log included. */
  onLog?: (line: string) => void;
  /** Called once when Envoy ends without `stop()` after it was ready; the message ends with its last log lines. */
  onExit?: (error: Error) => void;
}

export interface RunningEnvoy {
  /** Of Envoy itself, or of the docker client. */
  pid: number;
  /** Actual port of each TCP listener, by name (`gateway`, `sidecar`). */
  ports: Record<string, number>;
  /** Takes no new connections, lets what runs end for `drainMillis`, then SIGTERM, and SIGKILL after 5 s. May be called more than once. */
  stop(): Promise<void>;
}

/** sun_path has 108 bytes with its NUL, and Envoy refuses more with a message that does not name the path. */
const longestSocketPath = 107;
const linesKept = 20;

/** Throws an Error with Envoy's last log lines when it ends early or is not ready in time; nothing is left running then. */
export async function startEnvoy(settings: StartEnvoy): Promise<RunningEnvoy> {
  const envoy = settings.envoy ?? (await locateEnvoy());
  const sockets = unixSocketsOf(settings.bootstrap);
  for (const path of sockets) {
    const length = Buffer.byteLength(path);
    if (length > longestSocketPath) {
      throw new Error(`Unix socket path of ${length} bytes, ${longestSocketPath} are possible; use a shorter directory: ${path}`);
    }
  }
  const adminSocket = settings.bootstrap.admin.address.pipe.path;
  await mkdir(settings.directory, { recursive: true, mode: 0o700 });
  await chmod(settings.directory, 0o700);
  const file = join(settings.directory, 'bootstrap.json');
  await writeFile(`${file}.new`, `${JSON.stringify(settings.bootstrap, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);

  const args = ['--config-path', file, '--disable-hot-restart', '--log-level', settings.logLevel ?? 'warning'];
  args.push('--concurrency', String(settings.concurrency ?? 2));
  const { child, terminate, endWithUs, killMillis, advice } =
    envoy.kind === 'binary'
      ? startBinary(envoy.path, args)
      : startContainer(await dockerCommand({ ...settings, image: envoy.image, args }));
  const watched = watch(child, settings.onLog);
  process.once('exit', endWithUs);

  let expected = false;
  let ready = false;
  const stop = async () => {
    expected = true;
    if (ready && watched.how() === undefined) await drain(adminSocket, settings.drainMillis ?? 0);
    if (child.exitCode === null && child.signalCode === null) terminate();
    const timer = setTimeout(() => child.kill('SIGKILL'), killMillis);
    await watched.ended;
    clearTimeout(timer);
    process.off('exit', endWithUs);
  };

  try {
    const ports = await untilReady(adminSocket, settings.readyMillis ?? 20_000, watched, advice);
    void watched.ended.then((how) => {
      process.off('exit', endWithUs);
      if (!expected) settings.onExit?.(new Error(`Envoy ${how}${watched.tail()}`));
    });
    if (child.pid === undefined) throw new Error('Envoy has no pid');
    ready = true;
    return { pid: child.pid, ports, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Watched {
  /** Set when the child has ended: `exited with 1`, `was ended by SIGKILL`, `did not start: ...`. */
  how(): string | undefined;
  ended: Promise<string>;
  tail(): string;
}

function watch(child: ChildProcess, onLog: ((line: string) => void) | undefined): Watched {
  const tail: string[] = [];
  let how: string | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        tail.push(line);
        if (tail.length > linesKept) tail.shift();
        onLog?.(line);
      }
    });
  }
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`did not start: ${error.message}`));
    child.once('close', (code, signal) => resolve(signal ? `was ended by ${signal}` : `exited with ${code}`));
  }).then((text) => {
    how = text;
    return text;
  });
  return { how: () => how, ended, tail: () => (tail.length > 0 ? `; its last lines:\n${tail.join('\n')}` : '') };
}

async function untilReady(
  adminSocket: string,
  readyMillis: number,
  watched: Watched,
  advice = '',
): Promise<Record<string, number>> {
  const deadline = performance.now() + readyMillis;
  for (;;) {
    const how = watched.how();
    if (how !== undefined) throw new Error(`Envoy ${how}${watched.tail()}`);
    const ready = await adminGet(adminSocket, '/ready').catch(() => undefined);
    if (ready?.status === 200) return portsOf((await adminGet(adminSocket, '/listeners?format=json')).body);
    if (performance.now() > deadline) {
      throw new Error(`Envoy is not ready after ${readyMillis} ms${ready ? ` (${ready.body.trim()})` : advice}${watched.tail()}`);
    }
    await Promise.race([sleep(25), watched.ended]);
  }
}

/** Closes the listeners and waits until no request is in flight, or `millis` are over. An Envoy that does not answer is not waited for. */
async function drain(adminSocket: string, millis: number): Promise<void> {
  const deadline = performance.now() + millis;
  try {
    await admin('POST', adminSocket, '/drain_listeners');
    while (performance.now() < deadline) {
      const { body } = await adminGet(adminSocket, '/stats?filter=^http\\..*downstream_rq_active$');
      const active = body.split('\n').filter((line) => !line.startsWith('http.admin.') && / [1-9]\d*$/.test(line));
      if (active.length === 0) return;
      await sleep(50);
    }
  } catch {
    // It is about to be ended anyway.
  }
}

/** One GET on the admin interface. */
export function adminGet(adminSocket: string, path: string): Promise<{ status: number; body: string }> {
  return admin('GET', adminSocket, path);
}

function admin(method: string, adminSocket: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ method, socketPath: adminSocket, path, timeout: 2000, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer from Envoy's admin interface on ${path}`)));
    sent.on('error', reject).end();
  });
}

interface ListenerStatuses {
  listener_statuses?: { name: string; local_address: { socket_address?: { port_value: number } } }[];
}

function portsOf(json: string): Record<string, number> {
  const { listener_statuses: statuses = [] } = JSON.parse(json) as ListenerStatuses;
  const ports: Record<string, number> = {};
  for (const status of statuses) {
    const port = status.local_address.socket_address?.port_value;
    if (port !== undefined) ports[status.name] = port;
  }
  return ports;
}

/** Every `pipe` in the bootstrap: the admin socket and the service's. */
function unixSocketsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([field, inner]) => {
    const path = field === 'pipe' && typeof inner === 'object' && inner !== null && 'path' in inner ? inner.path : undefined;
    return typeof path === 'string' ? [path] : unixSocketsOf(inner);
  });
}

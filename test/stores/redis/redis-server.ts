/** A real redis-server of the test's own: over TLS, with the ACL of docs/redis.md, killed and started again as the test wants. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { freePort } from '../../../examples/quickstart/free-port.ts';
import { type Certificates, makeCertificates } from '../../envoy/certificates.ts';

/** Of `redis-server` on the PATH; without one, what needs it is skipped and says so. */
export const redisVersion = ((): string | undefined => {
  try {
    return /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1];
  } catch {
    return undefined;
  }
})();
/** For the title of what is skipped without it. */
export const withRedis = redisVersion === undefined ? ' (skipped: no redis-server on the PATH)' : '';

export const FLEET_SECRET = 'a secret of the fleet, known to no Redis';
const PASSWORD = 'password-of-the-gateways';
export const ADMIN_PASSWORD = 'password-of-the-test';
const READY_MILLIS = 10_000;

export interface RedisOptions {
  /** Lines of redis.conf. */
  readonly lines?: readonly string[];
  /** Instead of the user of docs/redis.md, and of nobody else. */
  readonly users?: readonly string[];
  /** Of another one of the same test; its own by default. */
  readonly certificates?: Certificates;
}

export interface TestRedis {
  readonly port: number;
  readonly directory: string;
  readonly certificates: Certificates;
  /** The `redis` section of a gateway. */
  readonly section: Record<string, unknown>;
  /** May everything. */
  readonly admin: Redis;
  readonly pid: number;
  signal(name: NodeJS.Signals): void;
  kill(): Promise<void>;
  /** On the same port; with what it had on disk, which is nothing unless `lines` say so. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The rule that docs/redis.md gives: what the tests run with is what the page says. */
export function documentedRule(): string {
  const page = readFileSync(fileURLToPath(new URL('../../../docs/redis.md', import.meta.url)), 'utf8');
  const rule = /^user hermesbridge on >\S+ (?<rule>.+)$/m.exec(page)?.groups?.rule;
  if (rule === undefined) throw new Error('docs/redis.md gives no rule');
  return rule;
}

export async function startRedis({ lines = [], users, ...options }: RedisOptions = {}): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-redis-'));
  await chmod(directory, 0o700);
  const certificates = options.certificates ?? (await makeCertificates(directory));
  const port = await freePort();
  await writeFile(
    join(directory, 'users.acl'),
    (users ?? [`user default off`, `user hermesbridge on >${PASSWORD} ${documentedRule()}`])
      .concat(`user admin on >${ADMIN_PASSWORD} ~* &* +@all`, '')
      .join('\n'),
  );
  const secretFile = async (name: string, secret: string) => {
    const file = join(directory, name);
    await writeFile(file, secret, { mode: 0o600 });
    return { file };
  };
  await writeFile(
    join(directory, 'redis.conf'),
    [
      ...tlsLines(port, certificates),
      `aclfile ${join(directory, 'users.acl')}`,
      `dir ${directory}`,
      'save ""',
      ...lines,
      '',
    ].join('\n'),
  );
  const section = {
    url: `rediss://localhost:${port}`,
    username: 'hermesbridge',
    password: await secretFile('redis.password', PASSWORD),
    tls: { trustedCa: certificates.trustedCaFile },
    secret: await secretFile('fleet.secret', FLEET_SECRET),
  };
  let child = await run(directory);
  const admin = new Redis({
    host: 'localhost',
    port,
    username: 'admin',
    password: ADMIN_PASSWORD,
    tls: { ca: readFileSync(certificates.trustedCaFile) },
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  admin.on('error', () => {});
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return {
    port,
    directory,
    certificates,
    section,
    admin,
    get pid() {
      return child.pid ?? 0;
    },
    signal: (name) => void child.kill(name),
    kill,
    start: async () => {
      child = await run(directory);
    },
    stop: async () => {
      admin.disconnect();
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function tlsLines(port: number, { server, trustedCaFile }: Certificates): string[] {
  return [
    'bind 127.0.0.1',
    'port 0',
    `tls-port ${port}`,
    `tls-cert-file ${server.certificateFile}`,
    `tls-key-file ${server.keyFile}`,
    `tls-ca-cert-file ${trustedCaFile}`,
    'tls-auth-clients no',
  ];
}

export async function run(directory: string, file = 'redis.conf', ...more: string[]): Promise<ChildProcess> {
  const child = spawn('redis-server', [join(directory, file), ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`redis-server is not ready:\n${log}`)), READY_MILLIS);
    const hear = (text: string) => {
      log += text;
      if (!/Ready to accept connections|Sentinel ID is|Sentinel new configuration/.test(log)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}:\n${log}`)));
  });
  return child;
}

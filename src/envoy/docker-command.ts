/**
 * Envoy in a container, to be used as if it ran here: on this host's network, as our user, and with every file that its bootstrap
 * names under that file's own path.
 *
 * The plain docker client and not testcontainers: a client with our pipes is a child like any other, with Envoy's log on its output
 * and its end as its exit, in the published program as in the tests. testcontainers would be one more dependency of the program, does
 * not tell when a container ends, and after our own SIGKILL leaves it to a second, privileged container (Ryuk), where there is one.
 */
import { readFile, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import type { EnvoyBootstrap } from './envoy-config.ts';

export interface DockerCommand {
  image: string;
  /** Envoy's run directory. */
  directory: string;
  bootstrap: EnvoyBootstrap;
  /** Of Envoy. */
  args: string[];
}

/** Host path, which is the container's too, to whether Envoy only reads there. */
export type Mounts = Map<string, { readOnly: boolean }>;

/**
 * Waits in the container for the end of standard input, which comes when we close it, when we are gone however we went, and when the
 * docker client is gone: a signal to the client would reach Envoy in the first case only.
 */
const untilInputEnds = '(cat <&3 >/dev/null; kill -TERM $$; sleep 5; kill -KILL $$) & exec envoy "$@" 3<&- </dev/null';

/** Arguments of `docker`. Its standard input must be a pipe: Envoy is ended by closing it (SIGTERM, SIGKILL after 5 s). */
export async function dockerCommand(settings: DockerCommand): Promise<string[]> {
  const mounts = await envoyMounts(settings.bootstrap, settings.directory);
  return [
    ...['run', '--rm', '--init', '--interactive', '--pull', 'never', '--network', 'host', '--userns', 'host'],
    ...['--user', `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`],
    ...(process.getgroups?.() ?? []).flatMap((group) => ['--group-add', String(group)]),
    // With SELinux a container may neither read our files nor connect to our socket; relabelling them would change the host.
    ...['--security-opt', 'label=disable'],
    // Envoy's log is ours to keep or to drop; the daemon would write a second copy.
    ...['--log-driver', 'none'],
    ...[...mounts].flatMap(([path, { readOnly }]) => ['--mount', mountOption(path, readOnly)]),
    ...['--entrypoint', '/bin/sh', settings.image, '-c', `exec 3<&0; ${untilInputEnds}`, 'sh', ...settings.args],
  ];
}

/** What has to be mounted for a bootstrap, and for the SDS files that it names and that must exist by now. */
export async function envoyMounts(bootstrap: EnvoyBootstrap, directory: string): Promise<Mounts> {
  const written = [resolve(directory), dirname(bootstrap.admin.address.pipe.path)];
  const read = new Set<string>();
  // Directories, since a socket is a new one after the service's restart, and Envoy sees an SDS file replaced only in its directory.
  for (const path of pathsOf(bootstrap, 'pipe', 'path')) read.add(dirname(path));
  for (const path of pathsOf(bootstrap, 'path_config_source', 'path')) {
    read.add(dirname(path));
    for (const key of stringsOf(parse(await readFile(path, 'utf8')), 'filename'))
      for (const at of await keyMounts(key)) read.add(at);
  }
  // Certificates are read once; a file is mounted with what its symbolic links lead to.
  for (const path of stringsOf(bootstrap, 'filename')) read.add(resolve(path));

  const mounts: Mounts = new Map();
  for (const path of outermost(written)) mounts.set(path, { readOnly: false });
  const unseen = [...read].filter((path) => !written.some((other) => isWithin(path, other)));
  for (const path of outermost(unseen)) mounts.set(path, { readOnly: true });
  return mounts;
}

/** Directories that the image itself needs, or that cannot be mounted: a key file in one of them is mounted alone. */
const kept = new Set(['/', '/dev', '/etc', '/usr', '/usr/local']);

/** A key file is replaced by a rename, so that its directory is mounted, and the one that a symbolic link leads to. */
async function keyMounts(file: string): Promise<string[]> {
  const path = resolve(file); // the program spells a path in two ways in turn, see credential-file.ts
  return [path, await realpath(path)].map((at) => (kept.has(dirname(at)) ? at : dirname(at)));
}

function outermost(paths: string[]): string[] {
  return [...new Set(paths)].filter((path) => !paths.some((other) => other !== path && isWithin(path, other)));
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** Fields of CSV, so that a path may hold a comma or a quote. */
function mountOption(path: string, readOnly: boolean): string {
  const field = (name: string) => `"${name}=${path.replaceAll('"', '""')}"`;
  return ['type=bind', field('source'), field('target'), ...(readOnly ? ['readonly'] : [])].join(',');
}

/** `path` of every `{ field: { path } }`, however deep. */
function pathsOf(value: unknown, field: string, path: string): string[] {
  return fieldsOf(value, field).flatMap((inner) => stringsOf(inner, path));
}

function stringsOf(value: unknown, field: string): string[] {
  return fieldsOf(value, field).filter((inner) => typeof inner === 'string');
}

function fieldsOf(value: unknown, field: string): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => (name === field ? [inner] : fieldsOf(inner, field)));
}

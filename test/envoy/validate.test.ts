import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { credentialFile } from '../../src/envoy/credential-file.ts';
import { locateEnvoy } from '../../src/envoy/locate-envoy.ts';
import { makeCertificates } from './certificates.ts';
import { variations } from './variations.ts';

const run = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), 'hb-validate-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const { server, trustedCaFile } = await makeCertificates(directory);
mkdirSync(join(directory, 'credentials'));
for (const name of ['openai', 'anthropic', 'azure']) {
  const sdsFile = join(directory, 'credentials', `${name}.json`);
  await credentialFile({ name, sdsFile, source: { environment: 'KEY' }, environment: { KEY: 'sk-test' } });
}

/** Envoy opens what a bootstrap names even to validate it, so the documented paths are led to files that exist. */
function withExistingFiles(bootstrap: object): string {
  return JSON.stringify(bootstrap)
    .replaceAll('/etc/hermesbridge/tls/tls.crt', server.certificateFile)
    .replaceAll('/etc/hermesbridge/tls/tls.key', server.keyFile)
    .replaceAll('/etc/ssl/certs/ca-certificates.crt', trustedCaFile)
    .replaceAll('/run/hermesbridge', directory);
}

test.each(Object.entries(variations({ ...server, trustedCaFile })))(
  'Envoy accepts the %s',
  async (name, bootstrap) => {
    const envoy = await locateEnvoy();
    if (envoy.kind !== 'binary') throw new Error('this test needs the Envoy binary: set ENVOY_BIN');
    const own = join(directory, name.replaceAll(/\W+/g, '-'));
    mkdirSync(own);
    const file = join(own, 'bootstrap.json');
    writeFileSync(file, withExistingFiles(bootstrap));
    const { stdout, stderr } = await run(envoy.path, ['--mode', 'validate', '--log-level', 'warning', '--config-path', file]);
    expect(stdout).toContain('OK');
    expect(stderr, 'no deprecated field and no warning').toBe('');
  },
  120_000,
);

// `config check`: everything that a configuration names is looked at, and all that is wrong is said at once.

import { loadProviders } from '../checks/capability/provider-registry.ts';
import { type Configuration, ConfigurationError } from '../config.ts';
import { readDirectoryKey } from '../serve/directory-key.ts';
import { readEventParties } from '../serve/event-parties.ts';
import { readRedisSecrets } from '../serve/redis.ts';
import { readCa } from '../serve/resolution.ts';
import { readSecret, SecretError } from '../serve/secret.ts';
import { readCredentials, sidecarEnvoy } from '../serve/start-sign.ts';
import { assertVerify, gatewayEnvoy } from '../serve/start-verify.ts';
import { print } from './output.ts';
import { loadNamed, type RunOptions } from './run-options.ts';

/** Files that Envoy reads by itself. */
function envoyFiles({ verify, sign }: Configuration): [key: string, file: string][] {
  const files: [string, string | undefined][] = [
    ['verify.envoy.tls.certificate', verify?.envoy.tls?.certificate],
    ['verify.envoy.tls.key', verify?.envoy.tls?.key],
    ...Object.entries(verify?.providers ?? {}).map(([name, { trustedCa }]): [string, string | undefined] => [
      `verify.providers.${name}.trustedCa`,
      trustedCa,
    ]),
    ['sign.gatewayCa', sign?.gatewayCa],
  ];
  return files.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

/** What renders Envoy's configuration says what is wrong in words of its own. */
function asProblem(section: string, render: () => unknown): void {
  try {
    render();
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    throw new ConfigurationError([`${section}: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

export async function checkConfiguration(options: RunOptions): Promise<void> {
  const { file, configuration } = await loadNamed(options);
  const { verify, sign, control } = configuration;
  const looks: (() => unknown)[] = [];
  if (verify) {
    looks.push(async () => assertVerify(verify, await loadProviders()));
    for (const [name, { credential }] of Object.entries(verify.providers))
      looks.push(() => readSecret(credential, `verify.providers.${name}.credential`, true));
    const { redis } = verify;
    if (redis !== undefined) looks.push(() => readRedisSecrets(redis, 'verify.redis'));
    looks.push(async () => {
      const apis = await loadProviders();
      asProblem('verify', () => gatewayEnvoy(verify, apis));
    });
    const { trustedCa } = verify.resolution;
    if (trustedCa !== undefined) looks.push(() => readCa(trustedCa));
  }
  if (sign)
    looks.push(
      () => readCredentials(sign),
      () => readSecret(sign.localSecret, 'sign.localSecret'),
      () => asProblem('sign', () => sidecarEnvoy(sign)),
    );
  for (const [key, path] of envoyFiles(configuration)) looks.push(() => readSecret({ file: path }, key, true));
  if (control) {
    const { events } = control;
    looks.push(() => readDirectoryKey(control));
    if (events) looks.push(() => readEventParties(events, () => undefined));
    for (const [name, path] of Object.entries(control.service.tls ?? {}))
      looks.push(() => readSecret({ file: path }, `control.service.tls.${name}`, name === 'certificate'));
  }
  const problems: string[] = [];
  for (const look of looks) {
    try {
      await look();
    } catch (error) {
      if (error instanceof ConfigurationError) problems.push(...error.problems);
      else if (error instanceof SecretError) problems.push(error.message);
      else throw error;
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  print(options, { file, valid: true }, `${file}: no problems`);
}

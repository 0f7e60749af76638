// `envoy`: the bootstrap of an Envoy that someone else runs.

import { pino } from 'pino';
import { stringify } from 'yaml';
import { loadProviders } from '../checks/capability/provider-registry.ts';
import type { SignConfiguration } from '../config.ts';
import { sidecarEnvoy } from '../serve/start-sign.ts';
import { prepareGatewayEnvoy } from '../serve/start-verify.ts';
import { CommandError, print } from './output.ts';
import { loadNamed, type RunOptions } from './run-options.ts';

export interface EnvoyOptions extends RunOptions {
  role?: 'verify' | 'sign';
}

export async function printBootstrap(options: EnvoyOptions): Promise<void> {
  const { configuration } = await loadNamed(options);
  const role = options.role ?? (configuration.verify ? 'verify' : 'sign');
  const silent = pino({ level: 'silent' });
  const verify = role === 'verify' ? configuration.verify : undefined;
  const sign = role === 'sign' ? configuration.sign : undefined;
  if (verify === undefined && sign === undefined) throw new CommandError(`the configuration has no role "${role}"`);
  const prepared = verify
    ? await prepareGatewayEnvoy(verify, await loadProviders(), silent)
    : { bootstrap: sidecarEnvoy(sign as SignConfiguration), close: async () => {} };
  await prepared.close();
  print(options, prepared.bootstrap, stringify(prepared.bootstrap, { aliasDuplicateObjects: false }).trimEnd());
}

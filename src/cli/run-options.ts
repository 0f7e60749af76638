// The configuration that a command was told to use.

import { type LoadedConfiguration, loadConfiguration } from '../config.ts';
import { type OutputOptions, UsageError } from './output.ts';

export interface RunOptions extends OutputOptions {
  config?: string;
}

/** @throws {UsageError} or {ConfigurationError} */
export async function loadNamed({ config }: RunOptions): Promise<LoadedConfiguration> {
  if (config === undefined) throw new UsageError('name the configuration with --config FILE or HERMESBRIDGE_CONFIG');
  return loadConfiguration(config);
}

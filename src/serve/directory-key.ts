// The key of the vault, with which it signs the directory of keys and security events.

import { ConfigurationError, type ControlConfiguration } from '../config.ts';
import { type PrivateKey, readPrivateKey } from '../crypto/private-key.ts';
import { KeyError } from '../crypto/public-key.ts';
import { readSecret, SecretError } from './secret.ts';

/** @throws {ConfigurationError} */
export async function readDirectoryKey({ key }: ControlConfiguration): Promise<PrivateKey | undefined> {
  if (key === undefined) return undefined;
  try {
    return readPrivateKey(await readSecret(key, 'control.key'));
  } catch (error) {
    if (error instanceof SecretError) throw new ConfigurationError([error.message]);
    if (error instanceof KeyError) throw new ConfigurationError([`control.key: ${error.message}`]);
    throw error;
  }
}

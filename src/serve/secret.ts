// Secrets come from a file that only its owner can read, or from the environment; they are never in a message.

import { readFile, stat } from 'node:fs/promises';

export type SecretSource = { file: string } | { environment: string };

export class SecretError extends Error {
  override readonly name = 'SecretError';
}

/**
 * @param what names the secret in errors: `sign.key`
 * @throws {SecretError} when it is missing or empty, or its file can be read by others
 */
export async function readSecret(source: SecretSource, what: string, mayBePublic = false): Promise<string> {
  const value = 'file' in source ? await readSecretFile(source.file, what, mayBePublic) : process.env[source.environment];
  const where = 'file' in source ? source.file : `the environment variable ${source.environment}`;
  if (value === undefined || value.trim() === '') throw new SecretError(`${what}: ${where} is missing or empty`);
  return value.trim();
}

async function readSecretFile(file: string, what: string, mayBePublic: boolean): Promise<string | undefined> {
  try {
    const found = await stat(file);
    if (found.isDirectory()) throw new SecretError(`${what}: ${file} is a directory, not a file`);
    if (!mayBePublic && (found.mode & 0o077) !== 0)
      throw new SecretError(`${what}: ${file} can be read by others; run: chmod 600 ${file}`);
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof SecretError) throw error;
    return undefined;
  }
}

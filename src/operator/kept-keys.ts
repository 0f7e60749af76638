// The keys on disk: the recovery seed, from which every update key of the operator's logs follows, and the signing keys.

import { decodeBase64url } from '../crypto/base64url.ts';
import { exportPrivateJwk, type PrivateKey, readPrivateKey } from '../crypto/private-key.ts';
import { importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';
import { readIfThere, writeDurably } from './durable-file.ts';
import { OperatorError } from './operator-error.ts';

const SEED_BYTES = 32;

/** A key that is published or about to be; `private` is missing where someone else holds it. */
export interface KeptKey {
  readonly publicKey: PublicKey;
  readonly private: PrivateKey | undefined;
}

/** @throws {OperatorError} that never repeats what is in the file */
export async function readSeed(file: string): Promise<Buffer> {
  const text = await readIfThere(file);
  if (text === undefined) throw new OperatorError(`${file} does not exist: it is the recovery key, put it back from its backup`);
  const seed = decodeBase64url(text.trim());
  if (seed?.length !== SEED_BYTES)
    throw new OperatorError(
      `${file} is no recovery key: it must hold ${SEED_BYTES} bytes in base64url, as \`operator init\` wrote them`,
    );
  return seed;
}

export async function writeSeed(file: string, seed: Buffer): Promise<void> {
  await writeDurably(file, `${seed.toString('base64url')}\n`);
}

/** @throws {OperatorError} when the file is there but holds no key */
export async function findKey(file: string): Promise<KeptKey | undefined> {
  const text = await readIfThere(file);
  return text === undefined ? undefined : parseKey(text, file);
}

/** @param text a JWK, private or public, or a private key as PEM */
export function parseKey(text: string, file: string): KeptKey {
  try {
    if (isPublicJwk(text)) return { publicKey: importPublicJwk(JSON.parse(text)), private: undefined };
    const key = readPrivateKey(text);
    return { publicKey: key.publicKey, private: key };
  } catch (error) {
    if (error instanceof KeyError) throw new OperatorError(`${file}: ${error.message}`);
    throw error;
  }
}

export async function writeKey(file: string, key: KeptKey): Promise<void> {
  const jwk = key.private === undefined ? key.publicKey.jwk : exportPrivateJwk(key.private);
  await writeDurably(file, `${JSON.stringify(jwk)}\n`);
}

function isPublicJwk(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'kty' in value && !('d' in value);
  } catch {
    return false;
  }
}

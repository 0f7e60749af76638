// The public key that a link is bound to, as a command line names it.

import { readPrivateKey } from '../crypto/private-key.ts';
import { type Algorithm, importPublicJwk, type PublicKey } from '../crypto/public-key.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import { CommandError, readNamedFile } from './output.ts';

/** Reads a public JWK, or the public part of a private key. @throws {CommandError} or {KeyError} */
export async function readPublicKey(file: string): Promise<PublicKey> {
  const text = (await readNamedFile(file)).toString('utf8');
  let jwk: unknown;
  try {
    jwk = JSON.parse(text);
  } catch {
    return readPrivateKey(text).publicKey;
  }
  const isPrivate = typeof jwk === 'object' && jwk !== null && 'd' in jwk;
  return isPrivate ? readPrivateKey(text).publicKey : importPublicJwk(jwk);
}

/** The key that a did:key or did:jwk consists of. @throws {CommandError} or {UnknownDid} */
export function keyOfDid(did: string): PublicKey {
  const [method] = resolveSelfDescribing(did).verificationMethods;
  if (method === undefined) throw new CommandError(`${did} has no key`);
  return method.key;
}

/** @param named from `--alg`. @throws {CommandError} when the key is not for it */
export function chooseAlgorithm({ algorithms }: PublicKey, named: string | undefined): Algorithm {
  const chosen = named === undefined ? algorithms[0] : algorithms.find((algorithm) => algorithm === named);
  if (chosen === undefined) throw new CommandError(`--alg: the key is for ${algorithms.join(' or ')}`);
  return chosen;
}

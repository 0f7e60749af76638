// didwebvh-ts by itself, to tell whether a check of ours is one that it does not make.

import { verify } from 'node:crypto';
import { importPublicJwk } from '../../../src/crypto/public-key.ts';

export async function libraryAccepts(entries: readonly unknown[]): Promise<boolean> {
  // In what it takes for a test environment it writes every log that it resolves to ./test/logs.
  const before = process.env.NODE_ENV;
  process.env.NODE_ENV = 'production';
  const { resolveDIDFromLog } = await import('didwebvh-ts').finally(() => {
    process.env.NODE_ENV = before;
  });
  const verifier = {
    verify: async (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => {
      const x = Buffer.from(publicKey).toString('base64url');
      return verify(null, message, importPublicJwk({ kty: 'OKP', crv: 'Ed25519', x }).keyObject, signature);
    },
  };
  try {
    const { meta } = await resolveDIDFromLog(structuredClone(entries), { verifier, witnessProofs: [] });
    return meta.error === undefined;
  } catch {
    return false;
  }
}

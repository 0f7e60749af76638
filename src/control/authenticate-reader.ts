// Who reads what is not public: an operator, what is of its own chains, and an administrator, everything. By the signature that a
// write has, with nonces of its own.

import type { InboundRequest } from '../request.ts';
import { type DidDocument, UnknownDid } from '../vault/did-document.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import { type AuthenticationSettings, makeAuthentication } from './authenticate-write.ts';

export interface ReaderSettings extends AuthenticationSettings {
  /** DIDs that may read everything. */
  readonly administrators: () => readonly string[];
}

export interface Reader {
  /** DID of the one operator whose chains may be read; `undefined` for one who may read all. */
  readonly operator: string | undefined;
}

/** Resolves to who reads; rejects with `Problem` for anyone else. */
export type AuthenticateReader = (request: InboundRequest) => Promise<Reader>;

export function makeReaderAuthentication(settings: ReaderSettings): AuthenticateReader {
  const { administrators, operators, documentOf } = settings;
  const readers = () => [...operators(), ...administrators()];
  const authenticate = makeAuthentication({
    ...settings,
    operators: readers,
    // Only of those who may read: a stranger's key, which its DID brings along, is not worth a look.
    documentOf: (did) => documentOf(did) ?? (readers().includes(did) ? selfDescribing(did) : undefined),
  });
  return async (request) => {
    const { author } = await authenticate(request, () => undefined);
    return { operator: administrators().includes(author) ? undefined : author };
  };
}

function selfDescribing(did: string): DidDocument | undefined {
  if (!/^did:(?:key|jwk):/.test(did)) return undefined;
  try {
    return resolveSelfDescribing(did);
  } catch (error) {
    if (error instanceof UnknownDid) return undefined;
    throw error;
  }
}

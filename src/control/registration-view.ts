// A registration as the control API shows it.

import type { z } from 'zod';
import type { PublicKey } from '../crypto/public-key.ts';
import type { DidDocument } from '../vault/did-document.ts';
import type { Kind } from '../vault/registry.ts';
import type { registration } from './schemas.ts';

export type RegistrationView = z.infer<typeof registration>;

export interface ShownRegistration {
  readonly kind: Kind;
  readonly operator: string;
  readonly path: string;
  readonly version: number;
  readonly versionId: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly updated: number;
  readonly deactivated: boolean;
}

export function registrationView(shown: ShownRegistration, document: DidDocument, origin: string): RegistrationView {
  return {
    did: document.did,
    kind: shown.kind,
    operator: shown.operator,
    name: shown.path.split('/').at(-2) ?? '',
    version: shown.version,
    versionId: shown.versionId,
    created: new Date(shown.created).toISOString(),
    updated: new Date(shown.updated).toISOString(),
    deactivated: shown.deactivated,
    url: `${origin}${shown.path}`,
    keys: document.verificationMethods.map(({ id, key, purposes, expires }) => ({
      id,
      thumbprint: key.jkt,
      type: typeOf(key),
      purposes: [...purposes],
      ...(expires !== undefined && { expires: new Date(expires).toISOString() }),
    })),
  };
}

function typeOf({ jwk }: PublicKey): RegistrationView['keys'][number]['type'] {
  if (jwk.kty === 'RSA') return 'RSA';
  return jwk.kty === 'EC' ? 'P-256' : 'Ed25519';
}

// Restrictions by number, for tests of where they are kept: real texts, signed by one key.

import { generatePrivateKey } from '../../../../src/crypto/private-key.ts';
import { type RestrictionStatement, signRestriction } from '../../../../src/restrictions/sign-restriction.ts';
import { type Restriction, reopenRestriction } from '../../../../src/restrictions/verify-restriction.ts';
import { didKeyOf } from '../../../../src/vault/did-key.ts';

export const key = generatePrivateKey('Ed25519');
export const by = didKeyOf(key.publicKey);

export function idOf(number: number): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(number, 12);
  return bytes.toString('base64url');
}

export function restrictionOf(number: number, changes: Partial<RestrictionStatement> = {}): Restriction {
  const statement = {
    effect: 'revoke',
    target: { kind: 'token', value: `jti-${number}` },
    at: 1_767_225_600,
    reason: 'test',
    id: idOf(number),
    ...changes,
  } as RestrictionStatement;
  return reopenRestriction(signRestriction(statement, { key, keyId: `${by}#key` }));
}

export function chainWith(jti: string, iat = 100) {
  return { operator: { did: by }, links: [{ agent: 'did:test:a', jti, jkt: 'k', iat }] };
}

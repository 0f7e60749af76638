// What the tests of restrictions say to a vault: revocations of the operator, and questions over HTTPS.

import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { type RestrictionStatement, signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { keyOf } from '../keys.ts';

const operator = keyOf('operator');
export const did = didKeyOf(operator.publicKey);
const keyId = resolveSelfDescribing(did).verificationMethods[0]?.id;

/** @param jti blanks become hyphens */
export function revocation(jti: string, changes: Partial<RestrictionStatement> = {}): string {
  const at = Math.floor(Date.now() / 1000);
  const target = { kind: 'token', value: jti.replaceAll(' ', '-') };
  const statement = { effect: 'revoke', target, at, reason: '', ...changes } as RestrictionStatement;
  return signRestriction(statement, { key: operator, keyId });
}

/** @param ca a file */
export function askVault<T>(url: URL, ca: string, body?: object): Promise<{ status: number; value: T }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: body ? 'POST' : 'GET',
      ca: readFileSync(ca),
      headers: { 'content-type': 'application/json' },
    });
    sent.on('error', reject);
    sent.on('response', async (answer) => {
      const text = (await answer.toArray()).join('');
      resolve({ status: answer.statusCode ?? 0, value: JSON.parse(text) as T });
    });
    sent.end(body && JSON.stringify(body));
  });
}

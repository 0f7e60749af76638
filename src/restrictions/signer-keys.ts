// Keys of the DIDs that sign restrictions. A revocation is for good, so it has to verify long after its author's key was rotated:
// what an earlier version of the DID's history named at the time still counts for what was signed then.

import type { DidDocument, VerificationMethod } from '../vault/did-document.ts';
import { UnknownDid } from '../vault/did-document.ts';
import type { DatedKey } from '../vault/key-history.ts';
import type { DidResolver } from '../vault/resolver.ts';
import type { SignerKeys } from './verify-restriction.ts';

export interface SignerKeySettings {
  readonly resolver: DidResolver;
  /** The keys in the verified history of a DID; none for a method without one. */
  readonly formerKeys?: ((document: DidDocument) => Promise<readonly DatedKey[]>) | undefined;
  /** How far in milliseconds the signer's clock may be off, either way. */
  readonly clockSkewMillis: number;
}

export function makeSignerKeys({ resolver, formerKeys, clockSkewMillis }: SignerKeySettings): SignerKeys {
  // One version's history is read once, however many restrictions an old key has signed.
  const histories = new WeakMap<DidDocument, Promise<readonly DatedKey[]>>();

  return async (did, kid, moment) => {
    try {
      let document = await resolver.current(did);
      let method = findMethod(document, kid, moment - clockSkewMillis);
      if (method === undefined) {
        document = await resolver.newer(document);
        method = findMethod(document, kid, moment - clockSkewMillis);
      }
      return (method ?? (await findFormer(document, kid, moment)))?.key;
    } catch (error) {
      if (error instanceof UnknownDid) return undefined;
      throw error;
    }
  };

  async function findFormer(document: DidDocument, kid: string, moment: number): Promise<VerificationMethod | undefined> {
    if (formerKeys === undefined) return undefined;
    let history = histories.get(document);
    if (history === undefined) {
      history = formerKeys(document);
      histories.set(document, history);
      history.catch(() => histories.delete(document));
    }
    return (await history).find(
      ({ method, from, until }) =>
        signs(method, kid) &&
        moment >= from - clockSkewMillis &&
        moment < Math.min(until, method.expires ?? until) + clockSkewMillis,
    )?.method;
  }
}

function findMethod({ verificationMethods }: DidDocument, kid: string, moment: number): VerificationMethod | undefined {
  return verificationMethods.find((method) => signs(method, kid) && (method.expires === undefined || moment < method.expires));
}

function signs({ id, purposes }: VerificationMethod, kid: string): boolean {
  return id === kid && purposes.length > 0;
}

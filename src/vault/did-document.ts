// A DID document as far as the profile uses it (DID Core, Controlled Identifiers 1.0): who controls the DID, and which valid
// keys stand under which purpose until when.

import type { PublicKey } from '../crypto/public-key.ts';

/** DID Core section 5.3, as far as the profile uses them. */
export type Purpose = 'capabilityInvocation' | 'assertionMethod';

export interface VerificationMethod {
  /** DID URL with fragment. */
  readonly id: string;
  readonly key: PublicKey;
  readonly purposes: readonly Purpose[];
  /** Milliseconds since the epoch from which the key does not hold any more (`expires`); `undefined` for one without an end. */
  readonly expires: number | undefined;
}

export interface DidDocument {
  readonly did: string;
  /** Who controls the DID; `undefined` for a method that can name no controller. */
  readonly controller: readonly string[] | undefined;
  readonly verificationMethods: readonly VerificationMethod[];
  /** The version of the DID's log that this is (did:webvh), for the record. */
  readonly versionId: string | undefined;
}

/** The DID is not one that can be known: a method not accepted, an identifier that does not decode, a history that does not verify. */
export class UnknownDid extends Error {
  override readonly name = 'UnknownDid';
}

/** Nothing is known against the DID, but its document cannot be had now. */
export class UnavailableDid extends Error {
  override readonly name = 'UnavailableDid';
}

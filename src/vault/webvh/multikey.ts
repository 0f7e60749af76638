// Multikeys of Ed25519, the keys that may sign a log (did:webvh 1.0, section "Authorized Keys"). A Multikey is spelled as
// the identifier of a did:key is, and one key has one spelling.

import { KeyError, type PublicKey } from '../../crypto/public-key.ts';
import { didKeyOf, keyOfDidKey } from '../did-key.ts';
import { multihash } from './multihash.ts';

const PREFIX = 'did:key:';

export function multikeyOf(key: PublicKey): string {
  return didKeyOf(key).slice(PREFIX.length);
}

/** @throws {KeyError} */
export function keyOfMultikey(multikey: string): PublicKey {
  const key = keyOfDidKey(multikey);
  if (key.raw === undefined) throw new KeyError('not a key of Ed25519');
  return key;
}

/** What a log commits to in `nextKeyHashes` (section "Pre-Rotation Key Hash Generation and Verification"). */
export function commitmentTo(multikey: string): string {
  return multihash(multikey);
}

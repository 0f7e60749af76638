// The keys that sign an operator's logs, all from one seed: what is backed up once covers every log that the operator ever
// writes, those of agents that do not exist yet too.

import { hkdfSync } from 'node:crypto';
import { type PrivateKey, readPrivateKey } from '../../crypto/private-key.ts';

const INFO = 'hermesbridge did:webvh update key';
/** PKCS#8 of an Ed25519 key (RFC 8410 section 7) up to its seed. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * @param seed 32 bytes
 * @param location the DID without `did:webvh:` and SCID: host and path
 * @param version the number of the log's entry that the key signs, 1 for the first
 */
export function deriveUpdateKey(seed: Buffer, location: string, version: number): PrivateKey {
  if (seed.length !== 32) throw new Error('the recovery seed is not 32 bytes');
  // No two entries may come to one key, so nothing that ends a line stands in a location.
  if (/\s/.test(location) || !Number.isInteger(version) || version < 1) throw new Error('there is no such entry of a log');
  const secret = hkdfSync('sha256', seed, '', `${INFO}\n${location}\n${version}`, 32);
  const der = Buffer.concat([PKCS8, Buffer.from(secret)]).toString('base64');
  return readPrivateKey(`-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----`);
}

// Multihash of SHA-256 in base58btc, the one hash that did:webvh 1.0 permits: 46 characters that begin with "Qm".

import { hash } from 'node:crypto';
import { base58 } from '@scure/base';

// Code of SHA-256 and its length in bytes.
const SHA_256 = Buffer.of(0x12, 0x20);

export function multihash(text: string): string {
  return base58.encode(Buffer.concat([SHA_256, hash('sha256', text, 'buffer')]));
}

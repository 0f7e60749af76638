// One entry of a did:webvh log, hashed, signed and written (did:webvh 1.0, "Entry Hash Generation"; Data Integrity EdDSA
// Cryptosuites 1.0, eddsa-jcs-2022).

import { hash } from 'node:crypto';
import { base58 } from '@scure/base';
import canonicalize from 'canonicalize';
import { type PrivateKey, signBytes } from '../../crypto/private-key.ts';
import { multihash } from './multihash.ts';
import { multikeyOf } from './multikey.ts';

export interface AuthoredEntry {
  readonly did: string;
  /** A line of did.jsonl without its line end. */
  readonly line: string;
  readonly versionId: string;
}

/** An entry in pieces of canonical JSON (RFC 8785), so that it is canonicalised once and hashed as often as it must be. */
export interface Draft {
  readonly did: string;
  readonly parameters: string;
  readonly state: string;
  readonly time: string;
}

export function draftOf(parameters: object, did: string, state: object, now: number): Draft {
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return { did, parameters: canonicalize(parameters) ?? '', state: canonicalize(state) ?? '', time };
}

/** Without its proof; the members stand in the order that canonical JSON has. */
export function canonicalEntry({ parameters, state, time }: Draft, versionId: string): string {
  return `{"parameters":${parameters},"state":${state},"versionId":"${versionId}","versionTime":"${time}"}`;
}

/** eddsa-jcs-2022 (Data Integrity EdDSA Cryptosuites 1.0, section 3.3) over the entry with its own `versionId`. */
export function signEntry(draft: Draft, number: number, predecessor: string, key: PrivateKey): AuthoredEntry {
  const { did, parameters, state, time } = draft;
  const versionId = `${number}-${multihash(canonicalEntry(draft, predecessor))}`;
  const multikey = multikeyOf(key.publicKey);
  const purpose = `"created":"${time}","cryptosuite":"eddsa-jcs-2022","proofPurpose":"assertionMethod"`;
  const method = `"type":"DataIntegrityProof","verificationMethod":"did:key:${multikey}#${multikey}"`;
  const hashed = Buffer.concat([sha256(`{${purpose},${method}}`), sha256(canonicalEntry(draft, versionId))]);
  const proof = `{${purpose},"proofValue":"z${base58.encode(signBytes(key, hashed))}",${method}}`;
  const head = `"versionId":"${versionId}","versionTime":"${time}"`;
  return { did, versionId, line: `{${head},"parameters":${parameters},"state":${state},"proof":[${proof}]}` };
}

function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

// Logs of did:webvh with anything in them, hashed and signed by hand: independent of what the source does to write one.

import { createHash } from 'node:crypto';
import { base58 } from '@scure/base';
import canonicalize from 'canonicalize';
import { type PrivateKey, signBytes } from '../../../src/crypto/private-key.ts';
import { keyOf } from '../../keys.ts';

export interface Entry {
  versionId: string;
  versionTime: string;
  parameters: Record<string, unknown>;
  state: Record<string, unknown>;
  proof: Record<string, unknown>[];
}

export const START = Date.parse('2025-06-01T00:00:00Z');
/** A time after all entries. */
export const NOW = START + 3_600_000;
export const LOCATION = 'vault.example%3A8443:agents:acme:reader';

const DRAFT = '{SCID}';

export function multikey(key: PrivateKey): string {
  return `z${base58.encode(Buffer.concat([Buffer.of(0xed, 1), Buffer.from(key.publicKey.jwk.x ?? '', 'base64url')]))}`;
}

export function sha256Multihash(text: string): string {
  return base58.encode(Buffer.concat([Buffer.of(0x12, 0x20), createHash('sha256').update(text).digest()]));
}

export function commitment(key: PrivateKey): string {
  return sha256Multihash(multikey(key));
}

/** The key that signs the entry of this number in the logs made here. */
export const updateKey = (number: number): PrivateKey => keyOf(`update ${number}`);

export function timeOf(number: number): string {
  return new Date(START + number * 60_000).toISOString().replace('.000Z', 'Z');
}

export function proofOver(document: unknown, key: PrivateKey, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const options = {
    type: 'DataIntegrityProof',
    cryptosuite: 'eddsa-jcs-2022',
    verificationMethod: `did:key:${multikey(key)}#${multikey(key)}`,
    created: timeOf(0),
    proofPurpose: 'assertionMethod',
    ...changes,
  };
  const digest = (value: unknown) =>
    createHash('sha256')
      .update(canonicalize(value) ?? '')
      .digest();
  const signature = signBytes(key, Buffer.concat([digest(options), digest(document)]));
  return { ...options, proofValue: `z${base58.encode(signature)}` };
}

/** Hash, number and proof for an entry that has none. */
export function seal(
  draft: Pick<Entry, 'versionTime' | 'parameters' | 'state'>,
  number: number,
  predecessor: string,
  key: PrivateKey,
): Entry {
  const { versionTime, parameters, state } = draft;
  const hashed = canonicalize({ versionId: predecessor, versionTime, parameters, state }) ?? '';
  const entry = { versionId: `${number}-${sha256Multihash(hashed)}`, versionTime, parameters, state };
  return { ...entry, proof: [proofOver(entry, key)] };
}

export function unsigned({ proof: _, ...entry }: Entry): Omit<Entry, 'proof'> {
  return entry;
}

interface Changes {
  readonly parameters?: Record<string, unknown>;
  readonly state?: Record<string, unknown>;
  readonly versionTime?: string;
  readonly key?: PrivateKey;
  readonly location?: string;
}

/** The SCID in what is passed in is spelled `{SCID}`. A member that is `undefined` is left out. */
export function first(changes: Changes = {}): Entry {
  const did = `did:webvh:${DRAFT}:${changes.location ?? LOCATION}`;
  const draft = {
    versionId: DRAFT,
    versionTime: changes.versionTime ?? timeOf(1),
    parameters: {
      method: 'did:webvh:1.0',
      scid: DRAFT,
      updateKeys: [multikey(updateKey(1))],
      nextKeyHashes: [commitment(updateKey(2))],
      portable: true,
      ...changes.parameters,
    },
    state: { id: did, controller: did, ...changes.state },
  };
  const text = canonicalize(draft) ?? '';
  const scid = sha256Multihash(text);
  const filled = JSON.parse(text.replaceAll(DRAFT, scid)) as Entry;
  return seal(filled, 1, scid, changes.key ?? updateKey(1));
}

export function next(before: Entry, changes: Changes = {}): Entry {
  const number = Number.parseInt(before.versionId, 10) + 1;
  const draft = {
    versionTime: changes.versionTime ?? timeOf(number),
    parameters: {
      updateKeys: [multikey(updateKey(number))],
      nextKeyHashes: [commitment(updateKey(number + 1))],
      ...changes.parameters,
    },
    state: { ...before.state, ...changes.state },
  };
  const plain = JSON.parse(JSON.stringify(draft)) as Entry;
  return seal(plain, number, before.versionId, changes.key ?? updateKey(number));
}

/** So many entries, each different. */
export function history(length: number, firstChanges: Changes = {}): Entry[] {
  const entries = [first(firstChanges)];
  while (entries.length < length) {
    const before = entries.at(-1);
    if (before !== undefined)
      entries.push(
        next(before, { state: { service: [{ id: '#s', type: 'n', serviceEndpoint: `https://${entries.length}.example` }] } }),
      );
  }
  return entries;
}

export function textOf(entries: readonly unknown[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
}

export function didOf(entry: Entry | undefined): string {
  return String(entry?.state.id);
}

/** did-witness.json */
export function witnessFile(...approvals: [entry: Entry | undefined, ...witnesses: PrivateKey[]][]): string {
  return JSON.stringify(
    approvals.map(([entry, ...witnesses]) => {
      const versionId = entry?.versionId ?? '';
      return { versionId, proof: witnesses.map((key) => proofOver({ versionId }, key)) };
    }),
  );
}

// Logs as an operator writes them, signed and whole, and the writes that bring them into a store.

import { randomBytes } from 'node:crypto';
import { generatePrivateKey } from '../../../../src/crypto/private-key.ts';
import {
  agentState,
  type DidState,
  dropExpired,
  expireKeys,
  operatorState,
  withKey,
} from '../../../../src/operator/did-state.ts';
import type { Addition, Kind, NewRegistration, WriteOnce } from '../../../../src/vault/registry.ts';
import { firstEntry, nextEntry } from '../../../../src/vault/webvh/author-log.ts';
import { commitmentTo, multikeyOf } from '../../../../src/vault/webvh/multikey.ts';
import { deriveUpdateKey } from '../../../../src/vault/webvh/update-key.ts';
import type { VerifiedLog } from '../../../../src/vault/webvh/verified-log.ts';

export interface WrittenLog {
  readonly kind: Kind;
  readonly operator: string;
  readonly path: string;
  readonly location: string;
  readonly lines: readonly string[];
  /** What verification finds; the tests verify the logs for themselves at the end. */
  readonly log: VerifiedLog;
  readonly state: DidState;
  readonly thumbprints: readonly string[];
}

const SEED = randomBytes(32);
const HOST = 'vault.example';
export const OPERATOR = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK';
/** The past, so that a log of many versions is not from the future. */
const LONG_AGO = Date.UTC(2026, 0, 1);

const updateKey = (location: string, version: number) => deriveUpdateKey(SEED, location, version);

/** @param name of an agent `OPERATOR:NAME`, of an operator `NAME` */
export function writeFirst(name: string, kind: Kind = 'agent', operator = OPERATOR): WrittenLog {
  const location = `${HOST}:${kind}s:${name}`;
  const key = generatePrivateKey('Ed25519').publicKey;
  const state = (did: string) => (kind === 'agent' ? agentState(did, operator, key) : operatorState(did, key));
  const keys = { updateKey: updateKey(location, 1), nextUpdateKey: updateKey(location, 2).publicKey };
  const { did, line, versionId } = firstEntry({ location, state, now: LONG_AGO, ...keys });
  const path = `/${kind}s/${name.replaceAll(':', '/')}/did.jsonl`;
  const log = logOf(did, [versionId], location, LONG_AGO, false);
  return {
    ...{ kind, path, location, log, lines: [line], state: state(did), thumbprints: [key.jkt] },
    operator: kind === 'agent' ? operator : did,
  };
}

/** A rotation: a new key, and an end for the ones before. */
export function writeNext(before: WrittenLog, { deactivate = false }: { readonly deactivate?: boolean } = {}): WrittenLog {
  const { location, log, state: old } = before;
  const number = log.versionIds.length + 1;
  const now = log.versionTime + 60_000;
  const key = generatePrivateKey('Ed25519').publicKey;
  const rotated = withKey(expireKeys(dropExpired(old, now), now + 30_000), key, { number, purposes: ['capabilityInvocation'] });
  const state = deactivate ? old : rotated;
  const keys = { updateKey: updateKey(location, number), nextUpdateKey: updateKey(location, number + 1).publicKey };
  const { line, versionId } = nextEntry({ log, state, now, deactivate, ...keys });
  const next = logOf(log.did, [...log.versionIds, versionId], location, now, deactivate);
  return { ...before, log: next, state, lines: [...before.lines, line], thumbprints: deactivate ? [] : [key.jkt] };
}

function logOf(
  did: string,
  versionIds: readonly string[],
  location: string,
  versionTime: number,
  deactivated: boolean,
): VerifiedLog {
  const number = versionIds.length;
  const nextKeyHashes = deactivated ? [] : [commitmentTo(multikeyOf(updateKey(location, number + 1).publicKey))];
  return {
    ...{ did, versionIds, versionTime, deactivated, state: {}, created: LONG_AGO, versionId: versionIds.at(-1) ?? '' },
    parameters: {
      ...{ scid: did.split(':')[2] ?? '', portable: true, nextKeyHashes, witnessed: false, ttl: undefined },
      updateKeys: [multikeyOf(updateKey(location, number).publicKey)],
    },
  } as unknown as VerifiedLog;
}

const lastLine = ({ lines }: WrittenLog) => lines.at(-1) ?? '';

export function registrationOf(written: WrittenLog): NewRegistration {
  const { kind, operator, path, log, thumbprints } = written;
  return { kind, operator, path, log, thumbprints, line: lastLine(written), witness: undefined };
}

export function additionOf(written: WrittenLog): Addition {
  const { log, thumbprints } = written;
  return { did: log.did, log, thumbprints, line: lastLine(written), witness: undefined };
}

export function once(changes: Partial<WriteOnce> = {}): WriteOnce {
  return {
    ...{ author: OPERATOR, nonce: randomBytes(16).toString('base64url'), nonceUntil: Date.now() + 60_000 },
    ...{ idempotencyKey: undefined, requestHash: 'a-request' },
    ...changes,
  };
}

/** did.jsonl */
export function fileOf({ lines }: WrittenLog): string {
  return lines.map((line) => `${line}\n`).join('');
}

// A checksum over each row. SQLite finds damage to its own structure, but not a letter that has become another one; what is read
// is held against its seal, so that a damaged row is an error and never an answer. It is no defence against an attacker.

import { crc32 } from 'node:zlib';
import { StoreError } from '../database.ts';
import type { AnswerRow, DidRow, EntryRow } from './rows.ts';

/** Most of it is the line, so nothing is put together for it. */
export function sealEntry({ seq, did, version, line }: EntryRow): number {
  return crc32(String(line), crc32(`${seq} ${did} ${version}`));
}

export function sealKey(thumbprint: Uint8Array, did: number): number {
  return crc32(thumbprint, crc32(String(did)));
}

/** With the operator's DID beside the number, which could have become another operator's. */
export function sealDid(row: DidRow): number {
  const { id, kind, operator, operator_did, did, path, version, head, created, updated, deactivated, witness } = row;
  return seal(id, kind, operator, operator_did, did, path, version, head, created, updated, deactivated, witness);
}

export function sealAnswer({ seq, author, key, request_hash, status, body, until }: AnswerRow): number {
  return seal(seq, author, key, request_hash, status, body, until);
}

function seal(...values: readonly (string | number | null)[]): number {
  return crc32(JSON.stringify(values));
}

/** @throws {StoreError} */
export function damaged(what: string): never {
  throw new StoreError(`the store is damaged (${what}): stop the service and restore a backup with hermesbridge vault restore`);
}

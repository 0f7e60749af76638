// Rows as they are read: held against their seals, so that what comes out is what was written.

import type { SQLOutputValue } from 'node:sqlite';
import type { Registered } from '../../../vault/registry.ts';
import { type AnswerRow, type DidRow, type EntryRow, KINDS } from './rows.ts';
import { damaged, sealAnswer, sealDid, sealEntry } from './seal.ts';

export type Stored = Record<string, SQLOutputValue>;

/** @throws {StoreError} */
export function readDidRow(stored: Stored): DidRow {
  const row = stored as unknown as DidRow;
  if (stored.seal !== sealDid(row)) damaged(`the row of DID number ${stored.id}`);
  return row;
}

/** @throws {StoreError} */
export function readEntryRow(stored: Stored): EntryRow {
  const row = stored as unknown as EntryRow;
  if (stored.seal !== sealEntry(row)) damaged(`entry ${stored.seq}`);
  return row;
}

/** @throws {StoreError} */
export function readAnswerRow(stored: Stored): AnswerRow {
  const row = stored as unknown as AnswerRow;
  if (stored.seal !== sealAnswer(row)) damaged(`the answer to write ${stored.seq}`);
  return row;
}

/** The name that a verified entry has in itself; it is not stored twice. */
export function versionIdOf(line: string): string {
  return (JSON.parse(line) as { versionId: string }).versionId;
}

export function toRegistered(row: DidRow, head: EntryRow): Registered {
  const { kind, did, operator_did: operator, path, version, created, updated, deactivated } = row;
  return {
    kind: KINDS[kind] ?? 'agent',
    did,
    operator,
    path,
    version,
    versionId: versionIdOf(head.line),
    created,
    updated,
    deactivated: deactivated === 1,
  };
}

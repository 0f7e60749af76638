// Rows of the vault's tables, with the names that their columns have.

import type { Kind } from '../../../vault/registry.ts';

export const KINDS: readonly Kind[] = ['operator', 'agent'];

/** A row of dids, and of its operator. Times in milliseconds since the epoch. */
export interface DidRow {
  readonly id: number;
  /** Place in {@link KINDS}. */
  readonly kind: number;
  readonly operator: number;
  readonly operator_did: string;
  readonly did: string;
  readonly path: string;
  readonly version: number;
  /** `seq` of the newest entry. */
  readonly head: number;
  readonly created: number;
  readonly updated: number;
  readonly deactivated: number;
  readonly witness: string | null;
}

export interface EntryRow {
  readonly seq: number;
  readonly did: number;
  readonly version: number;
  readonly line: string;
}

export interface AnswerRow {
  readonly seq: number;
  readonly author: number;
  readonly key: string;
  readonly request_hash: string;
  readonly status: number;
  readonly body: string;
  readonly until: number;
}

/** For SELECT ... FROM: a {@link DidRow} and its seal. */
export const DID_ROWS = 'dids.*, parties.did AS operator_did FROM dids LEFT JOIN parties ON parties.id = operator';

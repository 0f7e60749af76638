// What the store's two threads say to each other: batches one way, acknowledgements the other.

import type { NonceToKeep } from '../../checks/nonce/check-nonce.ts';

/** One text with a line for each decision: to pass on an object, or an array, for each costs several times as much. */
export interface Batch {
  readonly id: number;
  readonly lines: string;
}

/** Neither JSON nor base64url holds a tab or a line end as it stands. */
const SEPARATOR = '\t';
export const LINE_END = '\n';

/** The decision's record, and the nonce that must be on disk with it. */
export function toLine(record: string, nonce: NonceToKeep | undefined): string {
  if (nonce === undefined) return `\t\t\t${record}`;
  return `${nonce.entry}\t${nonce.jkt}\t${nonce.retainUntil}\t${record}`;
}

export function fromLine(line: string): { record: string; nonce: NonceToKeep | undefined } {
  const [entry = '', jkt = '', retainUntil = '', record = ''] = line.split(SEPARATOR);
  return { record, nonce: entry === '' ? undefined : { entry, jkt, retainUntil: Number(retainUntil) } };
}

export type ToWriter = { readonly batch: Batch } | { readonly close: true };

/** What an earlier process left, told before the nonces that it accepted. */
export interface StoreFacts {
  /** Milliseconds since the epoch through which nonces were let go of. */
  readonly forgottenThrough: number;
  /** Seconds since the epoch at which the store was made. */
  readonly bornAt: number;
}

export type FromWriter =
  | { readonly facts: StoreFacts }
  /** Some of the nonces, as {@link toLine} writes them, without records. */
  | { readonly nonces: string }
  | { readonly ready: true }
  | { readonly failed: string }
  | { readonly committed: number }
  | { readonly refused: number; readonly cause: string };

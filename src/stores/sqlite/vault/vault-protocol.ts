// What the vault's store and the thread that writes it say to each other.

import type { Answer, Change, Kind, WriteConflict, WriteOnce } from '../../../vault/registry.ts';

export interface VaultThreadData {
  readonly file: string;
  /** A larger file is checked wholly only beside the service. */
  readonly checkedAtStartBytes: number;
}

/** An entry and all that changes with it. */
export interface EntryToWrite {
  readonly did: string;
  /** With a first entry. */
  readonly registration: { readonly kind: Kind; readonly operator: string; readonly path: string } | undefined;
  readonly version: number;
  readonly versionId: string;
  /** `versionId` of the entry that this one was verified to follow. */
  readonly follows: string | undefined;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly updated: number;
  readonly deactivated: boolean;
  readonly line: string;
  readonly witness: string | undefined;
  /** SHA-256 each. */
  readonly thumbprints: readonly Uint8Array[];
  readonly write: WriteOnce;
  readonly answer: Answer;
}

export interface VaultBatch {
  readonly id: number;
  readonly entries: readonly EntryToWrite[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export type ToVaultWriter = { readonly batch: VaultBatch } | { readonly forget: number } | { readonly close: true };

export type Outcome =
  /** `repeated`: the same request was accepted before, and this is its change. */
  | { readonly change: Change; readonly repeated: boolean }
  | { readonly conflict: WriteConflict; readonly message: string }
  | { readonly failed: string };

export type FromVaultWriter =
  | { readonly ready: { readonly epoch: string } }
  | { readonly failed: string }
  /** One for each entry of the batch, which is on disk. */
  | { readonly committed: number; readonly outcomes: readonly Outcome[] }
  /** Nothing of the batch was written. */
  | { readonly refused: number; readonly cause: string };

/** Found by the thread that looks at a large store while it serves. */
export interface Damage {
  readonly damage: string;
}

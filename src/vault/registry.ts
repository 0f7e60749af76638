// What the vault keeps and who may change it. The vault is a registry: it admits logs that verify, in the order in which their
// controllers signed them, and hands them out. It is never an authority over what they say.

import type { VerifiedLog } from './webvh/verified-log.ts';

export type Kind = 'operator' | 'agent';

/** One entry of a log as it is kept and served: a line of did.jsonl without its line end. */
export interface KeptEntry {
  readonly line: string;
  /** The log with this entry as its last, verified. */
  readonly log: VerifiedLog;
  /** did-witness.json as it is to be served from now on, verified with the log; `undefined` leaves what is there. */
  readonly witness: string | undefined;
}

export interface NewRegistration extends KeptEntry {
  readonly kind: Kind;
  /** DID of the operator that the agent belongs to; an operator's own DID. */
  readonly operator: string;
  /** Path of the log's file below the vault's origin, e.g. `/agents/acme/reader/did.jsonl`; one DID for each. */
  readonly path: string;
  /** Thumbprints of the keys of the document: a key belongs to one DID for good, that of an older version too. */
  readonly thumbprints: readonly string[];
}

export interface Addition extends KeptEntry {
  readonly did: string;
  readonly thumbprints: readonly string[];
}

export interface Registered {
  readonly kind: Kind;
  readonly did: string;
  readonly operator: string;
  readonly path: string;
  /** 1 for the first entry. */
  readonly version: number;
  readonly versionId: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly updated: number;
  readonly deactivated: boolean;
}

export interface Change {
  /** Rises by at least one with each accepted entry; never used again, not after a restart either. */
  readonly sequence: number;
  readonly did: string;
  readonly versionId: string;
}

/** A write by its author: the nonce of its signature, taken once, and the key under which a repetition gets the same answer. */
export interface WriteOnce {
  readonly author: string;
  readonly nonce: string;
  /** Milliseconds since the epoch until which the signature could be accepted again. */
  readonly nonceUntil: number;
  readonly idempotencyKey: string | undefined;
  /** SHA-256 of what was asked, base64url: the same key with another request is a mistake (422). */
  readonly requestHash: string;
}

export interface Answer {
  readonly status: number;
  /** JSON. */
  readonly body: string;
}

export type WriteConflict =
  | 'nonce-used' // the signature was presented before
  | 'idempotency-key-reused' // for another request
  | 'already-registered' // the DID or its path
  | 'key-already-registered' // one of the keys, with another DID
  | 'stale-version' // another entry has this number already, or one before is missing
  | 'not-registered'
  | 'deactivated';

/** A write that was refused as a whole: nothing has changed. */
export class RegistryConflict extends Error {
  override readonly name = 'RegistryConflict';
  readonly conflict: WriteConflict;

  constructor(conflict: WriteConflict, message: string) {
    super(message);
    this.conflict = conflict;
  }
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; `undefined` on the last. Opaque outside. */
  readonly next: string | undefined;
}

/**
 * Where registrations are kept. Writes are durable when they resolve, all or nothing, and never two for one version, path, key or nonce.
 * Reads are synchronous point reads of the newest committed state, cheap enough for the event loop.
 */
export interface VaultStore {
  /** The answer already given under this idempotency key. @throws {RegistryConflict} `idempotency-key-reused` */
  answered(write: WriteOnce): Answer | undefined;
  /** @throws {RegistryConflict} */
  register(registration: NewRegistration, write: WriteOnce, answer: Answer): Promise<Change>;
  /** @throws {RegistryConflict} */
  append(addition: Addition, write: WriteOnce, answer: Answer): Promise<Change>;
  find(did: string): Registered | undefined;
  /** did.jsonl and did-witness.json as they are served now. */
  readLog(did: string): { readonly log: string; readonly witness: string | undefined } | undefined;
  readLogAt(path: string): { readonly log: string; readonly witness: string | undefined } | undefined;
  /** In the order of registration. */
  list(kind: Kind, operator: string | undefined, cursor: string | undefined, limit: number): Page<Registered>;
  /** Those after a sequence, oldest first, at most `limit`; `undefined` when the sequence is not one that this store handed out. */
  changesAfter(sequence: number, limit: number): readonly Change[] | undefined;
  lastSequence(): number;
  /** Names this store and its history: another one after a restore from a backup, so that followers start anew. */
  readonly epoch: string;
  /** Called after each commit. @returns to be called to end it */
  subscribe(listener: (change: Change) => void): () => void;
}

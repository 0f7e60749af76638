// What a did:webvh log (did:webvh 1.0) says once it has been verified from its first entry to its last.

declare const verified: unique symbol;

/** Every entry's hash, proof, keys and witnesses held; `did` is what the last entry's `state.id` says. */
export interface VerifiedLog {
  readonly [verified]: true;
  readonly did: string;
  /** `versionId` of each entry, first to last; the hash in it covers the entry and, through it, all before. */
  readonly versionIds: readonly string[];
  /** `versionId` of the selected entry: the last, unless an older one was asked for. */
  readonly versionId: string;
  /** Milliseconds since the epoch of the selected entry. */
  readonly versionTime: number;
  /** Milliseconds since the epoch of the first entry. */
  readonly created: number;
  readonly deactivated: boolean;
  /** The selected entry's `state`: strict JSON, verified to be what the controller of the log signed; its content was not looked at. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly parameters: LogParameters;
}

/** The parameters in force after the selected entry. */
export interface LogParameters {
  readonly scid: string;
  readonly portable: boolean;
  /** Multikeys that may sign the next entry, unless pre-rotation is in force. */
  readonly updateKeys: readonly string[];
  /** Pre-rotation: hashes of the keys that may sign the next entry; empty when it is not in force. */
  readonly nextKeyHashes: readonly string[];
  readonly witnessed: boolean;
  /** Seconds that a resolver may keep the document; `undefined` where the log does not say. */
  readonly ttl: number | undefined;
}

/** The log is not the unbroken history of its DID; the message says where, and repeats nothing that could not be printed. */
export class InvalidLog extends Error {
  override readonly name = 'InvalidLog';
}

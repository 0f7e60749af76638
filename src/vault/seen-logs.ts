// What a verifier remembers of each did:webvh log, so that whoever serves it cannot take it back, cut it or tell another story.

export interface SeenLog {
  /** The newest version that was ever verified here. */
  readonly versionId: string;
  /** SHA-256, base64url, of the bytes that verified: the same bytes need no second verification. */
  readonly digest: string;
  readonly deactivated: boolean;
  /** Seconds, as the log's `ttl` says. */
  readonly ttl: number | undefined;
}

export interface SeenLogs {
  /** By SCID, which a log keeps wherever it moves. */
  find(scid: string): SeenLog | undefined;
  /** Durable when it resolves. */
  remember(scid: string, seen: SeenLog): Promise<void>;
}

// What a vault and its gateways say to each other by way of Redis, each under the fleet's MAC for the key that it is at: what someone
// inside Redis makes up is nothing, and what they put back is old and says so.

import { z } from 'zod';
import { redisKey } from '../keys.ts';
import { FleetMac } from '../mac.ts';

const name = z.string().regex(/^[\w-]{22}$/);
const digest = z.string().regex(/^[\w-]{43}$/);
const epoch = z.string().min(1).max(200);
const millis = z.int().min(0);
const boundSeconds = z.number().min(0).max(3600);

/** How far the restrictions go, twice a second and with each that comes. */
const headStatement = z.strictObject({
  epoch,
  last: z.int().min(0),
  head: z.union([digest, z.literal('')]),
  /** Sequence of the first restriction in the stream; what is before it is in the snapshot. */
  first: z.int().min(1),
  /** Milliseconds since the epoch; later in each statement than in the one before. */
  at: millis,
  /** The gateways that the vault knows, and waits for: nobody else may rely on this. */
  followers: z.array(z.tuple([name, boundSeconds])).max(1000),
});
export type HeadStatement = z.infer<typeof headStatement>;

/** Segments without gaps, from the first restriction on. */
const snapshotManifest = z.strictObject({
  epoch,
  segments: z.array(z.strictObject({ to: z.int().min(1), head: digest, sha256: digest })).max(100_000),
});
export type SnapshotManifest = z.infer<typeof snapshotManifest>;

const presence = z.strictObject({
  name,
  epoch,
  /** Everything up to this sequence is in force there. */
  applied: z.int().min(0),
  /** Seconds without a statement after which it denies everything. */
  bound: boundSeconds,
  /** Milliseconds since the epoch; later in each than in the one before. */
  at: millis,
  /** It answers nothing any more. */
  gone: z.boolean(),
});
export type Presence = z.infer<typeof presence>;

const SCHEMAS = { head: headStatement, snapshot: snapshotManifest, presence } as const;
type Kind = keyof typeof SCHEMAS;

/** The keys of the restrictions, all of one slot, and the values at them. */
export class RestrictionKeys {
  readonly #prefix: string;
  readonly #mac: FleetMac;

  constructor(prefix: string, secret: string) {
    this.#prefix = prefix;
    this.#mac = new FleetMac(secret, 'restrictions');
  }

  key(kind: Kind): string {
    return redisKey(this.#prefix, 'restrictions', kind);
  }

  stream(epoch: string): string {
    return redisKey(this.#prefix, 'restrictions', 'stream', epoch);
  }

  segment(epoch: string, to: number, sha256: string): string {
    return redisKey(this.#prefix, 'restrictions', 'segment', epoch, String(to), sha256);
  }

  seal<K extends Kind>(kind: K, value: z.infer<(typeof SCHEMAS)[K]>): string {
    return this.#mac.seal(this.key(kind), JSON.stringify(value));
  }

  /** `undefined` for what nobody of the fleet said. */
  open<K extends Kind>(kind: K, sealed: string): z.infer<(typeof SCHEMAS)[K]> | undefined {
    const text = this.#mac.open(this.key(kind), sealed);
    if (text === undefined) return undefined;
    const { data } = SCHEMAS[kind].safeParse(parseJson(text));
    return data as z.infer<(typeof SCHEMAS)[K]> | undefined;
  }

  /** What the feed's head is with a restriction, as the vault says it beside the restriction. */
  sealHead(epoch: string, sequence: number, head: string): string {
    return this.#mac.seal(redisKey(this.stream(epoch), String(sequence)), head);
  }

  openHead(epoch: string, sequence: number, sealed: string): string | undefined {
    return this.#mac.open(redisKey(this.stream(epoch), String(sequence)), sealed);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

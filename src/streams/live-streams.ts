// The responses that run, found by whatever a restriction can be about (profile section 6). Whether a chain is revoked is asked of
// the same set as row 10 asks; here it is only found out which chains to ask for, so that a restriction costs those it concerns.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RestrictionsInForce } from '../checks/restriction/check-restriction.ts';
import { restrictablesOf } from '../restrictions/restrictable-chain.ts';
import type { RestrictionTarget } from '../restrictions/restriction.ts';
import { Expiries } from './expiries.ts';
import { readStreamChain, type StreamChain } from './stream-chain.ts';

export interface CutCause {
  readonly reason: 'revoked' | 'expired';
  /** Id of the restriction that revoked; absent where it could not be read. */
  readonly restriction?: string | undefined;
}

export interface CutStream extends CutCause {
  readonly decisionId: string;
  readonly chain: StreamChain;
}

export interface LiveStreamsSettings {
  readonly inForce: Pick<RestrictionsInForce, 'find'>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Told of each stream after it was cut. Must not throw. */
  readonly onCut: (cut: CutStream) => void;
}

/** `stopped`: nobody would watch over it any more. */
export type EndStream = (why: CutCause['reason'] | 'stopped') => void;

interface LiveStream {
  readonly decisionId: string;
  readonly end: EndStream;
}

/** The streams of one chain, which end together. */
interface Group {
  readonly text: string;
  readonly chain: StreamChain;
  readonly names: readonly string[];
  readonly streams: Set<LiveStream>;
}

/** Chains read lately. An agent that makes one call after the other has no stream between them. */
const MOST_CHAINS = 1000;
/** Ending thousands of streams must not hold up the checks of others: so many at a time, and no longer than this. */
const TURN_MILLIS = 5;
const TURN_STREAMS = 64;

export class LiveStreams {
  readonly #settings: LiveStreamsSettings;
  readonly #groups = new Map<string, Group>();
  readonly #byTarget = new Map<string, Set<Group>>();
  readonly #chains = new Map<string, StreamChain>();
  readonly #expiries: Expiries<Group>;
  #size = 0;

  constructor(settings: LiveStreamsSettings) {
    this.#settings = settings;
    const expired = { reason: 'expired' } as const;
    this.#expiries = new Expiries({ clock: settings.clock, onExpired: (groups) => void this.#cutEach(groups, () => expired) });
  }

  get size(): number {
    return this.#size;
  }

  /**
   * From here on the stream falls with its chain; where that has fallen since the Check, it is cut before this returns.
   * @param chainText as `writeStreamChain` wrote it
   * @param end called at most once; must not throw
   * @returns to be called when the stream has ended
   * @throws {Error} when the text is no chain's
   */
  add(decisionId: string, chainText: string, end: EndStream): () => void {
    const chain = this.#groups.get(chainText)?.chain ?? this.#read(chainText);
    const cause = this.#causeOf(chain);
    const stream = { decisionId, end };
    if (cause !== undefined) {
      this.#cut(stream, chain, cause);
      return () => {};
    }
    const group = this.#groups.get(chainText) ?? this.#open(chainText, chain);
    group.streams.add(stream);
    this.#size++;
    return () => this.#remove(group, stream);
  }

  /** A restriction has come into force. */
  restricted({ kind, value }: RestrictionTarget): void {
    const groups = this.#byTarget.get(nameOf(kind, value));
    if (groups !== undefined) void this.#cutEach([...groups], ({ chain }) => this.#causeOf(chain));
  }

  /** Ends what still runs. */
  close(): void {
    this.#expiries.close();
    for (const group of [...this.#groups.values()])
      for (const stream of [...group.streams]) if (this.#remove(group, stream)) stream.end('stopped');
  }

  #read(text: string): StreamChain {
    const known = this.#chains.get(text);
    if (known !== undefined) return known;
    const chain = readStreamChain(text);
    for (const oldest of this.#chains.keys()) {
      if (this.#chains.size < MOST_CHAINS) break;
      this.#chains.delete(oldest);
    }
    this.#chains.set(text, chain);
    return chain;
  }

  #causeOf(chain: StreamChain): CutCause | undefined {
    const finding = this.#settings.inForce.find(chain);
    // What else is known may be old: that is no reason to end what was allowed when it was new.
    if ('revoked' in finding) return { reason: 'revoked', restriction: finding.revoked.id };
    return chain.expires * 1000 <= this.#settings.clock() ? { reason: 'expired' } : undefined;
  }

  #open(text: string, chain: StreamChain): Group {
    const names = [...new Set([...restrictablesOf(chain, [])].map(({ kind, value }) => nameOf(kind, value)))];
    const group = { text, chain, names, streams: new Set<LiveStream>() };
    this.#groups.set(text, group);
    for (const name of names) {
      const there = this.#byTarget.get(name);
      if (there === undefined) this.#byTarget.set(name, new Set([group]));
      else there.add(group);
    }
    this.#expiries.add(group, chain.expires);
    return group;
  }

  #remove(group: Group, stream: LiveStream): boolean {
    if (!group.streams.delete(stream)) return false;
    this.#size--;
    if (group.streams.size > 0) return true;
    this.#groups.delete(group.text);
    this.#expiries.delete(group, group.chain.expires);
    for (const name of group.names) {
      const there = this.#byTarget.get(name);
      if (there?.delete(group) && there.size === 0) this.#byTarget.delete(name);
    }
    return true;
  }

  /** The first of them before it returns. */
  async #cutEach(groups: readonly Group[], causeOf: (group: Group) => CutCause | undefined): Promise<void> {
    let since = performance.now();
    let looked = 0;
    for (const group of groups) {
      const cause = causeOf(group);
      for (const stream of [...group.streams]) {
        if (cause !== undefined && this.#remove(group, stream)) this.#cut(stream, group.chain, cause);
        if (++looked % TURN_STREAMS !== 0 || performance.now() - since < TURN_MILLIS) continue;
        await nextTurn();
        since = performance.now();
      }
    }
  }

  #cut(stream: LiveStream, chain: StreamChain, cause: CutCause): void {
    stream.end(cause.reason);
    this.#settings.onCut({ decisionId: stream.decisionId, chain, ...cause });
  }
}

function nameOf(kind: RestrictionTarget['kind'], value: string): string {
  return `${kind}\n${value}`;
}

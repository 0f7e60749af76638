// The stream and the statement about it, as the vault writes them: every restriction right after it was kept, in order, and what it
// says of them in one step with the last. A stream that is not as it was left is written anew.

import type { RestrictionStore } from '../../../restrictions/restriction-store.ts';
import type { RedisConnection } from '../connection.ts';
import type { HeadStatement, RestrictionKeys } from './statements.ts';
import { fieldsOf, type RawEntry, readEntry, streamId } from './stream.ts';

export interface PublishStreamSettings {
  readonly connection: RedisConnection;
  readonly keys: RestrictionKeys;
  readonly store: Pick<RestrictionStore, 'epoch' | 'headAt' | 'lastSequence' | 'after'>;
  /** The gateways that may rely on what is said. */
  readonly named: () => HeadStatement['followers'];
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

interface Row {
  readonly sequence: number;
  readonly fields: string[];
}

/** Of what a snapshot has too, for those that are a little behind. */
const KEPT = 10_000;
const ROWS = 500;
const CHARACTERS = 1024 * 1024;
const ANSWER_MILLIS = 5000;
const LIVE_MILLIS = 3_600_000;
/** A clock that is set back by no more than this goes on from where it was. */
const SMOOTHED_MILLIS = 1000;

export class PublishedStream {
  readonly #settings: PublishStreamSettings;
  #first = 1;
  #sent = 0;
  /** `doubted`: it may be as it was left. `broken`: it is not, or what was added was not taken. */
  #found: 'intact' | 'doubted' | 'broken' = 'doubted';
  #said = { at: 0, sealed: '' };

  constructor(settings: PublishStreamSettings) {
    this.#settings = settings;
  }

  /** The statement that was there before, if the fleet made it. */
  async before(): Promise<HeadStatement | undefined> {
    const { connection, keys } = this.#settings;
    const sealed = await connection.run((client) => client.get(keys.key('head')), ANSWER_MILLIS);
    return sealed === null ? undefined : keys.open('head', sealed);
  }

  /**
   * Writes what came since, and says so.
   * @param covered the sequence up to which there is a snapshot
   * @returns whether the stream was as it should be, and whether someone else has spoken for the vault meanwhile
   */
  async publish(covered: number): Promise<{ readonly intact: boolean; readonly other: boolean }> {
    const { store } = this.#settings;
    if (this.#found === 'broken' || (this.#found === 'doubted' && !(await this.#isAsLeft(covered)))) await this.#begin(covered);
    this.#found = 'doubted';
    for (;;) {
      const rows = this.#rows();
      const last = rows.at(-1)?.sequence ?? this.#sent;
      // What does not go to the end would look like something taken back.
      if (rows.length > 0 && last < store.lastSequence()) {
        if (await this.#add(rows)) continue;
        this.#found = 'broken';
        return { intact: false, other: false };
      }
      const written = await this.#say(rows, last, covered);
      this.#found = written.intact ? 'intact' : 'broken';
      return written;
    }
  }

  /** Goes on from where the stream is. */
  async #isAsLeft(covered: number): Promise<boolean> {
    const { connection, keys, store } = this.#settings;
    const key = keys.stream(store.epoch);
    const found = await connection.run(
      (client) => client.multi().xlen(key).xrange(key, '-', '+', 'COUNT', 1).xrevrange(key, '+', '-', 'COUNT', 1).exec(),
      ANSWER_MILLIS,
    );
    const [first, last] = endsOf(found ?? []) ?? [];
    const reaches = first !== undefined && first <= covered + 1;
    if (reaches && last !== undefined && this.#isOurs(found?.[2]?.[1])) {
      [this.#first, this.#sent] = [first, last];
      return true;
    }
    return false;
  }

  async #begin(covered: number): Promise<void> {
    const { connection, keys, store } = this.#settings;
    const key = keys.stream(store.epoch);
    // Nobody is told of a stream while it is written.
    await connection.run((client) => client.multi().del(key).del(keys.key('head')).exec(), ANSWER_MILLIS);
    this.#first = Math.max(1, (covered > 0 ? covered : store.lastSequence()) - KEPT + 1);
    this.#sent = this.#first - 1;
  }

  #isOurs(entries: unknown): boolean {
    const { keys, store } = this.#settings;
    try {
      const [entry] = (entries as RawEntry[]).map(readEntry);
      const head = entry && keys.openHead(store.epoch, entry.sequence, entry.head);
      return head !== undefined && head === store.headAt(entry?.sequence ?? 0);
    } catch {
      return false;
    }
  }

  #rows(): Row[] {
    const { keys, store } = this.#settings;
    let characters = 0;
    const rows: Row[] = [];
    for (const { sequence, compact } of store.after(this.#sent, ROWS)) {
      if (characters > CHARACTERS) break;
      characters += compact.length;
      const head = keys.sealHead(store.epoch, sequence, store.headAt(sequence) ?? '');
      rows.push({ sequence, fields: fieldsOf({ compact, head }) });
    }
    return rows;
  }

  async #add(rows: readonly Row[]): Promise<boolean> {
    const { connection, keys, store } = this.#settings;
    const added = await connection.run((client) => {
      const transaction = client.multi();
      for (const { sequence, fields } of rows) transaction.xadd(keys.stream(store.epoch), streamId(sequence), ...fields);
      return transaction.exec();
    }, ANSWER_MILLIS);
    if (added === null || added.some(([error]) => error !== null)) return false;
    this.#sent = rows.at(-1)?.sequence ?? this.#sent;
    return true;
  }

  async #say(rows: readonly Row[], last: number, covered: number): Promise<{ intact: boolean; other: boolean }> {
    const { connection, keys, store, named, clock } = this.#settings;
    const key = keys.stream(store.epoch);
    this.#first = Math.max(this.#first, covered - KEPT + 1);
    const now = clock();
    const behind = this.#said.at - now;
    const at = behind >= 0 && behind < SMOOTHED_MILLIS ? this.#said.at + 1 : now;
    const head = store.headAt(last) ?? '';
    const sealed = keys.seal('head', { epoch: store.epoch, last, head, first: this.#first, at, followers: named() });
    const results = await connection.run((client) => {
      const transaction = client.multi();
      for (const { sequence, fields } of rows) transaction.xadd(key, streamId(sequence), ...fields);
      transaction.xtrim(key, 'MINID', streamId(this.#first));
      transaction.pexpire(key, LIVE_MILLIS);
      transaction.xlen(key).xrange(key, '-', '+', 'COUNT', 1).xrevrange(key, '+', '-', 'COUNT', 1);
      transaction.set(keys.key('head'), sealed, 'GET');
      return transaction.exec();
    }, ANSWER_MILLIS);
    if (results === null || results.some(([error]) => error !== null)) return { intact: false, other: false };
    this.#sent = last;
    const before = results.at(-1)?.[1];
    const other = typeof before === 'string' && this.#said.sealed !== '' && this.#isAnothers(before);
    this.#said = { at, sealed };
    const ends = endsOf(results.slice(-4, -1));
    const intact = last < this.#first ? ends === undefined : ends?.[0] === this.#first && ends[1] === last;
    return { intact, other };
  }

  /** A second vault, or this one's last statement but one put back, which says no more than that. */
  #isAnothers(sealed: string): boolean {
    if (sealed === this.#said.sealed) return false;
    const statement = this.#settings.keys.open('head', sealed);
    return statement !== undefined && statement.at >= this.#said.at;
  }
}

/** @param found length, first and last entry @returns its ends where nothing is missing between them */
function endsOf(found: readonly [Error | null, unknown][]): readonly [number, number] | undefined {
  const [length, first, last] = found.map(([, result]) => result);
  const [from, to] = [first, last].map((entries) => Number.parseInt((entries as RawEntry[] | undefined)?.[0]?.[0] ?? '', 10));
  if (from === undefined || to === undefined || Number.isNaN(from) || Number.isNaN(to)) return undefined;
  return length === to - from + 1 ? [from, to] : undefined;
}

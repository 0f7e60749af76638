// The restrictions in force, in memory (profile section 6): what becomes of a chain follows from what is in the set and not from the
// order in which it came. Looked at on every request; a chain that was looked at is looked at again only when the set has changed.

import { Note } from '../note.ts';
import type { AuthorizationDetails } from '../token/authorization-details.ts';
import { type AuthorRole, ENTRY_BYTES, entryOf, type RestrictableChain, rankOf, restrictablesOf } from './restrictable-chain.ts';
import type { TargetKind } from './restriction.ts';
import { ALWAYS, ENTRY_WORDS, RevocationTable } from './revocation-table.ts';
import type { Restriction } from './verify-restriction.ts';

export interface Revocation {
  /** Absent where the record could not be read; it is in force all the same. */
  readonly id: string | undefined;
  readonly kind: TargetKind;
  readonly role: AuthorRole;
  /** Seconds since the epoch at which it was made. */
  readonly at: number | undefined;
}

export interface Narrowing {
  readonly id: string;
  readonly details: AuthorizationDetails;
}

/** What restrictions make of a chain: revoked, or allowed to do no more than each of these narrowings allows. */
export type Finding = { readonly revoked: Revocation } | { readonly narrowed: readonly Narrowing[] };

export interface RestrictionSetSettings {
  /** DIDs whose restrictions count for every chain. */
  readonly administrators: readonly string[];
  /** The restriction that was added with a sequence: the memory holds its name alone. */
  readonly read: (sequence: number) => Restriction | undefined;
}

interface LookedAt {
  readonly version: number;
  readonly names: Uint32Array;
  readonly finding: Finding;
}

export const REVOCATION_BYTES = ENTRY_BYTES + 8;
const UNRESTRICTED: Finding = { narrowed: [] };

export class RestrictionSet {
  readonly #read: RestrictionSetSettings['read'];
  readonly #revocations = new RevocationTable();
  /** By name. */
  readonly #narrowings = new Map<string, Restriction[]>();
  /** By the id of the narrowing. */
  readonly #lifts = new Map<string, Restriction[]>();
  /** On their way to where they are kept, by name; only those that take something away. */
  readonly #expected = new Map<string, readonly Restriction[]>();
  #administrators: readonly string[];
  #lookedAt = new Note<RestrictableChain, LookedAt>('restrictions');
  #version = 0;
  #highWaterMark = 0;

  constructor({ administrators, read }: RestrictionSetSettings) {
    this.#administrators = administrators;
    this.#read = read;
  }

  /** The sequence everything up to which is in force. */
  get highWaterMark(): number {
    return this.#highWaterMark;
  }

  /** Revocations that differ in author and target, and the memory that they take. */
  get revocations(): { readonly count: number; readonly bytes: number } {
    return { count: this.#revocations.size, bytes: this.#revocations.bytes };
  }

  /** Everything up to a sequence has been added. */
  reached(sequence: number): void {
    this.#highWaterMark = Math.max(this.#highWaterMark, sequence);
  }

  /** In force when it returns. Adding one again changes nothing. */
  add(restriction: Restriction, sequence: number): void {
    const { by, target, effect, before, lifts } = restriction;
    const entry = entryOf(by, target.kind, target.value);
    if (effect === 'revoke') this.#revocations.add(wordsOf(entry), 0, sequence, before ?? ALWAYS);
    else if (effect === 'narrow') addOnce(this.#narrowings, nameOf(wordsOf(entry), 0), restriction);
    else addOnce(this.#lifts, lifts ?? '', restriction);
    this.#version++;
  }

  /**
   * In force while it is being kept, since nothing must run on for as long as a disk takes. A lift gives something back, and waits.
   * @returns to be called when it is kept, and was added, or could not be
   */
  expect(restriction: Restriction): () => void {
    const { by, target, effect } = restriction;
    if (effect === 'lift') return () => {};
    const name = nameOf(wordsOf(entryOf(by, target.kind, target.value)), 0);
    this.#setExpected(name, [...(this.#expected.get(name) ?? []), restriction]);
    return () =>
      this.#setExpected(
        name,
        (this.#expected.get(name) ?? []).filter((other) => other !== restriction),
      );
  }

  /** Many revocations at once, {@link REVOCATION_BYTES} each: name, sequence and `before` ({@link ALWAYS} for none), big-endian. */
  addRevocations(rows: Buffer): void {
    const words = wordsOf(rows);
    for (let at = 0; at < rows.length; at += REVOCATION_BYTES) {
      const numbers = at + ENTRY_BYTES;
      this.#revocations.add(words, at / 4, rows.readUInt32BE(numbers), rows.readUInt32BE(numbers + 4));
    }
    this.#version++;
  }

  administeredBy(administrators: readonly string[]): void {
    this.#administrators = administrators;
    this.#lookedAt = new Note('restrictions');
  }

  /** The same object until the set changes. */
  find(chain: RestrictableChain): Finding {
    const before = this.#lookedAt.get(chain);
    if (before?.version === this.#version) return before.finding;
    const names = before?.names ?? this.#namesOf(chain);
    const finding = this.#findRevocation(chain, names) ?? this.#findNarrowings(chain, names);
    this.#lookedAt.set(chain, { version: this.#version, names, finding });
    return finding;
  }

  #namesOf(chain: RestrictableChain): Uint32Array {
    const entries = [...restrictablesOf(chain, this.#administrators)].map(({ by, kind, value }) => entryOf(by, kind, value));
    return wordsOf(Buffer.concat(entries));
  }

  #findRevocation(chain: RestrictableChain, names: Uint32Array): Finding | undefined {
    const iat = chain.links[0]?.iat ?? 0;
    for (let at = 0; at < names.length; at += ENTRY_WORDS) {
      const sequence = this.#revocations.find(names, at, iat);
      if (sequence !== 0) return { revoked: this.#describe(chain, at / ENTRY_WORDS, this.#readRevoked(sequence)) };
      const expected = this.#expectedAt(names, at).find(
        ({ effect, before }) => effect === 'revoke' && (before === undefined || iat < before),
      );
      if (expected !== undefined) return { revoked: this.#describe(chain, at / ENTRY_WORDS, expected) };
    }
    return undefined;
  }

  #readRevoked(sequence: number): Restriction | undefined {
    try {
      return this.#read(sequence);
    } catch {
      // What was revoked stays revoked, whether or not it can be told why.
      return undefined;
    }
  }

  #describe(chain: RestrictableChain, index: number, restriction: Restriction | undefined): Revocation {
    const restrictable = [...restrictablesOf(chain, this.#administrators)][index];
    return {
      id: restriction?.id,
      kind: restrictable?.kind ?? 'token',
      role: restrictable?.role ?? 'operator',
      at: restriction?.at,
    };
  }

  #findNarrowings(chain: RestrictableChain, names: Uint32Array): Finding {
    if (this.#narrowings.size === 0 && this.#expected.size === 0) return UNRESTRICTED;
    const iat = chain.links[0]?.iat ?? 0;
    const found = new Map<Restriction, Narrowing>();
    for (let at = 0; at < names.length; at += ENTRY_WORDS) {
      for (const narrowing of [...(this.#narrowings.get(nameOf(names, at)) ?? []), ...this.#expectedAt(names, at)]) {
        const { id, details, before = Number.POSITIVE_INFINITY } = narrowing;
        if (details !== undefined && iat < before && !this.#isLifted(narrowing, chain)) found.set(narrowing, { id, details });
      }
    }
    return found.size === 0 ? UNRESTRICTED : { narrowed: [...found.values()] };
  }

  #expectedAt(names: Uint32Array, at: number): readonly Restriction[] {
    return this.#expected.size === 0 ? [] : (this.#expected.get(nameOf(names, at)) ?? []);
  }

  #setExpected(name: string, restrictions: readonly Restriction[]): void {
    if (restrictions.length === 0) this.#expected.delete(name);
    else this.#expected.set(name, restrictions);
    this.#version++;
  }

  /** By someone who stands at least as high over the chain as whoever narrowed it; a lift comes after, so its time does not matter. */
  #isLifted({ id, by, target }: Restriction, chain: RestrictableChain): boolean {
    const rank = rankOf(by, chain, this.#administrators) ?? 0;
    return (this.#lifts.get(id) ?? []).some(
      (lift) =>
        lift.target.kind === target.kind &&
        lift.target.value === target.value &&
        (rankOf(lift.by, chain, this.#administrators) ?? Number.POSITIVE_INFINITY) <= rank,
    );
  }
}

function addOnce(restrictions: Map<string, Restriction[]>, name: string, restriction: Restriction): void {
  const there = restrictions.get(name);
  if (there === undefined) restrictions.set(name, [restriction]);
  else if (!there.some(({ id, by }) => id === restriction.id && by === restriction.by)) there.push(restriction);
}

/** Copied, since words must be aligned. */
function wordsOf(entries: Buffer): Uint32Array {
  return new Uint32Array(new Uint8Array(entries).buffer);
}

function nameOf(words: Uint32Array, at: number): string {
  return `${words[at]}.${words[at + 1]}.${words[at + 2]}.${words[at + 3]}`;
}

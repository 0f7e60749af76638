// What each version of a log changed, read out of lines that have been verified.

import type { PublicKey } from '../crypto/public-key.ts';
import { type DidState, keysOf, type PublishedKey } from './did-state.ts';

export interface VersionChange {
  readonly change:
    | 'key-added'
    | 'key-expiring'
    | 'key-dropped'
    | 'key-changed'
    | 'controller'
    | 'moved'
    | 'document'
    | 'deactivated';
  /** DID URL of the key, or what there is now. */
  readonly what: string;
  readonly thumbprint?: string;
  /** Milliseconds since the epoch. */
  readonly expires?: number;
}

export interface HistoryEntry {
  readonly version: number;
  readonly versionId: string;
  /** As the log spells it. */
  readonly time: string;
  readonly changes: readonly VersionChange[];
}

interface Line {
  readonly versionId: string;
  readonly versionTime: string;
  readonly parameters: { readonly deactivated?: boolean };
  readonly state: DidState;
}

/** @param lines of a log that verified, first to last */
export function historyOf(lines: readonly string[]): HistoryEntry[] {
  let before: DidState = {};
  return lines.map((text, at) => {
    const { versionId, versionTime, parameters, state } = JSON.parse(text) as Line;
    const changes = [...changesBetween(before, state)];
    if (parameters.deactivated === true) changes.push({ change: 'deactivated', what: String(state.id) });
    before = state;
    return { version: at + 1, versionId, time: versionTime, changes };
  });
}

function* changesBetween(before: DidState, after: DidState): Generator<VersionChange> {
  const [had, has] = [before, after].map((state) => new Map(keysOf(state).map((key) => [key.id, key])));
  for (const [id, key] of has ?? []) {
    const old = had?.get(id);
    if (old === undefined) yield { change: 'key-added', ...shown(key) };
    else if (isOther(old.key, key.key) || old.purposes.join() !== key.purposes.join())
      yield { change: 'key-changed', ...shown(key) };
    else if (old.expires !== key.expires) yield { change: 'key-expiring', ...shown(key) };
  }
  for (const [id, key] of had ?? []) if (!has?.has(id)) yield { change: 'key-dropped', what: id, ...thumbprintOf(key.key) };
  const controller = (state: DidState) => [state.controller ?? []].flat().map(String).join(' ');
  if (controller(before) !== controller(after)) yield { change: 'controller', what: controller(after) };
  if (before.id !== undefined && before.id !== after.id) yield { change: 'moved', what: String(after.id) };
  if (before.id !== undefined && rest(before) !== rest(after)) yield { change: 'document', what: String(after.id) };
}

function shown({ id, key, expires }: PublishedKey) {
  return { what: id, ...thumbprintOf(key), ...(expires !== undefined && { expires }) };
}

function thumbprintOf(key: PublicKey | undefined) {
  return key === undefined ? {} : { thumbprint: key.jkt };
}

function isOther(one: PublicKey | undefined, other: PublicKey | undefined): boolean {
  return one?.jkt !== other?.jkt;
}

/** Services and whatever else stands in a document. */
function rest({
  id: _id,
  controller: _controller,
  verificationMethod: _methods,
  assertionMethod: _a,
  capabilityInvocation: _c,
  ...other
}: DidState) {
  return JSON.stringify(other);
}

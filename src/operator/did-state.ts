// The documents that an operator publishes, its own and its agents' (profile section 1): made, and changed key by key. What else
// stands in a document is left as it is.

import { importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';
import type { Purpose } from '../vault/did-document.ts';

export type DidState = Readonly<Record<string, unknown>>;

/** A verification method as it is published. */
export interface PublishedKey {
  /** DID URL. */
  readonly id: string;
  /** `undefined` for one that is no valid JsonWebKey. */
  readonly key: PublicKey | undefined;
  readonly purposes: readonly Purpose[];
  /** Milliseconds since the epoch. */
  readonly expires: number | undefined;
}

const CONTEXT = ['https://www.w3.org/ns/did/v1', 'https://www.w3.org/ns/cid/v1'];
const PURPOSES = ['assertionMethod', 'capabilityInvocation'] as const satisfies readonly Purpose[];

/** An operator's key issues roots and signs its writes. */
export function operatorState(did: string, key: PublicKey): DidState {
  return withKey({ '@context': CONTEXT, id: did }, key, { number: 1, purposes: PURPOSES });
}

export function agentState(did: string, operator: string, key: PublicKey): DidState {
  return withKey({ '@context': CONTEXT, id: did, controller: operator }, key, { number: 1, purposes: ['capabilityInvocation'] });
}

/** @param number of the key among all that its DID has ever had; none is given twice */
export function withKey(
  state: DidState,
  key: PublicKey,
  { number, purposes }: { readonly number: number; readonly purposes: readonly Purpose[] },
): DidState {
  const did = String(state.id);
  const id = `${did}#key-${number}`;
  const method = { id, type: 'JsonWebKey', controller: did, publicKeyJwk: key.jwk };
  const references = purposes.map((purpose) => [purpose, [...listOf(state[purpose]), id]]);
  return { ...state, verificationMethod: [...listOf(state.verificationMethod), method], ...Object.fromEntries(references) };
}

/** Each key holds until `at` at most; one that ends before is left alone. */
export function expireKeys(state: DidState, at: number): DidState {
  const methods = listOf(state.verificationMethod).map((method) => {
    if (!isObject(method)) return method;
    const until = expiryOf(method);
    return until !== undefined && until <= at ? method : { ...method, expires: dateTime(at) };
  });
  return { ...state, verificationMethod: methods };
}

/** Without the keys that had ended by `now`. */
export function dropExpired(state: DidState, now: number): DidState {
  const dropped = new Set(
    listOf(state.verificationMethod)
      .filter((method) => isObject(method) && (expiryOf(method) ?? Number.POSITIVE_INFINITY) <= now)
      .map((method) => (method as { id?: unknown }).id),
  );
  if (dropped.size === 0) return state;
  const kept = listOf(state.verificationMethod).filter((method) => !isObject(method) || !dropped.has(method.id));
  return withMethods(state, kept, (id) => !dropped.has(id));
}

/** What a deactivated DID is left with, and one whose keys are lost begins again from. */
export function withoutKeys(state: DidState): DidState {
  return withMethods(state, [], () => false);
}

export function keysOf(state: DidState): PublishedKey[] {
  return listOf(state.verificationMethod)
    .filter(isObject)
    .map((method) => ({
      id: String(method.id),
      key: validKey(method.publicKeyJwk),
      purposes: PURPOSES.filter((purpose) => listOf(state[purpose]).includes(method.id)),
      expires: expiryOf(method),
    }));
}

/** The key's method while it holds. */
export function findHolding(state: DidState, key: PublicKey, now: number): PublishedKey | undefined {
  return keysOf(state).find((found) => found.key?.jkt === key.jkt && (found.expires === undefined || now < found.expires));
}

/** One more than any number that a key of the DID has had, in whichever of its documents. */
export function nextKeyNumber(states: readonly DidState[]): number {
  const numbers = states.flatMap(keysOf).map(({ id }) => Number(/#key-(\d{1,9})$/.exec(id)?.[1] ?? 0));
  return Math.max(0, ...numbers) + 1;
}

/** A second is as fine as documents and tokens tell time. */
export function dateTime(millis: number): string {
  return new Date(millis).toISOString().replace(/\.\d+Z$/, 'Z');
}

function withMethods(state: DidState, methods: readonly unknown[], keep: (id: unknown) => boolean): DidState {
  const purposes = Object.fromEntries(
    PURPOSES.filter((purpose) => purpose in state).map((purpose) => [purpose, listOf(state[purpose]).filter(keep)]),
  );
  return { ...state, verificationMethod: methods, ...purposes };
}

function validKey(jwk: unknown): PublicKey | undefined {
  try {
    return importPublicJwk(jwk);
  } catch (error) {
    if (error instanceof KeyError) return undefined;
    throw error;
  }
}

function expiryOf(method: Record<string, unknown>): number | undefined {
  const at = typeof method.expires === 'string' ? Date.parse(method.expires) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

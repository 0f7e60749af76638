// An operator as the CLI is one: its seed, its signing key, the logs that it writes and the requests that it signs. The signer is
// written from RFC 9421 with node's crypto alone, so that the vault is not held against its own code.

import { createHash, hash, randomBytes, sign } from 'node:crypto';
import { generatePrivateKey, type PrivateKey } from '../../src/crypto/private-key.ts';
import { multihash } from '../../src/vault/webvh/multihash.ts';
import { commitmentTo, multikeyOf } from '../../src/vault/webvh/multikey.ts';
import { canonicalEntry, draftOf, signEntry } from '../../src/vault/webvh/sign-entry.ts';
import { deriveUpdateKey } from '../../src/vault/webvh/update-key.ts';

export const ORIGIN = 'https://vault.test:8443';
export const HOST = 'vault.test:8443';
export const SPELLED_HOST = 'vault.test%3A8443';

type Json = Record<string, unknown>;
/** What a test changes in an entry before it is signed. */
export interface EntryChanges {
  readonly state?: (state: Json) => Json;
  readonly parameters?: Json;
}

const same = (state: Json) => state;

export interface WrittenLog {
  readonly location: string;
  readonly did: string;
  readonly lines: readonly string[];
}

export class Operator {
  readonly name: string;
  readonly key: PrivateKey;
  readonly #seed = randomBytes(32);
  readonly host: string;
  readonly log: WrittenLog;
  readonly did: string;

  constructor(name: string, { host = SPELLED_HOST, changes = {} }: { host?: string; changes?: EntryChanges } = {}) {
    this.name = name;
    this.host = host;
    this.key = generatePrivateKey('Ed25519');
    const purposes = ['capabilityInvocation', 'assertionMethod'];
    this.log = this.first(`${host}:operators:${name}`, (did) => stateOf(did, [], [this.key], purposes), changes);
    this.did = this.log.did;
  }

  get keyid(): string {
    return `${this.did}#key-1`;
  }

  /** The log of a new agent, of one entry. */
  agent(name: string, keys: readonly PrivateKey[] = [generatePrivateKey('Ed25519')], changes: EntryChanges = {}): WrittenLog {
    const state = (did: string) => stateOf(did, [this.did], keys, ['capabilityInvocation']);
    return this.first(`${this.host}:agents:${this.name}:${name}`, state, changes);
  }

  first(location: string, state: (did: string) => Json, changes: EntryChanges = {}): WrittenLog {
    const did = `did:webvh:{SCID}:${location}`;
    const parameters = {
      method: 'did:webvh:1.0',
      scid: '{SCID}',
      portable: true,
      ...this.#keys(location, 1),
      ...changes.parameters,
    };
    const document = (changes.state ?? same)(state(did));
    const draft = draftOf(parameters, did, document, Date.now() - 600_000);
    const scid = multihash(canonicalEntry(draft, '{SCID}'));
    const fill = (text: string) => text.replaceAll('{SCID}', scid);
    const filled = { ...draft, did: fill(did), parameters: fill(draft.parameters), state: fill(draft.state) };
    return { location, did: filled.did, lines: [signEntry(filled, 1, scid, this.updateKey(location, 1)).line] };
  }

  /** The log with one more entry. */
  next(log: WrittenLog, changes: EntryChanges = {}): WrittenLog {
    const number = log.lines.length + 1;
    const { state, versionId } = JSON.parse(log.lines.at(-1) ?? '') as { state: Json; versionId: string };
    const parameters = { ...this.#keys(log.location, number), ...changes.parameters };
    const time = Date.now() - 600_000 + number * 10_000;
    const draft = draftOf(parameters, log.did, (changes.state ?? same)(state), time);
    return { ...log, lines: [...log.lines, signEntry(draft, number, versionId, this.updateKey(log.location, number)).line] };
  }

  /** The log ended. */
  end(log: WrittenLog): WrittenLog {
    return this.next(log, { parameters: { nextKeyHashes: [], deactivated: true } });
  }

  updateKey(location: string, version: number): PrivateKey {
    return deriveUpdateKey(this.#seed, location, version);
  }

  #keys(location: string, version: number): Json {
    const multikey = (at: number) => multikeyOf(this.updateKey(location, at).publicKey);
    return { updateKeys: [multikey(version)], nextKeyHashes: [commitmentTo(multikey(version + 1))] };
  }

  /** Headers of a signed write. */
  sign(path: string, body: string, changes: SignatureChanges = {}): Record<string, string> {
    return signWrite(path, body, { keyid: this.keyid, key: this.key, ...changes });
  }
}

export function stateOf(
  did: string,
  controller: readonly string[],
  keys: readonly PrivateKey[],
  purposes: readonly string[],
): Json {
  const methods = keys.map(({ publicKey }, at) => ({
    id: `${did}#key-${at + 1}`,
    type: 'JsonWebKey',
    controller: did,
    publicKeyJwk: publicKey.jwk,
  }));
  const ids = methods.map(({ id }) => id);
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://www.w3.org/ns/cid/v1'],
    id: did,
    ...(controller.length > 0 && { controller }),
    verificationMethod: methods,
    ...Object.fromEntries(purposes.map((purpose) => [purpose, ids])),
  };
}

export interface SignatureChanges {
  readonly keyid?: string;
  readonly key?: PrivateKey;
  readonly method?: string;
  readonly authority?: string;
  readonly idempotencyKey?: string;
  /** Seconds since the epoch. */
  readonly created?: number;
  readonly expires?: number;
  readonly nonce?: string;
  readonly tag?: string;
  readonly label?: string;
  /** Names of components, instead of those that the vault asks for. */
  readonly covered?: readonly string[];
  readonly more?: string;
}

function signWrite(
  path: string,
  body: string,
  changes: SignatureChanges & { keyid: string; key: PrivateKey },
): Record<string, string> {
  const { key, keyid, method = 'POST', authority = HOST, idempotencyKey, tag = 'agent-cap-control', label = 'control' } = changes;
  const created = changes.created ?? Math.floor(Date.now() / 1000);
  const { expires = created + 60, nonce = randomBytes(16).toString('base64url'), more = '' } = changes;
  const [target = '', query = ''] = path.split(/(?=\?)/);
  const headers: Record<string, string> = {
    host: authority,
    'content-type': 'application/json',
    'content-digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:`,
    ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
  };
  const derived: Record<string, string> = {
    '@method': method,
    '@authority': authority,
    '@path': target,
    '@query': query === '' ? '?' : query,
  };
  const usual = [
    '@method',
    '@authority',
    '@path',
    '@query',
    'content-type',
    'content-digest',
    ...(idempotencyKey === undefined ? [] : ['idempotency-key']),
  ];
  const covered = changes.covered ?? usual;
  const params = `(${covered.map((name) => `"${name}"`).join(' ')});created=${created};expires=${expires};nonce="${nonce}";keyid="${keyid}";tag="${tag}"${more}`;
  const lines = covered.map((name) => `"${name}": ${derived[name] ?? headers[name]}\n`).join('');
  const base = `${lines}"@signature-params": ${params}`;
  const signature = sign(key.algorithm === 'Ed25519' ? null : 'sha256', Buffer.from(base), {
    key: key.keyObject,
    dsaEncoding: 'ieee-p1363',
  });
  return { ...headers, 'signature-input': `${label}=${params}`, signature: `${label}=:${signature.toString('base64')}:` };
}

export function bodyOf({ lines }: WrittenLog): string {
  return JSON.stringify({ entry: lines.at(-1) });
}

/** Names that differ in each run of a test. */
export function fresh(what: string): string {
  return `${what}-${hash('sha256', randomBytes(8), 'hex').slice(0, 8)}`;
}

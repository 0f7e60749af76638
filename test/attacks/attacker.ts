// A signer that can do everything wrong. It builds tokens and signature headers from parts, each of which a row may replace,
// on node:crypto alone: nothing of src/ is in it, so that a mistake there cannot hide behind the same mistake here.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Line, WireRequest } from './raw-http.ts';

/** An Ed25519 key and who its holder is. */
export interface Holder {
  readonly key: KeyObject;
  readonly jwk: Readonly<Record<string, string>>;
  readonly jkt: string;
  readonly did: string;
  /** DID URL of the key. */
  readonly kid: string;
}

export function newHolder(): Holder {
  return holderOf(generateKeyPairSync('ed25519').privateKey);
}

export function readHolder(jwkFile: string): Holder {
  return holderOf(createPrivateKey({ key: JSON.parse(readFileSync(jwkFile, 'utf8')), format: 'jwk' }));
}

function holderOf(key: KeyObject): Holder {
  const x = String(createPublicKey(key).export({ format: 'jwk' }).x);
  const did = didKeyOf(Buffer.from(x, 'base64url'));
  const jkt = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
  return { key, jwk: { kty: 'OKP', crv: 'Ed25519', x, alg: 'Ed25519' }, jkt, did, kid: `${did}#${did.slice(8)}` };
}

/** did:key of a raw Ed25519 point, valid or not. */
export function didKeyOf(point: Buffer): string {
  return `did:key:z${base58(Buffer.concat([Buffer.of(0xed, 0x01), point]))}`;
}

function base58(bytes: Buffer): string {
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  let text = '';
  for (let rest = BigInt(`0x${bytes.toString('hex')}`); rest > 0n; rest /= 58n) text = alphabet[Number(rest % 58n)] + text;
  return text;
}

export const GRANT = { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'] };

export interface RootParts {
  readonly header?: object;
  /** Members replace those of a good root; `undefined` leaves one out. */
  readonly claims?: object;
  /** Instead of the JSON of header or claims. */
  readonly headerText?: string;
  readonly claimsText?: string;
  readonly sign?: (input: Buffer) => Buffer;
}

/** A root token of profile section 3, right in every part that is not replaced. */
export function mintRoot(operator: Holder, agent: Pick<Holder, 'did' | 'jwk'>, parts: RootParts = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: 'Ed25519', typ: 'agent-cap+jwt', kid: operator.kid, ...parts.header };
  const claims = {
    iss: operator.did,
    sub: operator.did,
    client_id: agent.did,
    aud: 'gateway.local',
    iat: now - 10,
    exp: now + 3600,
    jti: randomBytes(16).toString('base64url'),
    cnf: { jwk: agent.jwk },
    del_depth: 0,
    del_max_depth: 0,
    authorization_details: [GRANT],
    ...parts.claims,
  };
  const input = `${base64url(parts.headerText ?? JSON.stringify(header))}.${base64url(parts.claimsText ?? JSON.stringify(claims))}`;
  const signature = (parts.sign ?? ((bytes) => sign(null, bytes, operator.key)))(Buffer.from(input, 'latin1'));
  return `${input}.${signature.toString('base64url')}`;
}

/** A token and who holds the key that it is bound to. */
export interface Held {
  readonly token: string;
  readonly holder: Holder;
}

/** A link below a token, right in every part that is not replaced: it says what its parent says, for the next key. */
export function mintBelow(parent: Held, next: Holder, parts: RootParts = {}): Held {
  const header = { alg: 'Ed25519', typ: 'agent-cap+jwt', ...parts.header };
  const above = JSON.parse(Buffer.from(parent.token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
  const claims = {
    ...above,
    iss: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${parent.holder.jkt}`,
    jti: randomBytes(16).toString('base64url'),
    cnf: { jwk: next.jwk },
    del_depth: Number(above.del_depth) + 1,
    par_hash: createHash('sha256')
      .update(parent.token.slice(0, parent.token.lastIndexOf('.')))
      .digest('base64url'),
    ...parts.claims,
  };
  const input = `${base64url(JSON.stringify(header))}.${base64url(parts.claimsText ?? sorted(claims))}`;
  const signature = (parts.sign ?? ((bytes) => sign(null, bytes, parent.holder.key)))(Buffer.from(input, 'latin1'));
  return { token: `${input}.${signature.toString('base64url')}`, holder: next };
}

/** RFC 8785 for what links hold: ASCII names and strings, and whole numbers. */
export function sorted(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const text = members
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${sorted(member)}`);
  return `{${text.join(',')}}`;
}

export function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** Everything that goes into one signed request. `attempt` fills it in right; a row replaces what it attacks. */
export interface Attempt {
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly body: Buffer;
  /** Value of Agent-Capability; `undefined` sends none. */
  readonly capability: string | undefined;
  /** Value of Content-Digest; `undefined` sends none. */
  readonly digest: string | undefined;
  readonly contentType: string | undefined;
  /** Further lines, in order. */
  readonly extra: readonly Line[];
  /** Covered components as they are serialised: `"@method"`, `"x-a";sf`. */
  readonly covered: readonly string[];
  /** Signature parameters as they are serialised, in order. */
  readonly parameters: readonly Line[];
  /** Values that the signature base holds instead of the request's, by serialised component. */
  readonly signedAs: Readonly<Record<string, string>>;
  readonly label: string;
  readonly sign: (base: Buffer) => Buffer;
}

export const CHAT = chat('hello');
export const ALWAYS = ['"@method"', '"@authority"', '"@path"', '"@query"', '"agent-capability"'];
export const WITH_CONTENT = [...ALWAYS, '"content-type"', '"content-digest"'];

export function chat(content: string, more: object = {}): Buffer {
  return Buffer.from(JSON.stringify({ model: 'gpt-5-mini', messages: [{ role: 'user', content }], ...more }));
}

export function sha256(body: Buffer | string): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
}

/** Good parameters (profile section 2), with some replaced or, where `undefined`, left out. */
export function parameters(holder: Holder, change: Record<string, string | undefined> = {}): Line[] {
  const now = Math.floor(Date.now() / 1000);
  const good = {
    created: `${now}`,
    expires: `${now + 60}`,
    nonce: `"${randomBytes(16).toString('base64url')}"`,
    keyid: `"${holder.jkt}"`,
    tag: '"agent-cap"',
  };
  return Object.entries({ ...good, ...change }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

export function attempt(holder: Holder, token: string, change: Partial<Attempt> = {}): Attempt {
  const body = change.body ?? CHAT;
  return {
    method: 'POST',
    host: 'gateway.local',
    target: '/openai/v1/chat/completions',
    body,
    capability: `"${token}"`,
    digest: body.length > 0 ? sha256(body) : undefined,
    contentType: body.length > 0 ? 'application/json' : undefined,
    extra: [],
    covered: body.length > 0 ? WITH_CONTENT : ALWAYS,
    parameters: parameters(holder),
    signedAs: {},
    label: 'cap',
    sign: (base) => sign(null, base, holder.key),
    ...change,
  };
}

/** Signs the attempt and lays it out as header lines. */
export function toWire(a: Attempt): WireRequest {
  const lines: Line[] = [['host', a.host]];
  if (a.contentType !== undefined) lines.push(['content-type', a.contentType]);
  if (a.body.length > 0) lines.push(['content-length', String(a.body.length)]);
  if (a.digest !== undefined) lines.push(['content-digest', a.digest]);
  if (a.capability !== undefined) lines.push(['agent-capability', a.capability]);
  lines.push(...a.extra);
  const signatureParams = `(${a.covered.join(' ')})${a.parameters.map(([name, value]) => `;${name}=${value}`).join('')}`;
  const base = [
    ...a.covered.map((name) => `${name}: ${a.signedAs[name] ?? componentValue(a, lines, name)}`),
    `"@signature-params": ${signatureParams}`,
  ];
  const signature = a.sign(Buffer.from(base.join('\n'), 'latin1'));
  lines.push(['signature-input', `${a.label}=${signatureParams}`], ['signature', `${a.label}=:${signature.toString('base64')}:`]);
  return { method: a.method, target: a.target, lines, body: a.body };
}

function componentValue(a: Attempt, lines: readonly Line[], component: string): string {
  const name = /^"(.*?)"/.exec(component)?.[1] ?? '';
  const at = a.target.indexOf('?');
  switch (name) {
    case '@method':
      return a.method;
    case '@authority':
      return a.host.toLowerCase();
    case '@path':
      return at === -1 ? a.target : a.target.slice(0, at);
    case '@query':
      return at === -1 ? '?' : a.target.slice(at);
    case '@scheme':
      return 'https';
    case '@status':
      return '200';
    default:
      return lines
        .filter(([field]) => field.toLowerCase() === name)
        .map(([, value]) => value.trim())
        .join(', ');
  }
}

/** The request with lines changed after it was signed. */
export function withLine(wire: WireRequest, name: string, change: (value: string) => string | undefined): WireRequest {
  const lines = wire.lines.flatMap(([field, value]): Line[] => {
    const changed = field === name ? change(value) : value;
    return changed === undefined ? [] : [[field, changed]];
  });
  return { ...wire, lines };
}

// Mutated CheckRequests from a seed: bytes of the message, header lines, structured fields, tokens and bodies. Some are signed
// after they were mutated, so that the later checks see them too.

import {
  type Attempt,
  attempt,
  base64url,
  chat,
  type Holder,
  mintRoot,
  parameters,
  toWire,
  WITH_CONTENT,
} from '../attacks/attacker.ts';
import { encodeCheck } from '../attacks/gate.ts';
import type { Line, WireRequest } from '../attacks/raw-http.ts';

export interface Harmless {
  readonly operator: Holder;
  readonly agent: Holder;
  /** Claims of a root that allows nothing. */
  readonly claims: object;
}

export interface Mutant {
  readonly how: string;
  readonly bytes: Buffer;
}

const SCRAPS = [
  '',
  '"',
  '""',
  '\\',
  '\\"',
  ';',
  ',',
  '=',
  '()',
  '(',
  ')',
  ':',
  '::',
  ':AAAA:',
  '?1',
  '@1',
  '@-1',
  '1',
  '-1',
  '1.5',
  '999999999999999',
  '9999999999999999',
  '*',
  'cap',
  'cap=',
  'cap=()',
  ';tag="agent-cap"',
  ';created=1',
  ';expires=1',
  ';nonce="AAAAAAAAAAAAAAAAAAAAAA"',
  '"@method"',
  '"@path";tr',
  '"@status"',
  '%"caf%c3%a9"',
  '\u00e9',
  '\u00ff\u00fe',
  '\0',
  '\r\n',
  '\n',
  '\x1b[31m',
  '__proto__',
  'constructor',
  'prototype',
  'null',
  'true',
  '[]',
  '{}',
  '[[[[[[[[',
  '{"a":',
  '1e400',
  '\\u0000',
  '\\ud800',
  'sha-256=',
  'sha-256=:AAAA:',
  'sha-512=',
  'md5=',
  'eyJ',
  '.',
  '..',
  '...',
  '../',
  '%00',
  '%2f',
  '?',
  '#',
  '//',
  '+',
  '==',
  'did:key:z',
  'did:jwk:',
  'did:web:a',
  'did:key:z6Mk',
  'agent-cap+jwt',
  'application/json',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary=x',
  '; charset=utf-7',
  'x'.repeat(300),
  ' '.repeat(300),
  '"a" '.repeat(100),
  '('.repeat(100),
  '\\'.repeat(101),
];
const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  '',
  'a',
  '*',
  'openai/x',
  'did:key:z6Mk',
  '\ud800',
  '__proto__',
  [],
  [[]],
  [null],
  {},
  { a: {} },
  { constructor: 1 },
  { toString: 1 },
  ['chat'.repeat(100)],
  'x'.repeat(5000),
];
const NAMES = [
  'host',
  'content-type',
  'content-digest',
  'content-length',
  'transfer-encoding',
  'content-encoding',
  'agent-capability',
  'agent-attestation',
  'signature',
  'signature-input',
  'idempotency-key',
  'upgrade',
  'x-envoy-auth-partial-body',
  'x-http-method-override',
  '__proto__',
  'constructor',
  ':path',
  '',
  'X-Upper',
  'a b',
];
const TARGETS = [
  '/openai/v1/responses',
  '/openai/v1/embeddings',
  '/openai/v1/images/generations',
  '/openai/v1/audio/transcriptions',
  '/openai/v1/files',
  '/openai/v1/batches',
  '/openai/v1/models',
  '/anthropic/v1/messages',
  '/gemini/v1beta/models/gemini-2.5-pro:generateContent',
  '/azure-openai/openai/deployments/gpt-5/chat/completions?api-version=1',
  '/bedrock/model/anthropic.claude/converse',
  '/',
  '/openai',
  '/openai//',
  '/openai/v1/chat/completions?',
  '/openai/v1/chat/completions?a',
  '/openai/v1/%ff',
  '/gemini/v1beta/models/%2e%2e:generateContent',
  '/__proto__/x',
  '/constructor/x',
];
const MEMBERS = [
  'model',
  'messages',
  'tools',
  'tool_choice',
  'functions',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'input',
  'system',
  'contents',
  'generationConfig',
  'stream',
  'metadata',
  'response_format',
  'web_search_options',
  'mcp_servers',
  '__proto__',
  'toString',
];
const CLAIMS = [
  'iss',
  'sub',
  'client_id',
  'aud',
  'iat',
  'exp',
  'nbf',
  'jti',
  'cnf',
  'del_depth',
  'del_max_depth',
  'par_hash',
  'sid',
  'task',
  '__proto__',
  'constructor',
  'unknown',
];
const HEADER = ['alg', 'typ', 'kid', 'crit', 'jku', 'jwk', 'x5c', 'b64', 'zip', 'p2c', '__proto__'];
const CONTENT_TYPES = [
  'application/json',
  'multipart/form-data; boundary=x',
  'multipart/form-data; boundary="a b"',
  'text/plain',
  'application/json; charset=utf-8',
  'application/json;charset',
  '',
];

/** The same seed gives the same mutations; keys, nonces and times are new in each run. */
export function mutants(seed: number, { operator, agent, claims }: Harmless): () => Mutant {
  const random = generator(seed);
  const pick = <T>(of: readonly T[]): T => of[random(of.length)] as T;
  const root = mintRoot(operator, agent, { claims });
  const known: Attempt[] = Array.from({ length: 50 }, () => attempt(agent, root));
  const wires = known.map(toWire);
  const checks = wires.map((wire) => encodeCheck(wire));

  const text = (value: string): string => {
    let out = value;
    for (let times = 1 + random(3); times > 0; times--) {
      const at = random(out.length + 1);
      const to = Math.min(out.length, at + random(8));
      const how = random(6);
      if (how === 0) out = out.slice(0, at) + pick(SCRAPS) + out.slice(at);
      else if (how === 1) out = out.slice(0, at) + pick(SCRAPS) + out.slice(to);
      else if (how === 2) out = out.slice(0, at) + String.fromCharCode(random(256)) + out.slice(at + 1);
      else if (how === 3) out = out.slice(0, at) + out.slice(to);
      else if (how === 4) out = out.slice(0, to) + out.slice(at);
      else out = random(4) === 0 ? pick(SCRAPS) : out.slice(0, at);
    }
    return out;
  };
  const bytes = (value: Buffer): Buffer => Buffer.from(text(value.toString('latin1')), 'latin1');
  const members = (value: object, names: readonly string[]): object => {
    const out: Record<string, unknown> = Object.fromEntries(Object.entries(value));
    for (let times = 1 + random(3); times > 0; times--) {
      const name = pick(random(2) === 0 ? Object.keys(out).concat('a') : names);
      if (random(4) === 0) delete out[name];
      else Object.defineProperty(out, name, { value: pick(VALUES), enumerable: true, configurable: true, writable: true });
    }
    return out;
  };
  const line = (wire: WireRequest): WireRequest => {
    const lines = [...wire.lines];
    const at = random(lines.length);
    const [name, value] = lines[at] ?? ['', ''];
    const how = random(6);
    if (how < 3) lines[at] = [name, text(value)];
    else if (how === 3) lines.splice(at, 1);
    else if (how === 4) lines.splice(at, 0, [name, random(2) === 0 ? value : text(value)]);
    else lines.push([pick(NAMES), pick(SCRAPS)]);
    return { ...wire, lines };
  };
  const compact = (): string => {
    const [header = '', payload = '', signature = ''] = root.split('.');
    const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
    const part = (value: string, names: readonly string[]) =>
      base64url(random(2) === 0 ? JSON.stringify(members(parse(value), names)) : text(JSON.stringify(parse(value))));
    const how = random(4);
    if (how === 0) return `${part(header, HEADER)}.${payload}.${signature}`;
    if (how === 1) return `${header}.${part(payload, CLAIMS)}.${signature}`;
    return how === 2 ? text(root) : [text(header), text(payload), signature].join('.');
  };
  const field = (): string => Array.from({ length: 1 + random(6) }, () => pick(SCRAPS)).join(random(2) === 0 ? '' : ', ');
  const escaped = (value: string) => `"${value.replace(/["\\]/g, '\\$&')}"`;

  const strategies: Record<string, () => Buffer> = {
    'bytes of the message': () => bytes(pick(checks)),
    'bytes at random': () => Buffer.from(Array.from({ length: random(200) }, () => random(256))),
    'a header line': () => encodeCheck(line(pick(wires))),
    'header lines': () => encodeCheck(line(line(line(pick(wires))))),
    'the target, method or scheme': () =>
      encodeCheck(pick(wires), {
        scheme: pick(['http', 'https', '', 'ftp', '\u00e9']),
        http: { path: text('/openai/v1/chat/completions?a=b'), method: text('POST'), host: text('gateway.local') },
      }),
    'members of the HttpRequest': () =>
      encodeCheck(pick(wires), {
        partialBody: pick(['false', 'true', '', undefined]),
        http: pick<object>([
          { body: 'text' },
          { raw_body: bytes(Buffer.from('{}')) },
          { header_map: { headers: [] } },
          { header_map: null, headers: { 'agent-capability': field() } },
          { id: '' },
          { protocol: '' },
        ]),
      }),
    'structured fields': () =>
      encodeCheck({
        ...pick(wires),
        lines: pick(wires).lines.map(
          ([name, value]): Line => [name, /^(agent-|signature|content-digest)/.test(name) && random(2) === 0 ? field() : value],
        ),
      }),
    'a token, unsigned': () => encodeCheck(toWire(attempt(agent, root, { capability: escaped(compact()) }))),
    'claims, signed': () => {
      const parse = JSON.parse(Buffer.from(root.split('.')[1] ?? '', 'base64url').toString()) as object;
      const { authorization_details: _kept, ...free } = members(parse, CLAIMS) as Record<string, unknown>;
      const claimsText = JSON.stringify({ ...free, ...claims });
      return encodeCheck(toWire(attempt(agent, mintRoot(operator, agent, { claimsText }))));
    },
    'a header of a token, signed': () =>
      encodeCheck(toWire(attempt(agent, mintRoot(operator, agent, { claims, header: members({}, HEADER) })))),
    'coverage and parameters, signed': () =>
      encodeCheck(
        toWire(
          attempt(agent, root, {
            covered: WITH_CONTENT.flatMap((name) => (random(8) === 0 ? [pick(SCRAPS), name] : random(16) === 0 ? [] : [name])),
            parameters: parameters(agent, { [pick(['created', 'expires', 'nonce', 'keyid', 'tag', 'alg', 'a'])]: pick(SCRAPS) }),
          }),
        ),
      ),
    'a body, signed': () => {
      const body =
        random(2) === 0
          ? Buffer.from(JSON.stringify(members(JSON.parse(chat('hi').toString()) as object, MEMBERS)))
          : bytes(chat('hello', { tools: [{ type: 'function', function: { name: 'a' } }] }));
      return encodeCheck(
        toWire(
          attempt(agent, root, {
            body,
            target: pick(['/openai/v1/chat/completions', ...TARGETS]),
            contentType: pick(CONTENT_TYPES),
          }),
        ),
      );
    },
    'a form, signed': () => {
      const form =
        '--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--x--\r\n';
      return encodeCheck(
        toWire(
          attempt(agent, root, {
            body: bytes(Buffer.from(form)),
            target: '/openai/v1/audio/transcriptions',
            contentType: random(4) === 0 ? text('multipart/form-data; boundary=x') : 'multipart/form-data; boundary=x',
          }),
        ),
      );
    },
    'a target, signed': () =>
      encodeCheck(
        toWire(
          attempt(agent, root, {
            method: pick(['POST', 'GET', 'DELETE', 'PUT']),
            target: random(2) === 0 ? pick(TARGETS) : text(pick(TARGETS)),
          }),
        ),
      ),
  };
  const names = Object.keys(strategies);
  return () => {
    const how = pick(names);
    return { how, bytes: strategies[how]?.() ?? Buffer.alloc(0) };
  };
}

/** mulberry32: small, fast and the same everywhere. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

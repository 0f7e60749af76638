// A: attacks on the HTTP message signature (RFC 9421, RFC 9530), through the real Envoy.

import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importPublicJwk } from '../../src/crypto/public-key.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import {
  ALWAYS,
  CHAT,
  chat,
  didKeyOf,
  mintRoot,
  newHolder,
  parameters,
  sha256,
  toWire,
  WITH_CONTENT,
  withLine,
} from './attacker.ts';
import { type Line, sendHttp2, type WireRequest } from './raw-http.ts';
import { named, openScene, type Row, type Scene, wireOf } from './scene.ts';

const without = (...names: string[]) => WITH_CONTENT.filter((name) => !names.includes(name));
const covering = (...names: string[]) => [...WITH_CONTENT, ...names];
const dropping = (name: string) => (wire: WireRequest) => withLine(wire, name, () => undefined);
const changing = (name: string, value: (old: string) => string) => (wire: WireRequest) => withLine(wire, name, value);
const withBody = (body: Buffer) => (wire: WireRequest) =>
  withLine({ ...wire, body }, 'content-length', () => String(body.length));
const now = () => Math.floor(Date.now() / 1000);
const extra = (...lines: Line[]) => ({ extra: lines });

const COVERAGE = [401, 'signature-input'] as const;
const INVALID = [401, 'signature-invalid'] as const;
const DIGEST = [401, 'digest-mismatch'] as const;
const MALFORMED = [400, 'malformed'] as const;

const rows: Row[] = [
  {
    id: 'A1',
    title: 'no signature and no capability',
    verdict: [403, 'capability-missing'],
    change: () => ({ capability: undefined, covered: without('"agent-capability"') }),
    tamper: (wire) => dropping('signature')(dropping('signature-input')(wire)),
  },
  {
    id: 'A1',
    title: 'no signature',
    verdict: [401, 'signature-missing'],
    tamper: (wire) => dropping('signature')(dropping('signature-input')(wire)),
  },
  {
    id: 'A2',
    title: 'Signature without Signature-Input',
    verdict: [401, 'signature-missing'],
    tamper: dropping('signature-input'),
  },
  { id: 'A2', title: 'Signature-Input without Signature', verdict: [401, 'signature-missing'], tamper: dropping('signature') },
  {
    id: 'A2',
    title: 'Signature under another label',
    verdict: [401, 'signature-missing'],
    tamper: changing('signature', (old) => old.replace('cap=', 'other=')),
  },
  { id: 'A3', title: 'nothing is covered', verdict: COVERAGE, change: () => ({ covered: [] }) },
  {
    id: 'A4',
    title: '@method not covered, then changed',
    verdict: COVERAGE,
    change: () => ({ covered: without('"@method"') }),
    tamper: (wire) => ({ ...wire, method: 'PUT' }),
  },
  { id: 'A4', title: '@method covered, then changed', verdict: INVALID, tamper: (wire) => ({ ...wire, method: 'PUT' }) },
  {
    id: 'A5',
    title: '@path not covered, then changed',
    verdict: COVERAGE,
    change: () => ({ covered: without('"@path"') }),
    tamper: (wire) => ({ ...wire, target: '/openai/v1/embeddings' }),
  },
  {
    id: 'A5',
    title: '@query not covered, then added',
    verdict: COVERAGE,
    change: () => ({ covered: without('"@query"') }),
    tamper: (wire) => ({ ...wire, target: `${wire.target}?a=b` }),
  },
  { id: 'A5', title: 'path changed', verdict: INVALID, tamper: (wire) => ({ ...wire, target: '/openai/v1/embeddings' }) },
  { id: 'A5', title: 'query added', verdict: INVALID, tamper: (wire) => ({ ...wire, target: `${wire.target}?a=b` }) },
  {
    id: 'A5',
    title: '@request-target in the place of @path and @query',
    verdict: COVERAGE,
    change: ({ attempt }) => ({
      covered: [...without('"@path"', '"@query"'), '"@request-target"'],
      signedAs: { '"@request-target"': attempt().target },
    }),
  },
  { id: 'A6', title: '@authority not covered', verdict: COVERAGE, change: () => ({ covered: without('"@authority"') }) },
  {
    id: 'A6',
    title: 'signed for another host, relayed here',
    verdict: INVALID,
    change: () => ({ signedAs: { '"@authority"': 'other.example' } }),
  },
  { id: 'A7', title: 'content-digest not covered', verdict: COVERAGE, change: () => ({ covered: without('"content-digest"') }) },
  { id: 'A7', title: 'content-type not covered', verdict: COVERAGE, change: () => ({ covered: without('"content-type"') }) },
  {
    id: 'A7',
    title: 'agent-capability not covered',
    verdict: COVERAGE,
    change: () => ({ covered: without('"agent-capability"') }),
  },
  {
    id: 'A7',
    title: 'an idempotency key that is not covered',
    verdict: COVERAGE,
    change: () => extra(['idempotency-key', 'once']),
  },
  { id: 'A7', title: 'an attestation that is not covered', verdict: COVERAGE, change: () => extra(['agent-attestation', '"x"']) },
  { id: 'A8', title: 'one byte of the body changed', verdict: DIGEST, tamper: withBody(chat('jello')) },
  { id: 'A8', title: 'the body taken away', verdict: DIGEST, tamper: withBody(Buffer.alloc(0)) },
  {
    id: 'A9',
    title: 'body and digest changed',
    verdict: INVALID,
    tamper: (wire) => changing('content-digest', () => sha256(chat('jello')))(withBody(chat('jello'))(wire)),
  },
  ...['md5=:XUFAKrxLKna5cZ2REBfFkg==:', 'sha=:qvTGHdzF6KLavt4PO0gs2a6pQ00=:', 'adler=:AAAAAQ==:', 'sha-256=:AAAA:'].map(
    (digest): Row => ({
      id: 'A10',
      title: `no digest that counts: ${digest.split('=')[0]}`,
      verdict: DIGEST,
      change: () => ({ digest }),
    }),
  ),
  {
    id: 'A11',
    title: 'two digests, the second one wrong',
    verdict: DIGEST,
    change: () => ({ digest: `${sha256(CHAT)}, sha-512=:${Buffer.alloc(64).toString('base64')}:` }),
  },
  { id: 'A11', title: 'a digest that is no Byte Sequence', verdict: MALFORMED, change: () => ({ digest: 'sha-256="abc"' }) },
  { id: 'A12', title: 'two Content-Digest lines', verdict: MALFORMED, change: () => extra(['content-digest', sha256('other')]) },
  { id: 'A12', title: 'two Signature-Input lines', verdict: MALFORMED, change: () => extra(['signature-input', 'other=()']) },
  {
    id: 'A12',
    title: 'two Agent-Capability lines',
    verdict: MALFORMED,
    change: ({ token }) => extra(['agent-capability', `"${token}"`]),
  },
  {
    id: 'A13',
    title: 'the digest of what the body decodes to',
    verdict: DIGEST,
    change: () => ({
      body: gzipSync(CHAT),
      digest: sha256(CHAT),
      extra: [['content-encoding', 'gzip']],
      covered: covering('"content-encoding"'),
    }),
  },
  {
    id: 'A14',
    title: 'a digest of content that is not there',
    verdict: DIGEST,
    change: () => ({
      method: 'GET',
      target: '/openai/v1/models',
      body: Buffer.alloc(0),
      digest: sha256('x'),
      covered: [...ALWAYS, '"content-digest"'],
    }),
  },
  { id: 'A14', title: 'a body without digest', verdict: COVERAGE, change: () => ({ digest: undefined }) },
  {
    id: 'A14',
    title: 'a body behind a GET signed without one',
    verdict: COVERAGE,
    change: () => ({ method: 'GET', target: '/openai/v1/models', body: Buffer.alloc(0) }),
    tamper: (wire) => ({ ...wire, body: CHAT, lines: [...wire.lines, ['content-length', String(CHAT.length)]] }),
  },
  {
    id: 'A16',
    title: "another application's tag",
    verdict: [401, 'signature-missing'],
    change: ({ agent }) => ({ parameters: parameters(agent, { tag: '"web-bot-auth"' }) }),
  },
  {
    id: 'A16',
    title: 'no tag',
    verdict: [401, 'signature-missing'],
    change: ({ agent }) => ({ parameters: parameters(agent, { tag: undefined }) }),
  },
  {
    id: 'A16',
    title: 'two signatures with the tag',
    verdict: COVERAGE,
    tamper: (wire) => changing('signature-input', (old) => `${old}, b${old}`)(wire),
  },
  {
    id: 'A17',
    title: 'the public key as HMAC secret, alg named',
    verdict: COVERAGE,
    change: ({ agent }) => ({
      parameters: parameters(agent, { alg: '"hmac-sha256"' }),
      sign: (base) => createHmac('sha256', String(agent.jwk.x)).update(base).digest(),
    }),
  },
  {
    id: 'A17',
    title: 'the public key as HMAC secret, alg unsaid',
    verdict: INVALID,
    change: ({ agent }) => ({
      sign: (base) =>
        createHmac('sha512', Buffer.from(String(agent.jwk.x), 'base64url'))
          .update(base)
          .digest(),
    }),
  },
  {
    id: 'A18',
    title: 'alg rsa-v1_5-sha256',
    verdict: COVERAGE,
    change: ({ agent }) => ({ parameters: parameters(agent, { alg: '"rsa-v1_5-sha256"' }) }),
  },
  {
    id: 'A18',
    title: 'even the right alg',
    verdict: COVERAGE,
    change: ({ agent }) => ({ parameters: parameters(agent, { alg: '"ed25519"' }) }),
  },
  ...['EdDSA', 'RS256', 'HS256', 'none', 'ES256'].map(
    (alg): Row => ({
      id: 'A18',
      title: `a key bound to ${alg}`,
      verdict: [401, 'chain-invalid'],
      change: ({ operator, agent }) => ({
        capability: `"${mintRoot(operator, { did: agent.did, jwk: { ...agent.jwk, alg } })}"`,
      }),
    }),
  ),
  {
    id: 'A19',
    title: 'expired',
    verdict: [401, 'signature-expired'],
    change: ({ agent }) => ({ parameters: parameters(agent, { created: `${now() - 100}`, expires: `${now() - 40}` }) }),
  },
  {
    id: 'A20',
    title: 'created in five minutes',
    verdict: [401, 'clock-skew'],
    change: ({ agent }) => ({ parameters: parameters(agent, { created: `${now() + 300}`, expires: `${now() + 360}` }) }),
  },
  ...[
    { created: undefined },
    { expires: undefined },
    { keyid: undefined },
    { created: '"1"' },
    { created: '1.5' },
    { created: '-1' },
  ].map(
    (change): Row => ({
      id: 'A21',
      title: `a parameter missing or of another type: ${JSON.stringify(Object.entries(change)[0])}`,
      verdict: COVERAGE,
      change: ({ agent }) => ({ parameters: parameters(agent, change) }),
    }),
  ),
  {
    id: 'A21',
    title: 'created as a Date, which is no Integer',
    // RFC 9651 has Dates; the parser reads none that another parameter follows, so this ends a row earlier.
    verdict: MALFORMED,
    change: ({ agent }) => ({ parameters: parameters(agent, { created: `@${now()}` }) }),
  },
  {
    id: 'A22',
    title: 'a lifetime of a day',
    verdict: COVERAGE,
    change: ({ agent }) => ({ parameters: parameters(agent, { expires: `${now() + 86_400}` }) }),
  },
  {
    id: 'A22',
    title: 'a lifetime one second too long',
    verdict: COVERAGE,
    change: ({ agent }) => ({ parameters: parameters(agent, { created: `${now()}`, expires: `${now() + 61}` }) }),
  },
  {
    id: 'A22',
    title: 'expires before created',
    verdict: COVERAGE,
    change: ({ agent }) => ({ parameters: parameters(agent, { created: `${now()}`, expires: `${now() - 1}` }) }),
  },
  ...[
    undefined,
    '"short"',
    `"${'a'.repeat(21)}"`,
    `"${'a'.repeat(257)}"`,
    '"spaces are not base64url"',
    ':AAAAAAAAAAAAAAAAAAAAAA==:',
  ].map(
    (nonce): Row => ({
      id: 'A23',
      title: `nonce ${nonce?.slice(0, 30) ?? 'missing'}`,
      verdict: COVERAGE,
      change: ({ agent }) => ({ parameters: parameters(agent, { nonce }) }),
    }),
  ),
  { id: 'A25', title: 'a component twice', verdict: MALFORMED, change: () => ({ covered: covering('"@path"') }) },
  { id: 'A26', title: 'a covered field that is not there', verdict: COVERAGE, change: () => ({ covered: covering('"x-foo"') }) },
  ...[
    '"content-type";tr',
    '"@method";req',
    '"content-type";bs',
    '"content-digest";sf',
    '"content-digest";key="sha-256"',
    '"@query-param";name="a"',
  ].map(
    (name): Row => ({
      id: 'A27',
      title: `component parameter ${name}`,
      verdict: MALFORMED,
      change: () => ({ covered: covering(name), signedAs: { [name]: 'x' } }),
    }),
  ),
  { id: 'A28', title: '@status in a request', verdict: MALFORMED, change: () => ({ covered: covering('"@status"') }) },
  {
    id: 'A28',
    title: 'an unknown derived component',
    verdict: COVERAGE,
    change: () => ({ covered: covering('"@nothing"'), signedAs: { '"@nothing"': 'x' } }),
  },
  {
    id: 'A28',
    title: 'a component name in upper case',
    verdict: MALFORMED,
    change: () => ({ covered: covering('"X-Foo"'), extra: [['x-foo', 'a']] }),
  },
  {
    id: 'A29',
    title: 'a field named like a derived component',
    verdict: [400],
    change: () => extra(['@path', '/openai/v1/chat/completions']),
  },
  {
    id: 'A30',
    title: 'two lines where one joined line was signed',
    verdict: MALFORMED,
    change: () => ({ extra: [['x-a', 'x, y']], covered: covering('"x-a"') }),
    tamper: (wire) => ({ ...wire, lines: [...wire.lines.filter(([name]) => name !== 'x-a'), ['x-a', 'x'], ['x-a', 'y']] }),
  },
  {
    id: 'A33',
    title: 'signed over the spelling in upper case',
    verdict: INVALID,
    change: () => ({ host: 'GATEWAY.local', signedAs: { '"@authority"': 'GATEWAY.local' } }),
  },
  { id: 'A33', title: 'a trailing dot', verdict: MALFORMED, change: () => ({ host: 'gateway.local.' }) },
  { id: 'A33', title: 'another port', verdict: [403, 'capability-insufficient'], change: () => ({ host: 'gateway.local:8080' }) },
  {
    id: 'A33',
    title: 'the default port of another scheme',
    verdict: INVALID,
    change: () => ({ host: 'gateway.local:80', signedAs: { '"@authority"': 'gateway.local' } }),
  },
  { id: 'A33', title: 'a user before the host', verdict: [[400], 'malformed'], change: () => ({ host: 'a@gateway.local' }) },
  {
    id: 'A33',
    title: 'two hosts joined',
    verdict: [[400], 'malformed'],
    change: () => ({ host: 'gateway.local,gateway.local' }),
  },
  { id: 'A34', title: '@scheme covered', verdict: COVERAGE, change: () => ({ covered: covering('"@scheme"') }) },
  {
    id: 'A34',
    title: '@target-uri covered',
    verdict: COVERAGE,
    change: () => ({
      covered: covering('"@target-uri"'),
      signedAs: { '"@target-uri"': 'https://gateway.local/openai/v1/chat/completions' },
    }),
  },
  {
    id: 'A35',
    title: 'parameters in another order than signed',
    verdict: INVALID,
    tamper: changing('signature-input', (old) => old.replace(/;(created=\d+)(.*);(keyid="[^"]+")/, ';$3$2;$1')),
  },
  {
    id: 'A35',
    title: 'components in another order than signed',
    verdict: INVALID,
    tamper: changing('signature-input', (old) => old.replace('"@method" "@authority"', '"@authority" "@method"')),
  },
  {
    id: 'A35',
    title: 'expires moved by a second',
    verdict: INVALID,
    tamper: changing('signature-input', (old) => old.replace(/expires=(\d+)/, (_, seconds) => `expires=${Number(seconds) - 1}`)),
  },
  {
    id: 'A37',
    title: 'an inner list of 50 KiB',
    verdict: MALFORMED,
    tamper: changing('signature-input', (old) => old.replace('("@method"', `(${'"a" '.repeat(12_500)}"@method"`)),
  },
  {
    id: 'A37',
    title: 'ten thousand labels',
    verdict: MALFORMED,
    tamper: changing('signature-input', () =>
      Array.from({ length: 10_000 }, (_, at) => `${at.toString(36).replace(/^\d/, 'z$&')}=()`)
        .join(',')
        .slice(0, 50_000),
    ),
  },
  {
    id: 'A37',
    title: 'as many components as fit',
    verdict: MALFORMED,
    change: () => ({ covered: covering(...Array.from({ length: 100 }, (_, at) => `"x-${at}"`)) }),
  },
  ...['cap', 'cap=1', 'cap=("@method"', 'cap=(1 2);tag="agent-cap"', 'cap=();tag="agent-cap', '\u00e9=()', '', 'cap=:AAAA:'].map(
    (value): Row => ({
      id: 'A38',
      title: `Signature-Input ${JSON.stringify(value)}`,
      verdict: /^cap(=1|=:.*|)$|^$/.test(value) ? [401, 'signature-missing'] : MALFORMED,
      tamper: changing('signature-input', () => value),
    }),
  ),
  ...['cap', 'cap="text"', 'cap=:A:', 'cap=:===:', 'cap=:AAAA', 'cap=(:AAAA:)'].map(
    (value): Row => ({ id: 'A38', title: `Signature ${value}`, verdict: MALFORMED, tamper: changing('signature', () => value) }),
  ),
  ...['X-HTTP-Method-Override', 'x-http-method', 'x-method-override'].map(
    (name): Row => ({
      id: 'A42',
      title: `${name} that is not covered`,
      verdict: COVERAGE,
      tamper: (wire) => ({ ...wire, lines: [...wire.lines, [name, 'DELETE']] }),
    }),
  ),
  {
    id: 'A43',
    title: 'a signature made over a response',
    verdict: COVERAGE,
    change: () => ({ covered: ['"content-type"', '"content-digest"'] }),
  },
  {
    id: 'A43',
    title: 'a signature over a response, its status covered',
    verdict: MALFORMED,
    change: () => ({
      covered: ['"@status"', '"content-type"', '"content-digest"', '"@method";req'],
      signedAs: { '"@method";req': 'POST' },
    }),
  },
];

describe('A: the signature', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene?.stop());

  test('the request that every row starts from is allowed', async () => {
    await scene.expectAllowed(wireOf({ id: '', title: '', verdict: [200] }, scene));
  });

  test.each(named(rows))('%s', async (_title, row) => {
    await scene.expectDenied(wireOf(row, scene), row.verdict);
  });

  test('A16 a signature of another application stands beside ours', async () => {
    const wire = toWire(scene.attempt());
    const beside = withLine(wire, 'signature-input', (old) => `web=("@authority");tag="web-bot-auth", ${old}`);
    await scene.expectAllowed(withLine(beside, 'signature', (old) => `web=:AAAA:, ${old}`));
  });

  test.each([
    ['blanks and tabs around the value', '\t hello \t ', 'hello'],
    ['a joined line as it was signed (A30)', 'x, y', 'x, y'],
    ['a value folded over two lines', 'a\r\n b', 'a b'],
    ['bytes beyond ASCII', '\u00e9\u00ff', '\u00e9\u00ff'],
  ])('A31 %s: the verdict of the canonical form', async (_title, sent, signed) => {
    const change = { extra: [['x-note', sent]] as Line[], covered: covering('"x-note"') };
    const { response } = await scene.observe(async () =>
      scene.expectAllowed(toWire(scene.attempt({ ...change, signedAs: { '"x-note"': signed } }))).then((seen) => seen.response),
    );
    expect(response.status).toBe(200);
    await scene.expectDenied(toWire(scene.attempt({ ...change, signedAs: { '"x-note"': `${signed}!` } })), INVALID);
  });

  test.each(['GATEWAY.local', 'gateway.local:443'])('A33 %s is the canonical authority', async (host) => {
    await scene.expectAllowed(toWire(scene.attempt({ host, signedAs: { '"@authority"': 'gateway.local' } })));
  });

  test('A34 a scheme that the client makes up changes nothing', async () => {
    const wire = toWire(scene.attempt({ covered: covering('"@scheme"'), signedAs: { '"@scheme"': 'ftp' } }));
    await scene.expectDenied(wire, COVERAGE, sendHttp2);
  });

  test('A42 a method override that is covered does not reach the provider', async () => {
    const { upstream } = await scene.expectAllowed(
      toWire(scene.attempt({ extra: [['x-http-method-override', 'DELETE']], covered: covering('"x-http-method-override"') })),
    );
    expect(upstream[0]?.method).toBe('POST');
    expect(upstream[0]?.headers).not.toHaveProperty('x-http-method-override');
  });

  describe('A40 Ed25519 keys under which anyone can sign', () => {
    // The eight points of small order, and encodings of y >= p that decode to two of them (RFC 8032 section 5.1.3).
    const points = [
      '0100000000000000000000000000000000000000000000000000000000000000',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      '0000000000000000000000000000000000000000000000000000000000000080',
      '0000000000000000000000000000000000000000000000000000000000000000',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      '0100000000000000000000000000000000000000000000000000000000000080',
    ];

    test.each(points)('%s is no key', (hex) => {
      const x = Buffer.from(hex, 'hex').toString('base64url');
      expect(() => importPublicJwk({ kty: 'OKP', crv: 'Ed25519', x })).toThrow(/Ed25519/);
      expect(() => resolveSelfDescribing(didKeyOf(Buffer.from(hex, 'hex')))).toThrow();
    });

    test('a capability bound to the identity point, with the signature that verifies everything', async () => {
      const point = Buffer.from(points[0] ?? '', 'hex');
      const jwk = { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url'), alg: 'Ed25519' };
      const weak = { ...newHolder(), jwk, did: didKeyOf(point) };
      const capability = `"${mintRoot(scene.operator, weak)}"`;
      const sign = () => Buffer.concat([point, Buffer.alloc(32)]);
      await scene.expectDenied(toWire(scene.attempt({ capability, sign })), [401, 'chain-invalid']);
    });
  });
});

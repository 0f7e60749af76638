// G: attacks on HTTP itself and on what Envoy passes on, through the real Envoy. Rows without a reason are Envoy's to stop:
// there is no Check, so there is no record.

import { readFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALWAYS, CHAT, chat, mintRoot, parameters, toWire, WITH_CONTENT } from './attacker.ts';
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  http1Bytes,
  type Line,
  sendBytes,
  sendFrames,
  sendHttp1,
  sendHttp2,
  sendOn,
  type WireRequest,
} from './raw-http.ts';
import { named, openScene, type Row, type Scene, wireOf } from './scene.ts';

const MAX_BODY = 6 * 1024 * 1024;
const BEYOND = [403, 'capability-insufficient'] as const;
const MALFORMED = [400, 'malformed'] as const;
const OTHER_CREDENTIALS = [
  ...['authentication', 'x-authorization', 'x-original-authorization', 'x-serverless-authorization', 'dpop', 'cookie2'],
  ...['x-access-token', 'x-auth-token', 'x-amz-security-token', 'x-vault-token', 'workload-identity-token', 'txn-token'],
  ...['x-goog-iam-authorization-token', 'cf-access-jwt-assertion', 'x-amzn-oidc-data', 'x-goog-authenticated-user-email'],
  ...['ocp-apim-subscription-key', 'openai-api-key', 'x-functions-key', 'x-client-cert', 'x-client-secret', 'set-cookie'],
];
const OTHER_ACCOUNTS = ['openai-organization', 'openai-project', 'x-goog-user-project'];
const adding =
  (...lines: Line[]) =>
  (wire: WireRequest) => ({ ...wire, lines: [...wire.lines, ...lines] });
const target = (path: string) => ({ target: path, signedAs: { '"@path"': path } });
const padded = (size: number) => chat('x'.repeat(size - chat('').length));

const rows: Row[] = [
  { id: 'G1', title: 'Content-Length and Transfer-Encoding', verdict: [400], tamper: adding(['transfer-encoding', 'chunked']) },
  {
    id: 'G2',
    title: 'an unknown transfer coding',
    verdict: [[400, 501]],
    tamper: (wire) =>
      adding(['transfer-encoding', 'xchunked'])({ ...wire, lines: wire.lines.filter(([name]) => name !== 'content-length') }),
  },
  { id: 'G2', title: 'two Content-Lengths', verdict: [400], tamper: adding(['content-length', '5']) },
  {
    id: 'G2',
    title: 'a signed Content-Length',
    verdict: [400],
    tamper: (wire) => ({
      ...wire,
      lines: wire.lines.map(([name, value]) => (name === 'content-length' ? [name, `+${value}`] : [name, value])),
    }),
  },
  { id: 'G2', title: 'a blank before the colon', verdict: [400], tamper: adding(['x-a ', 'b']) },
  { id: 'G2', title: 'a NUL in a value', verdict: [400], tamper: adding(['x-a', 'a\0b']) },
  {
    id: 'G4',
    title: 'two slashes, signed as sent',
    verdict: [401, 'signature-invalid'],
    change: () => target('//openai//v1/chat/completions'),
  },
  {
    id: 'G4',
    title: 'two slashes before another path',
    verdict: BEYOND,
    change: () => ({ target: '//admin/x', signedAs: { '"@path"': '/admin/x' } }),
  },
  {
    id: 'G4',
    title: 'dots that climb out of the route',
    verdict: BEYOND,
    change: () => ({ target: '/openai/../admin/x', signedAs: { '"@path"': '/admin/x' } }),
  },
  {
    id: 'G4',
    title: 'escaped dots that climb',
    verdict: BEYOND,
    change: () => ({ target: '/openai/%2e%2e/admin', signedAs: { '"@path"': '/admin' } }),
  },
  ...['%2f', '%5c', '%00', '%2F', '%5C'].map(
    (sequence): Row => ({
      id: 'G5',
      title: `${sequence} in the path`,
      verdict: [400],
      change: () => target(`/openai${sequence}v1/chat/completions`),
    }),
  ),
  { id: 'G5', title: 'a fragment', verdict: [400], change: () => target('/openai/v1/chat/completions#x') },
  {
    id: 'G7',
    title: 'a header that asks for an open route',
    verdict: [403, 'capability-missing'],
    change: () => ({
      capability: undefined,
      covered: WITH_CONTENT.filter((name) => name !== '"agent-capability"'),
      extra: [['x-public', '1']],
    }),
  },
  { id: 'G8', title: 'an underscore alias', verdict: [400], tamper: adding(['x_agent_id', 'evil']) },
  { id: 'G8', title: 'an underscore alias of the capability', verdict: [400], tamper: adding(['agent_capability', '"x"']) },
  {
    id: 'G22',
    title: 'bytes beyond ASCII in the capability',
    verdict: MALFORMED,
    change: ({ token }) => ({ capability: `"${token}\u00e9\u00ff"` }),
  },
  {
    id: 'G22',
    title: 'bytes beyond ASCII in Signature-Input',
    verdict: MALFORMED,
    tamper: (wire) => ({
      ...wire,
      lines: wire.lines.map(([name, value]) => [name, name === 'signature-input' ? `${value}\u00e9` : value]),
    }),
  },
  {
    id: 'G22',
    title: 'bytes beyond ASCII in the nonce',
    verdict: MALFORMED,
    change: ({ agent }) => ({
      parameters: parameters(agent, {
        nonce: '"\u00e9\u00ff\u00e9\u00ff\u00e9\u00ff\u00e9\u00ff\u00e9\u00ff\u00e9\u00ff\u00e9\u00ff\u00e9\u00ff"',
      }),
    }),
  },
  {
    id: 'G22',
    title: 'bytes beyond ASCII in the path',
    verdict: [[400]],
    change: () => target('/openai/v1/chat/completions\u00e9'),
  },
  ...['key', 'api_key', 'api-key', 'access_token', 'KEY'].map(
    (name): Row => ({
      id: 'G23',
      title: `a provider key in the query as ${name}`,
      verdict: BEYOND,
      change: () => ({ target: `/openai/v1/chat/completions?${name}=sk-own` }),
    }),
  ),
  {
    id: 'G23',
    title: 'a provider key in the body',
    verdict: BEYOND,
    change: () => ({ body: chat('hi', { api_key: 'sk-own' }) }),
  },
  { id: 'G24', title: "another host, the provider's path", verdict: BEYOND, change: () => ({ host: 'attacker.example' }) },
  { id: 'G24', title: "the provider's own host", verdict: BEYOND, change: () => ({ host: 'api.openai.com' }) },
  {
    id: 'G24',
    title: 'an absolute target that names another host than Host',
    verdict: BEYOND,
    change: () => ({ signedAs: { '"@authority"': 'attacker.example' } }),
    tamper: (wire) => ({ ...wire, target: `http://attacker.example${wire.target}` }),
  },
  ...['a\r\nx-agent-id: evil', 'a\nb', 'a\u0000b', 'did:key:z"x', 'did:key:<script>'].map(
    (did): Row => ({
      id: 'G27',
      title: `an agent named ${JSON.stringify(did)}`,
      verdict: [401, 'chain-invalid'],
      change: ({ operator, agent }) => ({ capability: `"${mintRoot(operator, { ...agent, did })}"` }),
    }),
  ),
];

describe('G: the HTTP surface', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({ maxRequestBytes: MAX_BODY });
  });
  afterAll(() => scene?.stop());

  const good = (change = {}) => toWire(scene.attempt(change));
  // Records of what was cancelled may still arrive, so only the answer is looked at.
  const stillServes = async () => expect((await sendHttp1(scene.port, good())).status).toBe(200);

  test.each(named(rows))('%s', async (_title, row) => {
    await scene.expectDenied(wireOf(row, scene), row.verdict);
  });

  describe('G3 frames of HTTP/2 that no client library sends', () => {
    const pseudo: Line[] = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':authority', 'gateway.local'],
      [':path', '/openai/v1/chat/completions'],
    ];
    const signed = () => good().lines.filter(([name]) => name !== 'host');
    const post = (lines: readonly Line[], body = CHAT) => [
      frame('headers', END_HEADERS, 1, headerBlock(lines)),
      frame('data', END_STREAM, 1, body),
    ];

    test('G3 the same frames, sent right, are allowed', async () => {
      expect(await sendFrames(scene.port, post([...pseudo, ...signed()]))).toBe('2xx');
    });

    test.each<[string, (lines: Line[]) => readonly Buffer[]]>([
      [
        'a Content-Length that is not the length',
        (lines) => post(lines.map(([name, value]) => (name === 'content-length' ? [name, '5'] : [name, value]))),
      ],
      ['Transfer-Encoding', (lines) => post([...lines, ['transfer-encoding', 'chunked']])],
      ['Connection', (lines) => post([...lines, ['connection', 'close']])],
      ['TE other than trailers', (lines) => post([...lines, ['te', 'gzip']])],
      ['CR LF in a value', (lines) => post([...lines, ['x-a', 'a\r\nagent-id: b']])],
      ['a NUL in a value', (lines) => post([...lines, ['x-a', 'a\0b']])],
      ['a name in upper case', (lines) => post([...lines, ['X-A', 'b']])],
      ['a name with a colon', (lines) => post([...lines, ['x:a', 'b']])],
      ['two paths', (lines) => post([[':path', '/admin'], ...lines])],
      ['two methods', (lines) => post([[':method', 'GET'], ...lines])],
      [
        'a path without a slash',
        (lines) => post(lines.map(([name, value]) => (name === ':path' ? [name, 'openai/v1/chat/completions'] : [name, value]))),
      ],
      ['an empty path', (lines) => post(lines.map(([name, value]) => (name === ':path' ? [name, ''] : [name, value])))],
      ['no method', (lines) => post(lines.filter(([name]) => name !== ':method'))],
      ['a pseudo-header after a field', (lines) => post([...lines.slice(1), lines[0] ?? ['', '']])],
      ['an unknown pseudo-header', (lines) => post([[':evil', 'x'], ...lines])],
    ])('G3 %s', async (_title, frames) => {
      const seen = await scene.observe(async () => {
        const how = await sendFrames(scene.port, frames([...pseudo, ...signed()]));
        return { status: 0, headers: {}, body: how, text: how };
      });
      expect(['reset', 'goaway', 'closed', '400', '404']).toContain(seen.response.body);
      expect(seen.upstream).toEqual([]);
      expect(seen.records.filter(({ effect }) => effect === 'allow')).toEqual([]);
    });
  });

  test('G2 a bare CR in a value, which Envoy takes for a blank, does not reach the provider', async () => {
    const { upstream } = await scene.expectAllowed(adding(['x-a', 'a\rx-agent-id: evil'])(good()));
    expect(upstream[0]?.headers).not.toHaveProperty('x-agent-id');
    expect(JSON.stringify(upstream[0]?.rawHeaders)).not.toContain('\\r');
  });

  test('G4 the policy sees the folded path, and so does the provider', async () => {
    const wire = good({ target: '//openai/./v1//chat/completions', signedAs: { '"@path"': '/openai/v1/chat/completions' } });
    const { upstream, records } = await scene.expectAllowed(wire);
    expect(records[0]?.path).toBe('/openai/v1/chat/completions');
    expect(upstream[0]?.path).toBe('/v1/chat/completions');
  });

  test.each<[string, Line[], string[]]>([
    [
      'G9 identity headers made up by the client',
      [
        ['x-agent-id', 'evil'],
        ['agent-id', 'evil'],
        ['x-agent-operator', 'evil'],
      ],
      ['x-agent-id', 'agent-id', 'x-agent-operator'],
    ],
    [
      'G10 the same twice and in mixed case',
      [
        ['X-Agent-Id', 'evil'],
        ['x-AGENT-id', 'evil2'],
        ['Agent-Level', '3'],
      ],
      ['x-agent-id', 'agent-level'],
    ],
    [
      'G11 x-envoy headers',
      [
        ['x-envoy-auth-partial-body', 'false'],
        ['x-envoy-auth-failure-mode-allowed', 'true'],
        ['x-envoy-original-path', '/x'],
        ['x-envoy-downstream-service-cluster', 'a'],
        ['x-envoy-peer-metadata', 'a'],
        ['x-envoy-original-dst-host', '127.0.0.1:1'],
      ],
      [
        'x-envoy-auth-partial-body',
        'x-envoy-auth-failure-mode-allowed',
        'x-envoy-original-path',
        'x-envoy-downstream-service-cluster',
        'x-envoy-peer-metadata',
        'x-envoy-original-dst-host',
      ],
    ],
    ['G11 a body called partial by the client', [['x-envoy-auth-partial-body', 'true']], ['x-envoy-auth-partial-body']],
    [
      'G12 retries asked for, of a good answer too',
      [
        ['x-envoy-retry-on', '5xx,retriable-status-codes,retriable-4xx'],
        ['x-envoy-retriable-status-codes', '200'],
        ['x-envoy-max-retries', '5'],
        ['x-envoy-hedge-on-per-try-timeout', 'true'],
      ],
      ['x-envoy-retry-on', 'x-envoy-max-retries'],
    ],
    [
      'G23 keys of the client in every header that may carry one',
      [
        ['authorization', 'Bearer sk-own'],
        ['x-api-key', 'sk-own'],
        ['api-key', 'sk-own'],
        ['x-goog-api-key', 'sk-own'],
        ['proxy-authorization', 'Basic eA=='],
        ['cookie', 'session=sk-own'],
      ],
      ['x-api-key', 'api-key', 'x-goog-api-key', 'proxy-authorization', 'cookie'],
    ],
    [
      'G23 credentials of other systems, by whatever name',
      OTHER_CREDENTIALS.map((name): Line => [name, 'sk-own']),
      OTHER_CREDENTIALS,
    ],
    ["G23 another account under the provider's key", OTHER_ACCOUNTS.map((name): Line => [name, 'sk-own']), OTHER_ACCOUNTS],
  ])('%s: allowed, and the provider sees none of it', async (_title, extra, gone) => {
    const { upstream } = await scene.expectAllowed(good({ extra }));
    const sent = upstream[0]?.headers ?? {};
    for (const name of gone) expect(sent, name).not.toHaveProperty(name);
    for (const name of Object.keys(sent))
      expect(name).not.toMatch(/^(agent-|x-agent-|signature|content-digest|x-envoy-|x-forwarded-)/);
    expect(JSON.stringify(sent)).not.toContain('sk-own');
    expect(sent.authorization).toBe('Bearer sk-stand-in-0123456789');
  });

  test('what is no credential reaches the provider, though its name has a word of one in it', async () => {
    const names = ['idempotency-key-2', 'x-max-tokens', 'anthropic-beta', 'mcp-session-id', 'openai-beta', 'x-stainless-os'];
    const { upstream } = await scene.expectAllowed(good({ extra: names.map((name): Line => [name, 'kept']) }));
    for (const name of names) expect(upstream[0]?.headers, name).toHaveProperty(name, 'kept');
  });

  test('G14 a body of exactly the limit, and one byte more', async () => {
    const { upstream } = await scene.expectAllowed(good({ body: padded(MAX_BODY) }));
    expect(upstream[0]?.body.length).toBe(MAX_BODY);
    await scene.expectDenied(good({ body: padded(MAX_BODY + 1) }), [413]);
  });

  test.each([1, 10_000])('G14 %i bytes more over HTTP/2: too large, or seen to be partial', async (more) => {
    const { response, upstream, records } = await scene.observe(() =>
      sendHttp2(scene.port, good({ body: padded(MAX_BODY + more) })),
    );
    expect([413, 400]).toContain(response.status);
    expect(upstream).toEqual([]);
    expect(records.filter(({ effect }) => effect === 'allow')).toEqual([]);
  });

  test("G15 a body beyond gRPC's own default limit is checked like any other", async () => {
    const body = padded(5 * 1024 * 1024);
    await scene.expectDenied(good({ body, sign: () => Buffer.alloc(64) }), [401, 'signature-invalid']);
    await scene.expectAllowed(good({ body }));
  });

  test.each<[string, Line[], Statuses]>([
    [
      'WebSocket',
      [
        ['connection', 'upgrade'],
        ['upgrade', 'websocket'],
        ['sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
        ['sec-websocket-version', '13'],
      ],
      [403],
    ],
    [
      'h2c',
      [
        ['connection', 'upgrade, http2-settings'],
        ['upgrade', 'h2c'],
        ['http2-settings', 'AAMAAABkAAQAoAAAAAIAAAAA'],
      ],
      undefined,
    ],
  ])('G17 an upgrade to %s', async (_title, lines, verdict) => {
    const wire = adding(...lines)(good({ method: 'GET', target: '/openai/v1/models', body: Buffer.alloc(0) }));
    const bytes = Buffer.from(http1Bytes(wire).toString('latin1').replace('connection: close\r\n', ''), 'latin1');
    const { response, upstream } = await scene.observe(() => sendBytes(scene.port, bytes, 0, 3000));
    expect(response.status).not.toBe(101);
    expect(verdict ?? [403, 400, 404]).toContain(response.status);
    expect(upstream).toEqual([]);
  });

  test('G17 CONNECT', async () => {
    const wire = { ...good({ method: 'CONNECT', body: Buffer.alloc(0), covered: ALWAYS }), target: 'gateway.local:443' };
    const { response, upstream } = await scene.observe(() => sendHttp1(scene.port, wire));
    expect([400, 403, 404, 405]).toContain(response.status);
    expect(upstream).toEqual([]);
  });

  test('G17 extended CONNECT over HTTP/2', async () => {
    const lines: Line[] = [
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
      [':scheme', 'http'],
      [':authority', 'gateway.local'],
      [':path', '/openai/v1/models'],
    ];
    const { response, upstream } = await scene.observe(async () => {
      const how = await sendFrames(scene.port, [frame('headers', END_HEADERS, 1, headerBlock(lines))]);
      return { status: 0, headers: {}, body: how, text: how };
    });
    expect(['reset', 'goaway', 'closed', '400', '404', 'other']).toContain(response.body);
    expect(upstream).toEqual([]);
  });

  test('G19 trailers over HTTP/1.1: in no signature, and not sent on', async () => {
    const wire = good();
    const head = http1Bytes({
      ...wire,
      lines: [
        ...wire.lines.filter(([name]) => name !== 'content-length'),
        ['transfer-encoding', 'chunked'],
        ['trailer', 'x-agent-id'],
      ],
      body: Buffer.alloc(0),
    });
    const chunks = Buffer.from(`${CHAT.length.toString(16)}\r\n${CHAT}\r\n0\r\nx-agent-id: evil\r\ncontent-digest: evil\r\n\r\n`);
    const { upstream } = await scene.expectAllowed(wire, (port) => sendBytes(port, Buffer.concat([head, chunks])));
    expect(JSON.stringify(upstream[0]?.rawHeaders)).not.toContain('evil');
  });

  test('G19 a digest that comes as a trailer does not count', async () => {
    const wire = good({ digest: undefined, signedAs: { '"content-digest"': 'x' } });
    const send = (port: number) => sendHttp2(port, wire, { 'content-digest': 'sha-256=:AAAA:', 'x-agent-id': 'evil' });
    await scene.expectDenied(wire, [401, 'signature-input'], send);
  });

  test('G20 slow headers', async () => {
    const bytes = http1Bytes(good());
    const pieces = Array.from({ length: 12 }, (_, at) => bytes.subarray(at, at + 1));
    await scene.expectDenied(good(), [408], (port) => sendBytes(port, pieces, 1000));
  });

  test('G20 a slow body', { timeout: 60_000 }, async () => {
    const bytes = http1Bytes(good());
    const pieces = [bytes.subarray(0, bytes.length - 10), ...Array.from({ length: 10 }, () => Buffer.from(' '))];
    await scene.expectDenied(good(), [408], (port) => sendBytes(port, pieces.slice(0, -1), 4000, 45_000));
  });

  test('G21 more headers than a request may have', async () => {
    const many = Array.from({ length: 101 }, (_, at): Line => [`x-${at}`, 'a']);
    await scene.expectDenied(adding(...many)(good()), [431]);
    await scene.expectDenied(adding(['x-a', 'a'.repeat(70_000)])(good()), [431]);
    // Over HTTP/2 the stream ends without an answer.
    await scene.expectDenied(adding(...many)(good()), [[0, 431]], sendHttp2);
  });

  test('G22 bytes beyond ASCII in a covered field are verified as the bytes they are', async () => {
    const change = { extra: [['x-note', '\u00e9\u00ff']] as Line[], covered: [...WITH_CONTENT, '"x-note"'] };
    await scene.expectDenied(good({ ...change, signedAs: { '"x-note"': '!!' } }), [401, 'signature-invalid']);
    await scene.expectAllowed(good(change));
  });

  test('G25 no route mirrors what an agent sends', async () => {
    const bootstrap = await readFile(join(scene.world.directory, 'run/verify-envoy/bootstrap.json'), 'utf8');
    expect(bootstrap).toContain('envoy.filters.http.ext_authz');
    expect(bootstrap).not.toMatch(/mirror/i);
    const configuration = await readFile(scene.world.files.gatewayConfiguration, 'utf8');
    const { parseConfiguration } = await import('../../src/config.ts');
    expect(() =>
      parseConfiguration(configuration.replace('  store:', '  request_mirror_policies: []\n  store:'), 'gateway.yaml'),
    ).toThrow(/request_mirror_policies/);
  });

  test('G26 HTTP/1.0, with and without Host', async () => {
    const wire = good();
    const noHost = { ...wire, lines: wire.lines.filter(([name]) => name !== 'host') };
    await scene.expectDenied(wire, [[400, 426]], (port) => sendBytes(port, http1Bytes(wire, 'HTTP/1.0')));
    await scene.expectDenied(wire, [[400, 426]], (port) => sendBytes(port, http1Bytes(noHost, 'HTTP/1.0')));
    await scene.expectDenied(noHost, [400]);
    await scene.expectDenied({ ...wire, lines: [...wire.lines, ['host', 'other.example']] }, MALFORMED);
  });

  test('H17 blanks around and inside a value, which only HTTP/2 carries, cost a stranger no time of ours', async () => {
    const pseudo: Line[] = [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'gateway.local'],
      [':path', '/openai/v1/models'],
    ];
    const block = headerBlock([...pseudo, ['x-a', ` x${' '.repeat(48_000)}x`]]);
    const cut = 16_000;
    const rest = Array.from({ length: Math.ceil((block.length - cut) / cut) }, (_, at) =>
      block.subarray((at + 1) * cut, (at + 2) * cut),
    );
    const frames = [
      frame('headers', END_STREAM, 1, block.subarray(0, cut)),
      ...rest.map((part, at) => frame('continuation', at === rest.length - 1 ? END_HEADERS : 0, 1, part)),
    ];
    const started = performance.now();
    expect(['other', 'reset', 'goaway', '400']).toContain(await sendFrames(scene.port, frames, 10_000));
    // Even a busy machine does this in a tenth of the time when it is linear.
    expect(performance.now() - started).toBeLessThan(1000);
  });

  describe('G28 Envoy survives what HTTP/2 allows', () => {
    const request = headerBlock([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'gateway.local'],
      [':path', '/openai/v1/models'],
    ]);

    test('G28 rapid reset', async () => {
      const frames = Array.from({ length: 2000 }, (_, at) => [
        frame('headers', END_HEADERS | END_STREAM, 2 * at + 1, request),
        frame('rstStream', 0, 2 * at + 1, Buffer.of(0, 0, 0, 8)),
      ]).flat();
      expect(['goaway', 'closed', 'nothing', 'reset', 'other']).toContain(await sendFrames(scene.port, frames));
      await stillServes();
    });

    test('G28 headers that never end', async () => {
      const endless = [
        frame('headers', 0, 1, request),
        ...Array.from({ length: 5000 }, () => frame('continuation', 0, 1, headerBlock([['x-a', 'b'.repeat(1000)]]))),
      ];
      expect(['goaway', 'closed', 'reset']).toContain(await sendFrames(scene.port, endless));
      await stillServes();
    });

    test('G28 one small frame that stands for many headers', async () => {
      // One entry of the dynamic table, named sixteen thousand times (RFC 7541 section 6.1).
      const entry = Buffer.concat([Buffer.of(0x40), headerBlock([['x-bomb', 'b'.repeat(3000)]]).subarray(1)]);
      const bomb = frame('headers', END_HEADERS | END_STREAM, 1, Buffer.concat([request, entry, Buffer.alloc(12_000, 0xbe)]));
      const streams = Array.from({ length: 50 }, (_, at) =>
        frame('headers', END_HEADERS | END_STREAM, 2 * at + 3, Buffer.concat([request, Buffer.alloc(12_000, 0xbe)])),
      );
      expect(['goaway', 'closed', 'reset', 'other']).toContain(await sendFrames(scene.port, [bomb, ...streams]));
      await stillServes();
    });

    test('G28 more streams at once than are allowed', async () => {
      const session = connectHttp2(`http://127.0.0.1:${scene.port}`).on('error', () => {});
      const wires = Array.from({ length: 150 }, () => good({ sign: () => Buffer.alloc(64) }));
      const responses = await Promise.all(wires.map((wire) => sendOn(session, wire)));
      session.destroy();
      expect(responses.filter(({ status }) => status !== 401 && status !== 0)).toEqual([]);
      await stillServes();
    });
  });
});

type Statuses = readonly number[] | undefined;

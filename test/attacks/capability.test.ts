// C: attacks on the capability token (RFC 7519, RFC 8725), root tokens through the real Envoy.

import { createHmac, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { base64url, chat, type Holder, mintRoot, newHolder, parameters, type RootParts, toWire } from './attacker.ts';
import { named, openScene, type Row, type Scene } from './scene.ts';

const seconds = () => Math.floor(Date.now() / 1000);
const CHAIN = [401, 'chain-invalid'] as const;
const BEYOND = [403, 'capability-insufficient'] as const;
const details = (change: object) => ({
  authorization_details: [{ type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'], ...change }],
});

/** A root for the world's agent with parts of it replaced; the request around it is right. */
function root(id: string, title: string, parts: RootParts | ((scene: Scene) => RootParts), verdict: Row['verdict'] = CHAIN): Row {
  const change = (scene: Scene) => ({
    capability: quoted(mintRoot(scene.operator, scene.agent, typeof parts === 'function' ? parts(scene) : parts)),
  });
  return { id, title, verdict, change };
}

/** A field value that is no good root at all. */
function token(id: string, title: string, make: (scene: Scene) => string, verdict: Row['verdict'] = CHAIN): Row {
  return { id, title, verdict, change: (scene) => ({ capability: quoted(make(scene)) }) };
}

const quoted = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const claimsOf = (compact: string) =>
  JSON.parse(Buffer.from(compact.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
const hmac = (secret: string | Buffer) => (input: Buffer) => createHmac('sha256', secret).update(input).digest();
const spkiPem = ({ key }: Holder) => key.export({ type: 'pkcs8', format: 'pem' });

const rows: Row[] = [
  ...['none', 'nOnE', 'None', ''].map((alg) =>
    root('C1', `alg ${JSON.stringify(alg)}, no signature`, { header: { alg }, sign: () => Buffer.alloc(0) }),
  ),
  root('C1', 'an empty signature under the right alg', { sign: () => Buffer.alloc(0) }),
  root('C1', 'a signature of zeros', { sign: () => Buffer.alloc(64) }),
  root('C1', 'no alg', { header: { alg: undefined } }),
  root('C2', 'the public key as HMAC secret: its bytes', ({ operator }) => ({
    header: { alg: 'HS256' },
    sign: hmac(Buffer.from(String(operator.jwk.x), 'base64url')),
  })),
  root('C2', 'the public key as HMAC secret: its JWK', ({ operator }) => ({
    header: { alg: 'HS256' },
    sign: hmac(JSON.stringify(operator.jwk)),
  })),
  root('C2', 'the key as HMAC secret: its PEM', ({ operator }) => ({
    header: { alg: 'HS256' },
    sign: hmac(String(spkiPem(operator))),
  })),
  ...['RS256', 'ES256', 'PS256', 'EdDSA', 'ed25519'].map((alg) =>
    root('C2', `alg ${alg} under an Ed25519 key`, { header: { alg } }),
  ),
  ...['../../../../dev/null', "' or 1=1 --", '$(id)', 'http://127.0.0.1/key', '', 'x'.repeat(5000)].map((kid) =>
    root('C4', `kid ${JSON.stringify(kid.slice(0, 30))}`, { header: { kid } }),
  ),
  root('C5', 'a kid that its issuer has not', ({ operator }) => ({ header: { kid: `${operator.did}#other` } })),
  root('C5', 'the kid of another DID', () => ({ header: { kid: newHolder().kid } })),
  root('C5', 'no kid', { header: { kid: undefined } }),
  root('C5', 'a kid that is no string', { header: { kid: ['a'] } }),
  ...['jku', 'x5u'].map((name) => root('C6', `${name} of the attacker`, { header: { [name]: 'http://127.0.0.1:1/keys' } })),
  root('C6', 'an embedded jwk, and its signature', () => {
    const thief = newHolder();
    return { header: { jwk: thief.jwk }, sign: (input) => sign(null, input, thief.key) };
  }),
  root('C6', 'x5c', { header: { x5c: ['MIIB'] } }),
  root('C7', 'an unknown crit', { header: { crit: ['exp'], exp: 1 } }),
  root('C7', 'an empty crit', { header: { crit: [] } }),
  root('C7', 'b64 false', { header: { b64: false, crit: ['b64'] } }),
  ...['JWT', 'at+jwt', 'AGENT-CAP+JWT', 'application/agent-cap+jwt', 'eat+jwt', undefined].map((typ) =>
    root('C8', `typ ${typ ?? 'missing'}`, { header: { typ } }),
  ),
  root('C8', "an id_token of the operator's", ({ operator }) => ({
    header: { typ: 'JWT' },
    claimsText: JSON.stringify({ iss: operator.did, sub: 'x', aud: 'gateway.local', exp: seconds() + 60 }),
  })),
  root('C8', 'a link in the place of a root', { claims: { par_hash: 'a'.repeat(43), del_depth: 1 } }),
  ...[
    'other.gateway',
    ['other.gateway'],
    'gateway.local.evil',
    'GATEWAY.LOCAL',
    '',
    [],
    [['gateway.local']],
    { 0: 'gateway.local' },
    'gateway.local other',
    null,
    undefined,
  ].map((aud) => root('C9', `aud ${JSON.stringify(aud) ?? 'missing'}`, { claims: { aud } })),
  root('C10', 'no iss', { claims: { iss: undefined } }),
  root('C10', 'iss and sub differ', () => ({ claims: { sub: newHolder().did } })),
  root('C10', 'iss as a list', ({ operator }) => ({ claims: { iss: [operator.did] } })),
  token('C10', 'an operator that nobody trusts', ({ agent }) => mintRoot(newHolder(), agent)),
  token('C10', 'the agent as its own operator', ({ agent }) => mintRoot(agent, agent)),
  token('C10', 'another operator signs in the name of ours', ({ operator, agent }) => {
    const thief = newHolder();
    return mintRoot({ ...operator, key: thief.key }, agent);
  }),
  root('C11', 'expired', { claims: { iat: seconds() - 100, exp: seconds() - 1 } }),
  root('C11', 'not valid yet', { claims: { nbf: seconds() + 600 } }),
  root('C11', 'issued in the future', { claims: { iat: seconds() + 600, exp: seconds() + 900 } }),
  root('C11', 'a lifetime beyond the limit', { claims: { exp: seconds() + 91 * 86_400 } }),
  ...[undefined, String(seconds() + 60), null, true, 1.5, -1, [seconds() + 60]].map((exp) =>
    root('C11', `exp ${JSON.stringify(exp)?.slice(0, 20) ?? 'missing'}`, { claims: { exp } }),
  ),
  ...['1e400', '-0.5', '1E3', '99999999999999999999'].map((exp) =>
    root('C11', `exp written ${exp}`, ({ operator, agent }) => ({
      claimsText: JSON.stringify(claimsOf(mintRoot(operator, agent))).replace(/"exp":\d+/, `"exp":${exp}`),
    })),
  ),
  {
    id: 'C12',
    title: "another agent's token, the thief's key named",
    verdict: [401, 'signature-key'],
    change: ({ newAgent, token: stolen }) => {
      const thief = newAgent().agent;
      return { capability: quoted(stolen), parameters: parameters(thief), sign: (base) => sign(null, base, thief.key) };
    },
  },
  {
    id: 'C12',
    title: "another agent's token, its key named",
    verdict: [401, 'signature-invalid'],
    change: ({ newAgent, token: stolen }) => {
      const thief = newAgent().agent;
      return { capability: quoted(stolen), sign: (base) => sign(null, base, thief.key) };
    },
  },
  root(
    'C12',
    "the thief's key put into the stolen token",
    ({ agent, token: stolen }) => ({
      claimsText: JSON.stringify({ ...claimsOf(stolen), cnf: { jwk: newHolder().jwk } }),
      sign: (input) => sign(null, input, agent.key),
    }),
    [401, 'signature-key'],
  ),
  root(
    'C12',
    "a key that is not the agent's",
    ({ agent }) => ({ claims: { client_id: newHolder().did, cnf: { jwk: agent.jwk } } }),
    [401, 'identity-unknown'],
  ),
  root('C12', 'a key with its private half', ({ agent }) => ({ claims: { cnf: { jwk: { ...agent.jwk, d: 'AAAA' } } } })),
  { id: 'C13', title: 'another model', verdict: BEYOND, change: () => ({ body: chat('hi', { model: 'gpt-4o' }) }) },
  {
    id: 'C13',
    title: 'a model named twice',
    verdict: BEYOND,
    change: () => ({ body: Buffer.from('{"model":"gpt-5-mini","messages":[],"model":"gpt-4o"}') }),
  },
  {
    id: 'C13',
    title: 'a model named twice, once escaped',
    verdict: BEYOND,
    change: () => ({ body: Buffer.from('{"model":"gpt-4o","messages":[],"\\u006dodel":"gpt-5-mini"}') }),
  },
  { id: 'C13', title: 'no model', verdict: BEYOND, change: () => ({ body: Buffer.from('{"messages":[]}') }) },
  { id: 'C13', title: 'a body that is no JSON', verdict: BEYOND, change: () => ({ body: Buffer.from('model=gpt-5-mini') }) },
  { id: 'C13', title: 'a body of another type', verdict: BEYOND, change: () => ({ contentType: 'text/plain' }) },
  {
    id: 'C13',
    title: 'another action',
    verdict: BEYOND,
    change: () => ({ target: '/openai/v1/embeddings', body: Buffer.from('{"model":"gpt-5-mini","input":"x"}') }),
  },
  {
    id: 'C13',
    title: 'another provider',
    verdict: BEYOND,
    change: ({ operator, agent }) => ({
      capability: quoted(mintRoot(operator, agent)),
      target: '/anthropic/v1/messages',
      body: chat('hi', { model: 'gpt-5-mini', max_tokens: 5 }),
    }),
  },
  {
    id: 'C13',
    title: 'a path that is no operation',
    verdict: BEYOND,
    change: () => ({ target: '/openai/v1/organization/users' }),
  },
  { id: 'C13', title: 'a path without a provider', verdict: BEYOND, change: () => ({ target: '/admin' }) },
  { id: 'C13', title: 'another method', verdict: BEYOND, change: () => ({ method: 'PATCH' }) },
  {
    id: 'C13',
    title: 'a query the operation does not take',
    verdict: BEYOND,
    change: () => ({ target: '/openai/v1/chat/completions?beta=true' }),
  },
  root('C13', 'a tool that is not granted', { claims: details({ tools: [] }) }, BEYOND),
  root('C13', 'more output than granted', { claims: details({ max: { output_tokens: 10 } }) }, BEYOND),
  root('C13', 'more input than granted', { claims: details({ max: { input_bytes: 10 } }) }, BEYOND),
  root('C13', 'a budget that nobody counts', { claims: details({ budget: { amount: 1, unit: 'tokens', decimals: 0 } }) }, [
    403,
    'budget-exhausted',
  ]),
  root('C13', 'an attestation that is not there', { claims: details({ attestation: 2 }) }, [403, 'attestation-required']),
  root('C13', 'every model at once', { claims: details({ models: ['*'] }) }),
  root('C13', 'two entries of details', {
    claims: { authorization_details: [...details({}).authorization_details, ...details({}).authorization_details] },
  }),
  root('C13', 'a limit that this gateway does not know', { claims: details({ max: { images: 1 } }) }),
  root('C13', 'a depth that no root has', { claims: { del_depth: 1 } }),
  token('C16', 'a JWE of five parts with PBES2 and two thousand million rounds', () =>
    [
      base64url(JSON.stringify({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2 ** 31, p2s: 'AAAA' })),
      'AAAA',
      'AAAA',
      'AAAA',
      'AAAA',
    ].join('.'),
  ),
  root('C16', 'PBES2 in the header of a JWS', { header: { alg: 'PBES2-HS256+A128KW', p2c: 2 ** 31 } }),
  root('C16', 'a compressed payload', { header: { zip: 'DEF' } }),
  root('C17', 'a JWT in a JWT', ({ operator, agent }) => ({ header: { cty: 'JWT' }, claimsText: mintRoot(operator, agent) })),
  root('C17', 'a JWT in a JWT, unsaid', ({ operator, agent }) => ({ claimsText: JSON.stringify(mintRoot(operator, agent)) })),
  root('C21', '__proto__ in the claims', ({ operator, agent }) => ({
    claimsText: JSON.stringify(claimsOf(mintRoot(operator, agent))).replace(/}$/, ',"__proto__":{"exp":9999999999}}'),
  })),
  root('C21', '__proto__ in the header', ({ operator }) => ({
    headerText: `{"alg":"Ed25519","typ":"agent-cap+jwt","kid":"${operator.kid}","__proto__":{"crit":null}}`,
  })),
  root('C21', 'constructor in the details', { claims: details({ constructor: { prototype: { models: ['openai/x'] } } }) }),
  {
    id: 'C21',
    title: '__proto__ in the body',
    verdict: BEYOND,
    change: () => ({ body: Buffer.from('{"model":"gpt-5-mini","messages":[],"__proto__":{"model":"x"}}') }),
  },
  {
    id: 'C21',
    title: 'a header named __proto__ (Envoy stops the underscore)',
    verdict: [400],
    change: () => ({ extra: [['__proto__', 'x']] }),
  },
  token('C22', 'a token of 30 KiB', ({ operator, agent }) => mintRoot(operator, agent, { claims: { pad: 'x'.repeat(22_000) } }), [
    400,
    'malformed',
  ]),
  token(
    'C22',
    'a token of 87 KiB (Envoy stops the headers)',
    ({ operator, agent }) => mintRoot(operator, agent, { claims: { pad: 'x'.repeat(65_536) } }),
    [431],
  ),
  {
    id: 'C22',
    title: 'seven tokens',
    verdict: [400, 'malformed'],
    change: () => ({ capability: Array(7).fill('"a.b.c"').join(', ') }),
  },
  {
    id: 'C22',
    title: 'a root in the place of a link',
    verdict: CHAIN,
    change: ({ token: own }) => ({ capability: `${quoted(own)}, ${quoted(own)}` }),
  },
  // One token, one spelling: a second one would escape whatever is keyed on the text.
  token('C1', 'padding behind the signature', ({ token: own }) => `${own}==`),
  token('C1', 'a blank in the token', ({ token: own }) => own.replace('.', '. ')),
  token(
    'C1',
    'trailing bits of the signature set',
    ({ token: own }) => `${own.slice(0, -1)}${{ A: 'B', Q: 'R', g: 'h', w: 'x' }[own.at(-1) ?? ''] ?? '!'}`,
  ),
  {
    id: 'C1',
    title: 'a token that is a Token and no String',
    verdict: [400, 'malformed'],
    change: () => ({ capability: 'token' }),
  },
  root('C21', 'a claim twice', ({ operator, agent }) => ({
    claimsText: JSON.stringify(claimsOf(mintRoot(operator, agent))).replace(/}$/, ',"exp":9999999999}'),
  })),
];

describe('C: the capability', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene?.stop());

  test('a root minted by hand is allowed, so each row fails for what it changes', async () => {
    await scene.expectAllowed(toWire(scene.attempt({ capability: quoted(mintRoot(scene.operator, scene.agent)) })));
  });

  // Rows that need a tool or a limit in the request get both.
  const body = chat('hi', {
    tools: [{ type: 'function', function: { name: 'shell', parameters: {} } }],
    max_completion_tokens: 50,
  });

  test.each(named(rows))('%s', async (_title, row) => {
    await scene.expectDenied(toWire(scene.attempt({ body, ...row.change?.(scene) })), row.verdict);
  });

  test('C6 no key is fetched from where a token points', async () => {
    let connections = 0;
    const canary = createServer((socket) => {
      connections++;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(canary, 'listening');
    const address = canary.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/keys`;
    for (const header of [{ jku: url }, { x5u: url }, { kid: url }]) {
      const capability = quoted(mintRoot(scene.operator, scene.agent, { header }));
      await scene.expectDenied(toWire(scene.attempt({ capability })), CHAIN);
    }
    for (const did of [`did:web:127.0.0.1%3A${new URL(url).port}`, `did:webvh:Qm:127.0.0.1%3A${new URL(url).port}`]) {
      const capability = quoted(mintRoot(scene.operator, { did, jwk: scene.agent.jwk }));
      await scene.expectDenied(toWire(scene.attempt({ capability })), [401, 'identity-unknown']);
    }
    canary.close();
    expect(connections).toBe(0);
  });

  test('C11 a root that expires between two requests: a chain that is kept is not kept beyond its time', async () => {
    const capability = quoted(mintRoot(scene.operator, scene.agent, { claims: { exp: seconds() + 3 } }));
    await scene.expectAllowed(toWire(scene.attempt({ capability })));
    await new Promise((resolve) => setTimeout(resolve, 3200));
    await scene.expectDenied(toWire(scene.attempt({ capability })), CHAIN);
  });

  test('C12 a thief gains nothing from a chain that is kept already', async () => {
    const { agent, token: own } = scene.newAgent();
    const thief = newHolder();
    await scene.expectAllowed(
      toWire(
        scene.attempt({ capability: quoted(own), parameters: parameters(agent), sign: (base) => sign(null, base, agent.key) }),
      ),
    );
    const named = { capability: quoted(own), parameters: parameters(thief), sign: (base: Buffer) => sign(null, base, thief.key) };
    await scene.expectDenied(toWire(scene.attempt(named)), [401, 'signature-key']);
  });
});

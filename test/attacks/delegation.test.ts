// D: attacks on chains of links, and C19: on the sessions that links open; through the real Envoy.

import { createHash, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Attempt,
  chat,
  GRANT,
  type Held,
  mintBelow,
  mintRoot,
  newHolder,
  parameters,
  type RootParts,
  toWire,
} from './attacker.ts';
import { named, openScene, type Row, type Scene } from './scene.ts';

const seconds = () => Math.floor(Date.now() / 1000);
const CHAIN = [401, 'chain-invalid'] as const;

/** A root that allows links below it. */
function rootOf({ operator, agent }: Scene, claims: object = {}): Held {
  return { token: mintRoot(operator, agent, { claims: { del_max_depth: 3, ...claims } }), holder: agent };
}

/** The request of who holds the last of these. */
function presenting(held: readonly Held[], holder = held.at(-1)?.holder): Partial<Attempt> {
  if (holder === undefined) throw new Error('a chain has a token');
  return {
    capability: held.map(({ token }) => `"${token}"`).join(', '),
    parameters: parameters(holder),
    sign: (base) => sign(null, base, holder.key),
  };
}

function row(id: string, title: string, build: (scene: Scene) => readonly Held[], verdict: Row['verdict'] = CHAIN): Row {
  return { id, title, verdict, change: (scene) => presenting(build(scene)) };
}

/** One link below a root, with parts of it replaced by the agent, who holds the root's key. */
function link(id: string, title: string, parts: RootParts | ((scene: Scene) => RootParts), root: object = {}): Row {
  return row(id, title, (scene) => {
    const above = rootOf(scene, root);
    return [above, mintBelow(above, newHolder(), typeof parts === 'function' ? parts(scene) : parts)];
  });
}

/** Links below a root, each on a new key of the same agent. */
function longer(held: readonly Held[], count: number): readonly Held[] {
  const last = held.at(-1);
  return count === 0 || last === undefined ? held : longer([...held, mintBelow(last, newHolder())], count - 1);
}

const granting = (change: object) => ({ authorization_details: [{ ...GRANT, ...change }] });
const passedOn = (to: ReturnType<typeof newHolder>) => ({ claims: { client_id: to.did } });
const budget = { amount: 100, unit: 'usd', decimals: 2 };

const rows: Row[] = [
  row('D1', 'the middle link left out', (scene) => longer([rootOf(scene)], 2).filter((_, at) => at !== 1)),
  row('D1', 'the root left out', (scene) => longer([rootOf(scene)], 1).slice(1)),
  row('D1', 'the links exchanged', (scene) => {
    const [root, one, two, three] = longer([rootOf(scene)], 3);
    return root && one && two && three ? [root, two, one, three] : [];
  }),
  row('D1', 'a link twice', (scene) => longer([rootOf(scene)], 1).flatMap((held, at) => (at === 0 ? [held] : [held, held]))),
  row('D1', 'a link under another root of the same key', (scene) => {
    const [, below] = longer([rootOf(scene, granting({ max: { output_tokens: 10 } }))], 1);
    return below ? [rootOf(scene), below] : [];
  }),
  row('D1', 'a link whose parent is claimed and was never signed', (scene) => {
    const root = rootOf(scene);
    const forged = mintBelow(root, newHolder(), { sign: () => Buffer.alloc(64) });
    return [root, forged, mintBelow(forged, newHolder())];
  }),
  link('D2', 'another action', { claims: granting({ actions: ['chat', 'embed'] }) }),
  link('D2', 'another model', { claims: granting({ models: ['openai/gpt-5*', 'openai/gpt-4o'] }) }),
  link('D2', 'every model of the provider', { claims: granting({ models: ['openai/*'] }) }),
  link(
    'D2',
    'models where the root grants none',
    { claims: granting({ models: ['openai/gpt-5'] }) },
    granting({ models: undefined }),
  ),
  link('D2', 'the list of tools left out', { claims: granting({}) }, granting({ tools: [] })),
  link('D2', 'another tool', { claims: granting({ tools: ['web_search', 'shell'] }) }, granting({ tools: ['web_search'] })),
  link('D2', 'a higher limit', { claims: granting({ max: { output_tokens: 101 } }) }, granting({ max: { output_tokens: 100 } })),
  link('D2', 'the limit left out', { claims: granting({ max: { input_bytes: 10 } }) }, granting({ max: { output_tokens: 100 } })),
  link('D2', 'a larger budget', { claims: granting({ budget: { ...budget, amount: 101 } }) }, granting({ budget })),
  link(
    'D2',
    'the same number of a larger unit',
    { claims: granting({ budget: { ...budget, decimals: 0 } }) },
    granting({ budget }),
  ),
  link('D2', 'the budget left out', { claims: granting({}) }, granting({ budget })),
  link('D2', 'a lower attestation', { claims: granting({ attestation: 1 }) }, granting({ attestation: 2 })),
  link('D2', 'another gateway', { claims: { aud: ['gateway.local', 'other.gateway'] } }),
  link('D2', 'two entries of details', { claims: { authorization_details: [GRANT, GRANT] } }),
  link('D2', 'another principal', (scene) => ({ claims: { sub: scene.agent.did } })),
  link('D2', 'a limit that this gateway does not know', { claims: granting({ images: 1 }) }),
  link('D2', 'a claim that no link has', { claims: { scope: 'everything' } }),
  row('D2', 'wider again below a narrower link', (scene) => {
    const root = rootOf(scene);
    const narrow = mintBelow(root, newHolder(), { claims: granting({ tools: [] }) });
    return [root, narrow, mintBelow(narrow, newHolder(), { claims: granting({}) })];
  }),
  {
    ...row(
      'D2',
      'a request that only the root allows',
      (scene) => {
        const root = rootOf(scene);
        return [root, mintBelow(root, newHolder(), { claims: granting({ models: ['openai/gpt-5-nano'] }) })];
      },
      [403, 'capability-insufficient'],
    ),
  },
  link('D3', 'outlives its parent by a second', { claims: { exp: seconds() + 7201 } }, { exp: seconds() + 7200 }),
  link('D3', 'expired', { claims: { exp: seconds() - 1 } }),
  link('D3', 'issued before its parent', { claims: { iat: seconds() - 60 } }),
  link('D3', 'issued in the future', { claims: { iat: seconds() + 600 } }),
  row('D3', 'a fresh link below an expired one', (scene) => {
    const root = rootOf(scene);
    const expired = mintBelow(root, newHolder(), { claims: { exp: seconds() - 1 } });
    return [root, expired, mintBelow(expired, newHolder(), { claims: { exp: seconds() + 60 } })];
  }),
  row('D4', 'one link more than the root allows', (scene) => longer([rootOf(scene, { del_max_depth: 2 })], 3)),
  row('D4', 'one link more than any chain may have', (scene) => longer([rootOf(scene, { del_max_depth: 5 })], 6), [
    400,
    'malformed',
  ]),
  link('D4', 'a ceiling raised by the link', { claims: { del_max_depth: 4 } }),
  link('D4', 'the depth of its parent', { claims: { del_depth: 0 } }),
  link('D4', 'a depth below nothing', { claims: { del_depth: -1 } }),
  row('D5', 'back to the first agent', (scene) => {
    const other = newHolder();
    const root = rootOf(scene);
    const there = mintBelow(root, other, passedOn(other));
    return [root, there, mintBelow(there, scene.agent, passedOn(scene.agent))];
  }),
  row('D5', 'back to the first agent, on a key of a session', (scene) => {
    const other = newHolder();
    const root = rootOf(scene);
    const there = mintBelow(root, other, passedOn(other));
    return [root, there, mintBelow(there, newHolder(), passedOn(scene.agent))];
  }),
  row('D5', 'the id of an ancestor', (scene) => {
    const root = rootOf(scene, { jti: 'A'.repeat(22) });
    return [root, mintBelow(root, newHolder(), { claims: { jti: 'A'.repeat(22) } })];
  }),
  row(
    'D7',
    'an agent named that does not hold the key',
    (scene) => {
      const root = rootOf(scene);
      return [root, mintBelow(root, newHolder(), passedOn(newHolder()))];
    },
    [401, 'identity-unknown'],
  ),
  link('D7', 'signed by a sibling', () => {
    const sibling = newHolder();
    return { sign: (input) => sign(null, input, sibling.key) };
  }),
  link('D7', 'signed by the operator', (scene) => ({ sign: (input) => sign(null, input, scene.operator.key) })),
  link('D7', 'issued and signed by a sibling', () => {
    const sibling = newHolder();
    const iss = `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${sibling.jkt}`;
    return { claims: { iss }, sign: (input) => sign(null, input, sibling.key) };
  }),
  link('D7', 'another key named in the header', () => ({ header: { kid: newHolder().jkt } })),
  link('D7', 'a key brought along in the header', () => ({ header: { jwk: newHolder().jwk } })),
  link('D7', 'an HMAC under the public key', (scene) => ({
    header: { alg: 'HS256' },
    sign: (input) => createHash('sha256').update(String(scene.agent.jwk.x)).update(input).digest(),
  })),
  link('D7', 'no algorithm, no signature', { header: { alg: 'none' }, sign: () => Buffer.alloc(0) }),
  {
    id: 'D7',
    title: 'the right chain, its request signed by the parent',
    verdict: [401, 'signature-key'],
    change: (scene) => presenting(longer([rootOf(scene)], 1), scene.agent),
  },
  row('D10', 'a link below a root that forbids any', (scene) => longer([rootOf(scene, { del_max_depth: 0 })], 1)),
  row('D10', 'a link below a link that forbids more', (scene) => {
    const root = rootOf(scene);
    const last = mintBelow(root, newHolder(), { claims: { del_max_depth: 1 } });
    return [root, last, mintBelow(last, newHolder(), { claims: { del_max_depth: 3 } })];
  }),
  row('D11', 'seven tokens', (scene) => longer([rootOf(scene, { del_max_depth: 5 })], 6), [400, 'malformed']),
  {
    id: 'D11',
    title: 'a thousand links (Envoy stops the headers)',
    verdict: [431],
    change: () => ({
      capability: Array(1000)
        .fill(`"${'a'.repeat(100)}.b.c"`)
        .join(', '),
    }),
  },
  row('C19', "another agent's session link behind one's own root", (scene) => {
    const victim = scene.newAgent();
    const theirs = mintBelow({ token: victim.token, holder: victim.agent }, newHolder(), { claims: { sid: 's-1' } });
    return [rootOf(scene), theirs];
  }),
  {
    id: 'C19',
    title: 'a session that was seen, on a key of the thief',
    verdict: [401, 'signature-key'],
    change: (scene) => presenting(longer([rootOf(scene)], 1), newHolder()),
  },
  {
    id: 'C19',
    title: 'a session that was seen, its key named',
    verdict: [401, 'signature-invalid'],
    change: (scene) => {
      const held = longer([rootOf(scene)], 1);
      return { ...presenting(held), sign: (base) => sign(null, base, newHolder().key) };
    },
  },
  link(
    'C19',
    'a session of more than twelve hours',
    { claims: { sid: 's-1', iat: seconds(), exp: seconds() + 12 * 3600 + 60 } },
    { exp: seconds() + 86_400 },
  ),
  link('C19', 'a task of more than fifteen minutes', { claims: { task: 't-1', iat: seconds(), exp: seconds() + 16 * 60 } }),
  ...(['sid', 'task'] as const).flatMap((name) =>
    [undefined, 'fixed-by-the-attacker'].map((value) =>
      row('C19', `${name} ${value === undefined ? 'left out' : 'changed'} below the link that set it`, (scene) => {
        const root = rootOf(scene);
        const session = mintBelow(root, newHolder(), { claims: { [name]: 'first', exp: seconds() + 600 } });
        return [root, session, mintBelow(session, newHolder(), { claims: { [name]: value } })];
      }),
    ),
  ),
];

describe('D: delegation', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene?.stop());

  test('a session and a delegation in it are allowed, and the record says who passed the work on to whom', async () => {
    const root = rootOf(scene);
    const session = mintBelow(root, newHolder(), { claims: { sid: 's-1', exp: seconds() + 600 } });
    const other = newHolder();
    const held = [root, session, mintBelow(session, other, passedOn(other))];
    const { records } = await scene.expectAllowed(toWire(scene.attempt(presenting(held))));
    expect(records[0]).toMatchObject({
      agents: [scene.agent.did, scene.agent.did, other.did],
      operator: scene.operator.did,
      keyid: other.jkt,
      sid: 's-1',
      token_hashes: held.map(({ token }) => createHash('sha256').update(token).digest('base64url')),
    });
    expect(records[0]?.jti).toHaveLength(3);
  });

  test('the longest chain is allowed', async () => {
    await scene.expectAllowed(toWire(scene.attempt(presenting(longer([rootOf(scene, { del_max_depth: 5 })], 5)))));
  });

  const body = chat('hi', {
    tools: [{ type: 'function', function: { name: 'web_search', parameters: {} } }],
    max_completion_tokens: 50,
  });

  /** What the denial says, so that no row is refused for another mistake in it. */
  const why: Readonly<Record<string, RegExp>> = {
    D1: /Link \d (?:is not issued by|belongs under|does not verify)|root token is not in the form/,
    D2: /Link \d (?:allows more|has another principal|is for a gateway|is not in the form .*(?:details|scope))/,
    D3: /Link \d (?:outlives|has expired|is older|was issued in the future)/,
    D4: /Link \d .*(?:del_max_depth|del_depth)|1 to 6 tokens/,
    D5: /Link \d (?:comes back|has the id)/,
    D10: /Link \d .*del_max_depth/,
  };

  test.each(named(rows))('%s', async (_title, one) => {
    const { response } = await scene.expectDenied(toWire(scene.attempt({ body, ...one.change?.(scene) })), one.verdict);
    if (one.verdict[1] === 'chain-invalid') expect(response.body).toMatch(why[one.id] ?? /Link 1|Link 2/);
  });

  test('C19 a session that ends between two requests: a chain that is kept is not kept beyond its leaf', async () => {
    const root = rootOf(scene);
    const held = [root, mintBelow(root, newHolder(), { claims: { sid: 's-1', exp: seconds() + 3 } })];
    await scene.expectAllowed(toWire(scene.attempt(presenting(held))));
    await new Promise((resolve) => setTimeout(resolve, 3200));
    const { response } = await scene.expectDenied(toWire(scene.attempt(presenting(held))), CHAIN);
    expect(response.body).toContain('Link 1 has expired.');
    // The root below which it stood goes on.
    await scene.expectAllowed(toWire(scene.attempt(presenting([root]))));
  });

  test('D11 chains of junk in the size of good ones cost no more than good ones', async () => {
    const good = presenting(longer([rootOf(scene, { del_max_depth: 5 })], 5));
    const junk = (capability: string) => toWire(scene.attempt({ ...good, capability }));
    const long = `"${'A'.repeat(3900)}.${'A'.repeat(100)}.AAAA"`;
    const began = performance.now();
    for (const capability of [Array(6).fill(long).join(', '), Array(6).fill('"a.b.c"').join(',')])
      await scene.expectDenied(junk(capability), CHAIN);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});

// Sessions and task scopes: when they are opened, renewed and ended, what they say, and what happens where there is no room.

import { describe, expect, test } from 'vitest';
import type { PrivateKey } from '../../src/crypto/private-key.ts';
import { MOST_TASKS, TaskRefused } from '../../src/sign/agent-chains.ts';
import { type HeldChain, holdChain } from '../../src/sign/held-chain.ts';
import { mintLink } from '../../src/token/mint-link.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { keyOf } from '../keys.ts';
import { claimsOf, DETAILS, MINUTE, rootOf, START, sidecarOf } from './held.ts';

/** The same chain under a key that can be made to fail, as one in a token or a module can. */
function failing(bound: HeldChain): { bound: HeldChain; broken: { is: boolean } } {
  const broken = { is: false };
  const key: PrivateKey = {
    algorithm: bound.key.algorithm,
    publicKey: bound.key.publicKey,
    get keyObject() {
      if (broken.is) throw new Error('the key is gone');
      return bound.key.keyObject;
    },
  };
  return { bound: { ...bound, key }, broken };
}

/** A chain in the hands of another agent: delegated below a session of the first. */
async function delegated(claims: { task?: string; maxDepth?: number } = {}, maxDepth = 3): Promise<HeldChain> {
  const session = await sidecarOf(await rootOf({ maxDepth })).chains.session();
  const key = keyOf('delegate');
  const link = await mintLink({
    parent: session.leaf.compact,
    parentKey: session.key,
    agent: didKeyOf(key.publicKey),
    key: key.publicKey,
    algorithm: key.algorithm,
    details: DETAILS,
    issuedAt: START / 1000,
    lifetimeSeconds: 600,
    ...claims,
  });
  const [root = '', ...links] = session.chain;
  return holdChain(key, [root, ...links, link]);
}

describe('a session', () => {
  test('is a link to a fresh key of the same agent, with an id of 128 bits, an hour long', async () => {
    const bound = await rootOf();
    const session = await sidecarOf(bound).chains.forRequest(undefined);
    expect(session.chain).toEqual([...bound.chain, session.leaf.compact]);
    const { sid, exp, iat, client_id, authorization_details, del_depth, task } = claimsOf(session);
    expect(sid).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect([exp - iat, del_depth, task]).toEqual([3600, 1, undefined]);
    expect([client_id, authorization_details]).toEqual([claimsOf(bound).client_id, claimsOf(bound).authorization_details]);
    expect(session.key.publicKey.jkt).toBe(session.leaf.untrustedJkt);
    expect(session.key.publicKey.jkt).not.toBe(bound.key.publicKey.jkt);
    expect(() => holdChain(session.key, session.chain as [string, ...string[]])).not.toThrow();
  });

  test('is opened anew after 80 % of its lifetime, with another id and key, while the one before serves', async () => {
    const { chains, clock } = sidecarOf(await rootOf());
    const first = await chains.session();
    clock.now = START + 48 * MINUTE - 1;
    expect(await chains.session()).toBe(first);
    await Promise.resolve();
    expect(await chains.session()).toBe(first);
    clock.now = START + 48 * MINUTE;
    expect(await chains.session(), 'serves on').toBe(first);
    await new Promise(setImmediate);
    const second = await chains.session();
    expect(claimsOf(second).sid).not.toBe(claimsOf(first).sid);
    expect(second.key.publicKey.jkt).not.toBe(first.key.publicKey.jkt);
    expect(second.expiresAt).toBe(clock.now + 60 * MINUTE);
  });

  test('that ended while nobody asked is not served: the next is waited for', async () => {
    const { chains, clock } = sidecarOf(await rootOf());
    const first = await chains.session();
    for (const now of [first.expiresAt - 4000, first.expiresAt + 90 * MINUTE]) {
      clock.now = now;
      expect((await chains.session()).expiresAt).toBe(Math.floor(now / 1000) * 1000 + 60 * MINUTE);
    }
  });

  test('is opened once, however many ask at the same time', async () => {
    const { chains, said } = sidecarOf(await rootOf());
    const sessions = await Promise.all(Array.from({ length: 20 }, () => chains.forRequest(undefined)));
    expect(new Set(sessions).size).toBe(1);
    expect(said.filter(({ msg }) => msg === 'session opened')).toHaveLength(1);
  });

  test('ends with the capability, and is not opened again and again towards its end', async () => {
    const { chains, clock, said } = sidecarOf(await rootOf({ lifetimeSeconds: 5400 }));
    await chains.session();
    clock.now = START + 50 * MINUTE;
    await chains.session();
    await new Promise(setImmediate);
    const last = await chains.session();
    expect(last.expiresAt).toBe(START + 90 * MINUTE);
    clock.now = START + 89 * MINUTE;
    expect(await chains.session()).toBe(last);
    expect(said.filter(({ msg }) => msg === 'session opened')).toHaveLength(2);
    clock.now = START + 90 * MINUTE;
    expect((await chains.session()).expiresAt).toBeLessThanOrEqual(clock.now);
  });

  test('that cannot be opened anew is said, tried again after a pause, and the one before serves until its end', async () => {
    const { bound, broken } = failing(await rootOf());
    const { chains, clock, said } = sidecarOf(bound);
    const first = await chains.session();
    const failures = () => said.filter(({ level, msg }) => level === 50 && msg.startsWith('session not opened')).length;
    broken.is = true;
    clock.now = START + 48 * MINUTE;
    for (let asked = 0; asked < 5; asked++) {
      expect(await chains.session()).toBe(first);
      await new Promise(setImmediate);
    }
    expect(failures()).toBe(1);
    clock.now += 5000;
    await chains.session();
    await new Promise(setImmediate);
    expect(failures()).toBe(2);
    clock.now = first.expiresAt;
    expect(await chains.session(), 'the agent’s own key').toBe(bound);
    broken.is = false;
    clock.now += 5000;
    expect((await chains.session()).expiresAt).toBeGreaterThan(clock.now);
    expect(JSON.stringify(said)).not.toContain('"d"');
  });

  test('below another agent’s session is a part of that one', async () => {
    const bound = await delegated();
    const session = await sidecarOf(bound).chains.session();
    expect(claimsOf(session).sid).toBe(claimsOf(bound).sid);
    expect(claimsOf(session).sid).toBeDefined();
    expect(session.expiresAt).toBe(bound.expiresAt);
    expect(() => holdChain(session.key, session.chain as [string, ...string[]])).not.toThrow();
  });
});

describe('a task scope', () => {
  test('is a link to a key of its own below the session, for fifteen minutes, kept while it is used', async () => {
    const { chains } = sidecarOf(await rootOf());
    const session = await chains.session();
    const scope = await chains.forRequest('invoice-17');
    const { task, sid, exp, iat, del_depth, client_id } = claimsOf(scope);
    expect([task, sid, exp - iat, del_depth]).toEqual(['invoice-17', claimsOf(session).sid, 900, 2]);
    expect(client_id).toBe(claimsOf(session).client_id);
    expect(scope.chain).toEqual([...session.chain, scope.leaf.compact]);
    expect(await chains.forRequest('invoice-17')).toBe(scope);
    const other = await chains.forRequest('invoice-18');
    expect(new Set([session, scope, other].map(({ key }) => key.publicKey.jkt)).size).toBe(3);
    expect(() => holdChain(scope.key, scope.chain as [string, ...string[]])).not.toThrow();
  });

  test('is renewed on use after 80 %, and ends with its session', async () => {
    const { chains, clock } = sidecarOf(await rootOf());
    const first = await chains.forRequest('t');
    clock.now = START + 12 * MINUTE;
    expect(await chains.forRequest('t')).toBe(first);
    await new Promise(setImmediate);
    const second = await chains.forRequest('t');
    expect(second.expiresAt).toBe(START + 27 * MINUTE);
    expect(second.chain.slice(0, -1)).toEqual(first.chain.slice(0, -1));
    clock.now = START + 48 * MINUTE;
    await chains.session();
    await new Promise(setImmediate);
    const session = await chains.session();
    expect((await chains.forRequest('t')).chain.slice(0, -1)).toEqual(session.chain);
  });

  test('may be less than the agent may', async () => {
    const details = { ...DETAILS, actions: ['chat' as const], max: { output_tokens: 10 } };
    const { chains } = sidecarOf(await rootOf(), { tasks: { small: details } });
    expect(claimsOf(await chains.forRequest('small')).authorization_details).toEqual([details]);
    for (const task of ['large', 'constructor', '__proto__'])
      expect(claimsOf(await chains.forRequest(task)).authorization_details).toEqual([DETAILS]);
  });

  test('is forgotten when so many others were named since, and not when it was used in between', async () => {
    const { chains } = sidecarOf(await rootOf());
    const [kept, forgotten] = [await chains.forRequest('kept'), await chains.forRequest('forgotten')];
    for (let at = 0; at < MOST_TASKS; at++) {
      await chains.forRequest(`other-${at}`);
      if (at % 400 === 0) await chains.forRequest('kept');
    }
    expect(await chains.forRequest('kept')).toBe(kept);
    expect(await chains.forRequest('forgotten')).not.toBe(forgotten);
  });

  test('below a delegation for one task: the same needs no link, another is refused', async () => {
    const { chains } = sidecarOf(await delegated({ task: 'theirs' }), {
      task: { header: 'x', lifetimeMinutes: 15, required: true },
    });
    expect(await chains.forRequest('theirs')).toBe(await chains.session());
    await expect(chains.forRequest('mine')).rejects.toThrow(TaskRefused);
    await expect(chains.forRequest('mine')).rejects.toThrow('works for one task');
  });
});

describe('what sign.tasks says of the task that a delegation is for', () => {
  const tasks = { theirs: { ...DETAILS, max: { output_tokens: 50 } } };

  test('holds for every request, whether or not it names the task', async () => {
    const { chains } = sidecarOf(await delegated({ task: 'theirs' }, 4), { tasks });
    for (const named of ['theirs', undefined]) {
      const { task, authorization_details } = claimsOf(await chains.forRequest(named));
      expect([task, authorization_details]).toEqual(['theirs', [tasks.theirs]]);
    }
    await expect(chains.forRequest('mine')).rejects.toThrow('works for one task');
  });

  test('refuses requests where there is no room to say so', async () => {
    const { chains } = sidecarOf(await delegated({ task: 'theirs' }), {
      tasks,
      task: { header: 'x', lifetimeMinutes: 15, required: false },
    });
    await expect(chains.forRequest(undefined)).rejects.toThrow(/sign\.tasks/);
  });
});

describe('where the capability leaves room for', () => {
  const optional = { header: 'x-agent-task', lifetimeMinutes: 15, required: false };

  test('no link, requests are signed with the agent’s own key, a task is refused, and the log says so once', async () => {
    const bound = await rootOf({ maxDepth: 0 });
    const { chains, said } = sidecarOf(bound);
    for (let asked = 0; asked < 3; asked++) expect(await chains.forRequest(undefined)).toBe(bound);
    await expect(chains.forRequest('t')).rejects.toThrow(/--max-depth.*sign\.task\.required/);
    expect(said.map(({ msg }) => msg)).toEqual([expect.stringContaining('without sessions and tasks')]);
    expect(await sidecarOf(bound, { task: optional }).chains.forRequest('t')).toBe(bound);
    expect(await chains.delegable()).toBeUndefined();
  });

  test('one link, there is a session, a task is refused, and delegations go beside the session', async () => {
    const bound = await rootOf({ maxDepth: 1 });
    const { chains, said } = sidecarOf(bound);
    const session = await chains.forRequest(undefined);
    expect(session.chain).toHaveLength(2);
    await expect(chains.forRequest('t')).rejects.toThrow(TaskRefused);
    expect(said.filter(({ msg }) => msg.includes('tasks cannot be opened'))).toHaveLength(1);
    expect(claimsOf(await sidecarOf(bound, { task: optional }).chains.forRequest('t'))).not.toHaveProperty('task');
    // And end with it.
    expect(await chains.delegable()).toEqual({ ...bound, expiresAt: session.expiresAt });
  });

  test('five links, no chain is longer than six tokens', async () => {
    const { chains, said } = sidecarOf(await rootOf({ maxDepth: 5 }));
    expect((await chains.forRequest('t')).chain).toHaveLength(3);
    expect(await chains.delegable()).toBe(await chains.session());
    expect(said.map(({ msg }) => msg)).toEqual(['session opened']);
  });
});

test('a task whose link cannot be made is refused, never signed without it', async () => {
  const { chains, clock, said } = sidecarOf(await rootOf());
  const session = await chains.session();
  Object.defineProperty(session.key, 'keyObject', {
    get: () => {
      throw new Error('the key is gone');
    },
  });
  await expect(chains.forRequest('t')).rejects.toThrow(/could not be opened/);
  expect(said.at(-1)).toMatchObject({ level: 50, msg: 'task scope not opened' });
  clock.now += 4999;
  await expect(chains.forRequest('t')).rejects.toThrow(TaskRefused);
  expect(said.filter(({ msg }) => msg === 'task scope not opened')).toHaveLength(1);
});

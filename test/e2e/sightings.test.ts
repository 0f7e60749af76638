// Who gave what to whom, as the gateway saw it: an orchestrator and its sub-agent on their sidecars, drawn, narrowed, revoked and ended
// by the program's own commands; and the same asked of a vault.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hermesbridge, startWorld, type World } from '../../examples/quickstart/local-world.ts';
import type { SessionPage, TreeView } from '../../src/sightings/views.ts';
import { hb, hbJson } from '../cli/run-cli.ts';
import { type RegisteredWorld, startRegisteredWorld } from './registered-world.ts';

interface Trees {
  readonly trees: readonly TreeView[];
}

/** Sightings are written a moment after the answer. */
const soon = async <T>(look: () => Promise<T>, isThere: (found: T) => boolean): Promise<T> => {
  for (const until = Date.now() + 20_000; ; await sleep(200)) {
    const found = await look();
    if (isThere(found) || Date.now() > until) return found;
  }
};

describe('a gateway without a vault', () => {
  let world: World;
  let subDid: string;
  let subUrl: string;
  let store: string;
  let from: readonly string[];

  beforeAll(async () => {
    world = await startWorld({
      capability: ['--action', 'chat', '--model', 'openai/gpt-5*', '--max-depth', '4'],
      standIn: { pauseMs: 0 },
      sign: { delegation: { socket: 'run/delegate.sock' } },
    });
    store = join(world.directory, 'run/hermesbridge.db');
    from = ['--store', store];
    const key = join(world.directory, 'sub.jwk');
    subDid = String((await hermesbridge('keygen', '--out', key)).didKey);
    const capability = join(world.directory, 'sub.capability');
    const grant = ['--action', 'chat', '--model', 'openai/gpt-5-mini', '--max-output-tokens', '500'];
    const socket = join(world.directory, 'run/delegate.sock');
    await hermesbridge('delegate', '--socket', socket, '--to', subDid, ...grant, '--out', capability);
    const pair = await world.addSidecar('sub', { key: { file: key }, capability: { file: capability } });
    subUrl = pair.url;
  });
  afterAll(() => world?.stop());

  const chat = async (url: string, task?: string) => {
    const response = await fetch(`${url}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${world.localSecret}`,
        'content-type': 'application/json',
        ...(task !== undefined && { 'x-agent-task': task }),
      },
      body: JSON.stringify({ model: 'gpt-5-mini', max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] }),
    });
    await response.text();
    return response.status;
  };
  const links = async (id: string, ...more: readonly string[]) =>
    (await hbJson<Trees>(['tree', id, ...from, ...more])).value.trees?.flatMap((tree) => tree.links) ?? [];
  const revoke = (...words: readonly string[]) => [...words, ...from, '--key', world.files.operatorKey];

  test('nothing was seen before the first request', async () => {
    expect(await hb(['session', 'list', ...from])).toMatchObject({ code: 0, stdout: expect.stringContaining('no session') });
    expect(await hb(['tree', subDid, ...from])).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing was seen') });
  });

  test('the tree has who gave what to whom', { timeout: 90_000 }, async () => {
    expect([await chat(world.sidecarUrl, 'invoice-17'), await chat(subUrl)]).toEqual([200, 200]);
    const found = await soon(
      () => links(world.operatorDid),
      ({ length }) => length === 5,
    );
    expect(
      found.map(({ agent, depth, task, opensSession, delegates, state }) => [agent, depth, task, opensSession, delegates, state]),
    ).toEqual([
      [world.agentDid, 0, undefined, false, false, 'live'],
      [world.agentDid, 1, undefined, true, false, 'live'],
      ...found
        .slice(2)
        .map(({ task, depth }) =>
          task === undefined
            ? [subDid, depth, undefined, false, depth === 2, 'live']
            : [world.agentDid, 2, 'invoice-17', false, false, 'live'],
        ),
    ]);
    const [record] = world.records(1);
    expect(found.map(({ jti }) => jti)).toEqual(expect.arrayContaining(record?.jti as string[]));
    const { stdout, stderr, code } = await hb(['tree', subDid, ...from]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^operator ${world.operatorDid}\n└─ agent ${world.agentDid}  until `));
    expect(stdout).toMatch(
      new RegExp(`\n      └─ agent ${subDid}  until .*\n         │? +may: models openai/gpt-5-mini; at most 500 output tokens\n`),
    );
    expect(stdout).not.toContain('invoice-17');
  });

  test('a session is listed, shown and narrowed, which the tree says', { timeout: 90_000 }, async () => {
    const { value } = await hbJson<SessionPage>(['session', 'list', ...from, '--agent', world.agentDid]);
    expect(value.items).toMatchObject([{ agent: world.agentDid, state: 'live', tasks: 1, delegations: 1 }]);
    const sid = value.items[0]?.sid ?? '';
    const narrowed = await hb(revoke('session', 'narrow', sid, '--model', 'openai/gpt-5-nano', '--reason', 'too dear'));
    expect(narrowed, narrowed.stderr).toMatchObject({ code: 0 });
    expect(
      await soon(
        () => chat(subUrl),
        (status) => status === 403,
      ),
    ).toBe(403);
    const shown = await hb(['session', 'show', sid, ...from]);
    expect(shown.stdout).toMatch(
      /\nstate {6}narrowed\n[\s\S]*NARROWED[\s\S]*narrowed .* to: chat; models openai\/gpt-5-nano.*"too dear"/,
    );
    expect(await hb(['session', 'show', 'never-seen', ...from])).toMatchObject({ code: 1, stdout: '' });
    expect(await hb(['session', 'narrow', sid, ...from])).toMatchObject({ code: 2 });
  });

  test('after a revocation the tree shows the fall', { timeout: 90_000 }, async () => {
    await hb(revoke('revoke', 'agent', subDid, '--reason', 'laptop stolen'));
    const found = await links(subDid);
    expect(found.slice(2).map(({ state }) => state)).toEqual(['revoked', ...found.slice(3).map(() => 'fallen')]);
    const { stdout } = await hb(['tree', subDid, ...from]);
    expect(stdout).toMatch(new RegExp(`REVOKED[\\s\\S]*as agent ${subDid}, by ${world.operatorDid}, "laptop stolen"`));
    expect((await links(subDid, '--live')).map(({ agent }) => agent)).toEqual([world.agentDid, world.agentDid]);
    expect(await chat(subUrl)).toBe(401);
  });

  test('an ended session is over, and is listed no more', { timeout: 90_000 }, async () => {
    const { value } = await hbJson<SessionPage>(['session', 'list', ...from]);
    const sid = value.items[0]?.sid ?? '';
    expect(await hb(revoke('session', 'end', sid))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`revoked session ${sid}`),
    });
    expect(
      await soon(
        () => chat(world.sidecarUrl),
        (status) => status === 401,
      ),
    ).toBe(401);
    expect((await hbJson<SessionPage>(['session', 'list', ...from])).value.items).toEqual([]);
    const all = await hbJson<SessionPage>(['session', 'list', ...from, '--all']);
    expect(all.value.items).toMatchObject([{ sid, state: 'revoked' }]);
  });

  test('what was seen is there after the gateway was killed and started again', { timeout: 120_000 }, async () => {
    await world.restartGateway('SIGKILL');
    expect((await links(world.operatorDid)).length).toBe(5);
  });
});

describe('a vault with a gateway in its process', () => {
  let world: RegisteredWorld;
  beforeAll(async () => {
    world = await startRegisteredWorld();
  });
  afterAll(() => world?.stop());

  test('shows the operator its own, signed with the key of its home', { timeout: 120_000 }, async () => {
    expect(await world.chat()).toMatchObject({ status: 200 });
    // Its capability leaves no room for a session.
    expect(await world.operator('session', 'list', '--all')).toEqual({ items: [] });
    const { trees } = (await soon(
      () => world.operator('tree', 'reader').catch(() => ({ trees: [] })) as Promise<Trees>,
      (tree) => tree.trees.length > 0,
    )) as Trees;
    expect(trees).toMatchObject([{ kind: 'agent', id: world.agentDid, links: [{ operator: world.operatorDid, state: 'live' }] }]);
    await world.operator('revoke', 'agent', 'reader', '--reason', 'laptop stolen', '--wait');
    const after = (await world.operator('tree', 'reader')) as unknown as Trees;
    expect(after.trees[0]).toMatchObject({
      links: [{ state: 'revoked' }],
      restrictions: [{ reason: 'laptop stolen', by: world.operatorDid }],
    });
    const beside = await hb(['tree', world.agentDid, '--store', join(world.directory, 'run/hermesbridge.db')]);
    expect(beside).toMatchObject({ code: 1, stderr: expect.stringContaining('--vault') });
  });
});

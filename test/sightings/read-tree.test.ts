// Trees and sessions out of what was seen: which links are on a path, what restrictions make of them, and who sees whose.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSession, readSessions } from '../../src/sightings/read-sessions.ts';
import { readTree, type TreeWanted } from '../../src/sightings/read-tree.ts';
import type { SeenLink } from '../../src/sightings/sighting.ts';
import { AGENT, link, makeSeenWorld, NOW, OPERATOR, type SeenWorld } from './seen.ts';

const SUB = 'did:key:zSub';
let world: SeenWorld;
let root: SeenLink;
let session: SeenLink;
let task: SeenLink;
let delegation: SeenLink;
let further: SeenLink;

beforeEach(() => {
  world = makeSeenWorld();
  root = link(undefined);
  session = link(root, { sid: 'sid-1' });
  task = link(session, { task: 'invoice-17', iat: NOW - 50 });
  delegation = link(session, { agent: SUB, iat: NOW - 40 });
  further = link(delegation);
  world.see(root, session, task, delegation, further);
});
afterEach(() => world.close());

const tree = (changes: Partial<TreeWanted> = {}) =>
  readTree({ kind: 'agent', id: SUB, operator: undefined, live: false, depth: 5, limit: 100, ...changes }, world.sighted, NOW);
const tokens = async (changes?: Partial<TreeWanted>) => (await tree(changes)).links.map(({ token }) => token);
const states = async (changes?: Partial<TreeWanted>) =>
  Object.fromEntries((await tree(changes)).links.map(({ token, state }) => [token, state]));
const hashes = (...links: readonly SeenLink[]) => links.map(({ tokenHash }) => tokenHash);

describe('a tree', () => {
  test('is everything above and below, and nothing beside: from the root, depth first', async () => {
    expect(await tokens()).toEqual(hashes(root, session, delegation, further));
    const { links } = await tree();
    expect(links.map(({ matches }) => matches)).toEqual([false, false, true, true]);
    expect(links[2]).toMatchObject({ parent: session.tokenHash, depth: 2, delegates: true, opensSession: false, lastSeen: NOW });
  });

  test.each<[kind: TreeWanted['kind'], id: () => string, expected: () => string[]]>([
    ['operator', () => OPERATOR, () => hashes(root, session, task, delegation, further)],
    ['agent', () => AGENT, () => hashes(root, session, task, delegation, further)],
    ['session', () => 'sid-1', () => hashes(root, session, task, delegation, further)],
    ['task', () => 'invoice-17', () => hashes(root, session, task)],
    ['token', () => delegation.jti, () => hashes(root, session, delegation, further)],
    ['key', () => task.jkt, () => hashes(root, session, task)],
    ['task', () => 'sid-1', () => []],
  ])('is found by %s', async (kind, id, expected) => {
    expect(await tokens({ kind, id: id() })).toEqual(expected());
  });

  test('of one operator has nothing of another, whatever names they share', async () => {
    const other = link(undefined, { operator: 'did:key:zOther', agent: SUB });
    world.see(other, link(other, { sid: 'sid-1' }));
    expect(await tokens({ operator: OPERATOR })).toEqual(hashes(root, session, delegation, further));
    expect((await tree({ kind: 'session', id: 'sid-1', operator: 'did:key:zOther' })).links).toHaveLength(2);
    expect(await tokens({ kind: 'token', id: delegation.jti, operator: 'did:key:zOther' })).toEqual([]);
    expect(await tokens({ kind: 'operator', id: OPERATOR, operator: 'did:key:zOther' })).toEqual([]);
  });

  test('ends at the depth that was asked for, but has what matches', async () => {
    expect(await tokens({ kind: 'operator', id: OPERATOR, depth: 1 })).toEqual(hashes(root, session));
    expect(await tokens({ kind: 'token', id: delegation.jti, depth: 0 })).toEqual(hashes(root, session, delegation));
  });

  test('has no more links than fit, says so, and none without those above it', async () => {
    world.see(...Array.from({ length: 50 }, (_, at) => link(session, { task: `task-${at}` })));
    const { links, truncated } = await tree({ kind: 'operator', id: OPERATOR, limit: 10 });
    expect([links.length, truncated]).toEqual([10, true]);
    const shown = new Set(links.map(({ token }) => token));
    expect(links.every(({ parent }) => parent === undefined || shown.has(parent))).toBe(true);
    expect((await tree({ kind: 'operator', id: OPERATOR, limit: 100 })).truncated).toBe(false);
  });

  test('is bounded in characters as well', async () => {
    const models = Array.from({ length: 80 }, (_, at) => `openai/${'m'.repeat(200)}${at}`);
    const details = { ...root.details, models };
    world.see(...Array.from({ length: 100 }, (_, at) => link(session, { task: `large-${at}`, details })));
    const { links, truncated } = await tree({ kind: 'operator', id: OPERATOR, limit: 1000 });
    expect(truncated).toBe(true);
    expect(JSON.stringify(links).length).toBeLessThan(1_200_000);
  });

  test('leaves out what hangs in the air: nobody could judge it', async () => {
    const lost = link(link(undefined, { agent: SUB }));
    world.see(lost);
    expect(await tokens()).toEqual(hashes(root, session, delegation, further));
  });
});

describe('what restrictions make of it', () => {
  test('what is below something revoked has fallen with it, beside it nothing has', async () => {
    const id = world.restrict({ target: { kind: 'agent', value: SUB }, reason: 'stolen' });
    expect(await states({ kind: 'operator', id: OPERATOR })).toEqual({
      [root.tokenHash]: 'live',
      [session.tokenHash]: 'live',
      [task.tokenHash]: 'live',
      [delegation.tokenHash]: 'revoked',
      [further.tokenHash]: 'fallen',
    });
    const { links, restrictions } = await tree();
    expect(restrictions).toEqual([
      { id, effect: 'revoke', target: { agent: SUB }, by: OPERATOR, at: NOW - 10, reason: 'stolen' },
    ]);
    expect(links.slice(2).map(({ revokedBy }) => revokedBy)).toEqual([id, id]);
    expect(await tokens({ live: true })).toEqual(hashes(root, session));
  });

  test('an issuer’s key counts below its own link only, and who has no say counts nowhere', async () => {
    const by = `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${task.jkt}`;
    world.restrict({ target: { kind: 'agent', value: SUB }, by });
    world.restrict({ target: { kind: 'operator', value: OPERATOR }, by: 'did:key:zSomebody' });
    expect(new Set(Object.values(await states({ kind: 'operator', id: OPERATOR })))).toEqual(new Set(['live']));
    world.restrict({ target: { kind: 'agent', value: SUB }, by: by.replace(task.jkt, session.jkt) });
    expect((await states())[delegation.tokenHash]).toBe('revoked');
  });

  test('of one that is narrowed and revoked it says revoked; of a narrowed one by what', async () => {
    const details = { type: 'llm_access' as const, actions: ['embed' as const] };
    const id = world.restrict({ effect: 'narrow', details, target: { kind: 'session', value: 'sid-1' } });
    const { links, restrictions } = await tree();
    expect(links.map(({ state, narrowedBy }) => [state, narrowedBy])).toEqual([
      ['live', []],
      ['narrowed', [id]],
      ['narrowed', [id]],
      ['narrowed', [id]],
    ]);
    expect(restrictions).toMatchObject([{ id, effect: 'narrow', details }]);
    world.restrict({ effect: 'lift', lifts: id, target: { kind: 'session', value: 'sid-1' } } as never);
    expect((await states())[session.tokenHash]).toBe('live');
  });

  test('an expired link is expired, and not in force', async () => {
    const old = link(session, { agent: SUB, exp: NOW });
    world.see(old);
    expect((await states())[old.tokenHash]).toBe('expired');
    expect(await tokens({ live: true })).not.toContain(old.tokenHash);
  });
});

describe('sessions', () => {
  const query = { operator: undefined, agent: undefined, all: false, limit: 50, after: undefined };
  const sids = async (changes: object = {}) =>
    (await readSessions({ ...query, ...changes }, world.sighted, NOW)).items.map(({ sid }) => sid);

  test('are the links that open them, with what is in them', async () => {
    const { items } = await readSessions(query, world.sighted, NOW);
    expect(items).toMatchObject([
      { sid: 'sid-1', agent: AGENT, token: session.tokenHash, tasks: 1, delegations: 1, state: 'live' },
    ]);
  });

  test('are live by default: neither expired nor revoked, nor fallen', async () => {
    const gone = link(undefined, { agent: 'did:key:zGone' });
    world.see(link(root, { sid: 'old', exp: NOW - 1 }), link(root, { sid: 'ended' }), gone, link(gone, { sid: 'fallen' }));
    world.restrict({ target: { kind: 'session', value: 'ended' } });
    world.restrict({ target: { kind: 'agent', value: 'did:key:zGone' } });
    expect(await sids()).toEqual(['sid-1']);
    expect((await sids({ all: true })).toSorted()).toEqual(['ended', 'fallen', 'old', 'sid-1']);
  });

  test('come in pages, each once, although many in between are revoked', async () => {
    for (let at = 0; at < 30; at++) world.see(link(root, { sid: `s-${at}`, exp: NOW + 100 + (at % 3) }));
    for (let at = 0; at < 30; at += 2) world.restrict({ target: { kind: 'session', value: `s-${at}` } });
    const found: string[] = [];
    let after: Awaited<ReturnType<typeof readSessions>>['next'];
    do {
      const page = await readSessions({ ...query, limit: 4, after }, world.sighted, NOW);
      expect(page.items.length).toBeLessThanOrEqual(4);
      found.push(...page.items.map(({ sid }) => sid));
      after = page.next;
    } while (after !== undefined);
    expect(found).toHaveLength(16);
    expect(new Set(found).size).toBe(16);
  });

  test('are those of one operator and one agent, where that is asked for', async () => {
    const other = link(undefined, { operator: 'did:key:zOther', agent: SUB });
    world.see(other, link(other, { sid: 'theirs' }), link(delegation, { sid: 'sid-1' }));
    expect(await sids({ operator: 'did:key:zOther' })).toEqual(['theirs']);
    expect(await sids({ operator: OPERATOR, agent: SUB })).toEqual([]);
    expect(await sids({ agent: SUB })).toEqual(['theirs']);
  });

  test('one is shown once for each link that opens it, since agents name them', async () => {
    const another = link(undefined, { agent: SUB });
    const twin = link(another, { sid: 'sid-1' });
    world.see(another, twin);
    expect(await readSession('sid-2', { operator: undefined, limit: 100 }, world.sighted, NOW)).toBeUndefined();
    const { sessions, links } =
      (await readSession('sid-1', { operator: undefined, limit: 100 }, world.sighted, NOW)) ?? expect.fail('not found');
    expect(sessions.map(({ token }) => token).toSorted()).toEqual(hashes(session, twin).toSorted());
    expect(links).toHaveLength(7);
  });
});

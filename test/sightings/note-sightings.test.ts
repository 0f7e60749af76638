// Who makes a sighting: the holder of a chain's key by a request that was not seen before, and nobody else; once, and then rarely.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeSightingNotes } from '../../src/sightings/note-sightings.ts';
import type { SeenLink } from '../../src/sightings/sighting.ts';
import { attempt, type Holder, mintBelow, mintRoot, newHolder, toWire } from '../attacks/attacker.ts';
import { type Gate, openGate } from '../attacks/gate.ts';

let directory: string;
let gate: Gate;
let operator: Holder;
let agent: Holder;
let now: number;
let noted: { links: readonly SeenLink[]; at: number }[];
let fail: boolean;
let errors: unknown[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hb-note-'));
  [operator, agent, now, noted, errors, fail] = [newHolder(), newHolder(), Date.now(), [], [], false];
  const sink = {
    note: (links: readonly SeenLink[], at: number) => {
      if (fail) throw new Error('sink is broken');
      noted.push({ links, at });
    },
  };
  gate = await openGate({
    operator,
    directory,
    clock: () => now,
    noteSighting: makeSightingNotes({ sink, clock: () => now, onError: (error) => errors.push(error) }),
  });
});
afterEach(async () => {
  await gate.close();
  rmSync(directory, { recursive: true, force: true });
});

const root = () => mintRoot(operator, agent, { claims: { del_max_depth: 4 } });

describe('a sighting', () => {
  test('has each link of the chain, with what it says', async () => {
    const token = root();
    const session = newHolder();
    const held = mintBelow({ token, holder: agent }, session, { claims: { sid: 'sid-1' } });
    const capability = `"${token}", "${held.token}"`;
    expect(await gate.check(toWire(attempt(session, held.token, { capability })))).toMatchObject({ allowed: true });
    const [{ links, at } = expect.fail('nothing was noted')] = noted;
    expect(at).toBe(Math.floor(now / 1000));
    expect(links.map(({ agent: who, depth, sid, opensSession, parent }) => [who, depth, sid, opensSession, parent])).toEqual([
      [agent.did, 0, undefined, false, undefined],
      [agent.did, 1, 'sid-1', true, links[0]?.tokenHash],
    ]);
    expect(links[0]).toMatchObject({
      operator: operator.did,
      rootAgent: agent.did,
      jkt: agent.jkt,
      details: { type: 'llm_access' },
    });
  });

  test('is made once a minute, also of a request that is denied for what it asks', async () => {
    const token = root();
    expect((await gate.check(toWire(attempt(agent, token)))).allowed).toBe(true);
    await gate.check(toWire(attempt(agent, token)));
    expect(noted).toHaveLength(1);
    now += 61_000;
    const target = '/openai/v1/nothing/of/this';
    expect((await gate.check(toWire(attempt(agent, token, { target })))).allowed).toBe(false);
    expect(noted).toHaveLength(2);
  });

  test('is of no matter to the answer', async () => {
    fail = true;
    expect((await gate.check(toWire(attempt(agent, root())))).allowed).toBe(true);
    expect(errors).toHaveLength(1);
  });

  test('that could not be noted is tried again with the next request', async () => {
    const token = root();
    fail = true;
    await gate.check(toWire(attempt(agent, token)));
    fail = false;
    await gate.check(toWire(attempt(agent, token)));
    expect(noted).toHaveLength(1);
  });
});

describe('no sighting is made', () => {
  test('by a stranger: with a chain that was overheard, and any signature but its holder’s', async () => {
    const good = toWire(attempt(agent, root()));
    const stranger = newHolder();
    const theirs = toWire(attempt({ ...stranger, jkt: agent.jkt }, root()));
    expect(await gate.check(theirs)).toMatchObject({ allowed: false, reason: 'signature-invalid' });
    const unknown = newHolder();
    const own = mintRoot(unknown, stranger);
    expect(await gate.check(toWire(attempt(stranger, own)))).toMatchObject({ allowed: false, reason: 'chain-invalid' });
    expect(noted).toEqual([]);
    expect((await gate.check(good)).allowed).toBe(true);
    expect(noted).toHaveLength(1);
  });

  test('by one who repeats what its holder sent, or sends it with another body', async () => {
    const wire = toWire(attempt(agent, root()));
    expect(await gate.check({ ...wire, body: Buffer.from('{}') } as never)).toMatchObject({ allowed: false });
    expect(noted).toEqual([]);
    expect((await gate.check(wire)).allowed).toBe(true);
    noted = [];
    now += 61_000;
    expect(await gate.check(wire)).toMatchObject({ allowed: false });
    expect(noted).toEqual([]);
  });
});

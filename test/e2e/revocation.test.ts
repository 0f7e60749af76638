// Revocation as an operator does it: a vault and a gateway in one process behind their Envoys, the sidecar's agent allowed, narrowed,
// allowed again and revoked, each by one command, and each in force when the command returns.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hbJson } from '../cli/run-cli.ts';
import { type RegisteredWorld, startRegisteredWorld } from './registered-world.ts';

let world: RegisteredWorld;
beforeAll(async () => {
  world = await startRegisteredWorld();
});
afterAll(() => world?.stop());

test('what a command has put in force is in force when it returns', { timeout: 120_000 }, async () => {
  expect(await world.chat()).toMatchObject({ status: 200 });
  const narrowed = await world.operator('narrow', 'agent', 'reader', '--action', 'embed', '--wait');
  expect(narrowed).toMatchObject({ acknowledged: true, followers: 1 });
  expect(await world.chat()).toEqual({ status: 403, reason: 'capability-insufficient' });
  await world.operator('narrow', '--lift', String(narrowed.id), '--wait');
  expect(await world.chat()).toMatchObject({ status: 200 });
  const revoked = await world.operator('revoke', 'agent', 'reader', '--reason', 'laptop stolen', '--wait');
  expect(await world.chat()).toEqual({ status: 401, reason: 'revoked' });
  expect(world.records(1)).toMatchObject([
    { effect: 'deny', reason: 'revoked', restriction: revoked.id, restriction_high_water: 3, agents: [world.agentDid] },
  ]);
  const listed = (await world.operator('restrictions', 'list')) as unknown as { effect: string }[];
  expect(listed.map(({ effect }) => effect)).toEqual(['narrow', 'lift', 'revoke']);
  const store = join(world.directory, 'run/vault.db');
  const log = join(world.directory, 'operator/did.jsonl');
  expect(await hbJson(['restrictions', 'verify', '--store', store, '--log', log])).toMatchObject({
    code: 0,
    value: { count: 3 },
  });
});

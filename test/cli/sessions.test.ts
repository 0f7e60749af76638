// `session` and `tree` on a gateway's store as a user runs them, and what they say where there is nothing to read.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportPrivateJwk, generatePrivateKey } from '../../src/crypto/private-key.ts';
import type { SessionPage, TreeView } from '../../src/sightings/views.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { SqliteSightingStore } from '../../src/stores/sqlite/sightings/sighting-store.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { link } from '../sightings/seen.ts';
import { hb, hbJson } from './run-cli.ts';
import { makeVaultWorld, operatorHome, type VaultWorld } from './vault-world.ts';

const administrator = generatePrivateKey('Ed25519');
const [operator, other] = [generatePrivateKey('Ed25519'), generatePrivateKey('Ed25519')].map((key) => didKeyOf(key.publicKey));
const agent = didKeyOf(generatePrivateKey('Ed25519').publicKey);
let world: VaultWorld;
let store: string;
let key: string;

beforeAll(async () => {
  world = await makeVaultWorld();
  const directory = join(world.directory, 'gateway');
  mkdirSync(directory);
  store = join(directory, 'hermesbridge.db');
  key = join(directory, 'administrator.jwk');
  writeFileSync(key, JSON.stringify(exportPrivateJwk(administrator)), { mode: 0o600 });
  await (await SqliteRestrictionStore.open(`${store}-restrictions`)).close();
  const sightings = await SqliteSightingStore.open({
    file: `${store}-sightings`,
    limits: { keepSeconds: 3600, maxLinks: 1000, maxLinksPerAgent: 1000 },
    facts: { administrators: [didKeyOf(administrator.publicKey)] },
    gateway: 'gateway.local',
    clock: Date.now,
    onLost: () => {},
  });
  const now = Math.floor(Date.now() / 1000);
  for (const [of, names] of [
    [operator ?? '', ['s-1', 's-2', 's-3']],
    [other ?? '', ['s-1']],
  ] as const) {
    const root = link(undefined, { operator: of, agent, rootAgent: agent, iat: now - 10, exp: now + 3600 });
    for (const [at, sid] of names.entries()) {
      const session = link(root, { sid, exp: now + 3000 - at });
      sightings.note([root, session, link(session, { task: 's-2' })], now);
    }
  }
  await sightings.close();
});
afterAll(() => world.stop());

const from = () => ['--store', store];

describe('with a store', () => {
  test('sessions are listed page by page, for one operator or all', { timeout: 60_000 }, async () => {
    const of = ['--operator', operator ?? ''];
    const first = await hbJson<SessionPage>(['session', 'list', ...from(), ...of, '--limit', '2']);
    expect(first.value.items.map(({ sid }) => sid)).toEqual(['s-1', 's-2']);
    expect(first.stderr).toContain(`--cursor ${first.value.next}`);
    const rest = ['session', 'list', ...from(), ...of, '--cursor', first.value.next ?? ''];
    expect(await hb(rest)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/^s-3 {2}live {2}did:key:.* {2}tasks 1\n$/),
    });
    expect((await hbJson<SessionPage>(['session', 'list', ...from()])).value.items).toHaveLength(4);
    expect(await hb(['session', 'list', ...from(), '--cursor', 'x'])).toMatchObject({ code: 2 });
    expect(await hb(['session', 'list', ...from(), '--limit', '0'])).toMatchObject({ code: 2 });
  });

  test('an id that could be several things is shown as each of them, or as what --kind says', { timeout: 60_000 }, async () => {
    const { value } = await hbJson<{ trees: TreeView[] }>(['tree', 's-2', ...from()]);
    expect(value.trees.map(({ kind }) => kind)).toEqual(['session', 'task']);
    const one = await hbJson<{ trees: TreeView[] }>(['tree', 's-2', '--kind', 'session', ...from(), '--depth', '1']);
    expect(one.value.trees.map(({ kind, links }) => [kind, links.length])).toEqual([['session', 3]]);
    expect(await hb(['tree', 's-2', '--depth', '6', ...from()])).toMatchObject({ code: 2 });
    expect(await hb(['tree', 's-2', '--kind', 'user', ...from()])).toMatchObject({ code: 2 });
  });

  test('what an administrator revoked is revoked here too: the store knows whose word counts', { timeout: 60_000 }, async () => {
    expect(await hb(['session', 'end', 's-1', ...from(), '--key', key, '--reason', 'över'])).toMatchObject({ code: 0 });
    const { value } = await hbJson<SessionPage>(['session', 'list', ...from(), '--all']);
    expect(value.items.map(({ sid, state }) => [sid, state])).toEqual(
      expect.arrayContaining([
        ['s-1', 'revoked'],
        ['s-2', 'live'],
      ]),
    );
    const shown = await hb(['session', 'show', 's-1', ...from()]);
    expect(shown.stdout.match(/REVOKED/g)).toHaveLength(2);
    expect(shown.stdout).toContain('"över"');
  });

  test('one that is not there, or keeps none, says what to name', { timeout: 60_000 }, async () => {
    for (const words of [
      ['session', 'list'],
      ['session', 'show', 's-1'],
      ['tree', 's-1'],
    ])
      expect(await hb([...words, '--store', `${store}-other`])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining('verify.store.file'),
      });
  });
});

describe('with a vault', () => {
  test('that has no gateway, it says so; to a stranger and without a vault, what to do', { timeout: 90_000 }, async () => {
    const acme = operatorHome(world, 'acme');
    const init = await acme.json<{ did: string }>(['operator', 'init', '--name', 'acme', '--vault', world.origin]);
    await world.serve([init.value.did]);
    expect(await acme.run(['operator', 'publish'])).toMatchObject({ code: 0 });
    for (const words of [
      ['session', 'list'],
      ['session', 'show', '..'],
      ['tree', 's-1'],
    ])
      expect(await acme.run(words)).toMatchObject({ code: 1, stderr: expect.stringContaining('--store') });
    expect(await acme.run(['tree', 's-1', '--key', key])).toMatchObject({ code: 1, stderr: expect.stringContaining('401') });
    await world.halt();
    expect(await acme.run(['session', 'list'])).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be reached') });
  });
});

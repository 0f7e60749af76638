// `revoke`, `narrow` and `restrictions`, as an operator runs them: against a vault, and on the store of a gateway without one.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportPrivateJwk, generatePrivateKey } from '../../src/crypto/private-key.ts';
import { lockStore } from '../../src/stores/sqlite/database.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { hb, hbJson } from './run-cli.ts';
import { makeVaultWorld, type OperatorHome, operatorHome, type VaultWorld } from './vault-world.ts';

interface Shown {
  readonly id: string;
  readonly sequence: number;
  readonly effect: string;
  readonly target: Record<string, string>;
  readonly by: string;
  readonly before?: number;
  readonly reason: string;
}

let world: VaultWorld;
let acme: OperatorHome;
let did: string;
const agent = didKeyOf(generatePrivateKey('Ed25519').publicKey);

beforeAll(async () => {
  world = await makeVaultWorld();
  acme = operatorHome(world, 'acme');
  did = (await acme.json<{ did: string }>(['operator', 'init', '--name', 'acme', '--vault', world.origin])).value.did;
  await world.serve([did]);
  expect(await acme.run(['operator', 'publish'])).toMatchObject({ code: 0 });
});
afterAll(() => world.stop());

const listed = async () => (await acme.json<Shown[]>(['restrictions', 'list'])).value;

describe('with a vault', () => {
  test('revoke signs with the key of the home, and list shows it', async () => {
    const { code, value } = await acme.json<{ id: string; sequence: number }>([
      'revoke',
      'agent',
      agent,
      '--reason',
      'laptop stolen',
    ]);
    expect({ code, value }).toEqual({ code: 0, value: { id: expect.stringMatching(/^[\w-]{22}$/), sequence: 1 } });
    expect(await listed()).toMatchObject([
      { id: value.id, effect: 'revoke', target: { agent }, by: did, reason: 'laptop stolen' },
    ]);
    const { stdout } = await acme.run(['restrictions', 'list']);
    expect(stdout).toMatch(new RegExp(`^1  \\d{4}-.*Z  revoke  agent ${agent}  by did:webvh:.*"laptop stolen"\n$`));
  });

  test('--before says until when roots are meant', async () => {
    await acme.run(['revoke', 'operator', did, '--before', '2026-05-04T10:00:00Z']);
    expect((await listed()).at(-1)).toMatchObject({ target: { operator: did }, before: 1_777_888_800 });
    expect(await acme.run(['revoke', 'operator', did, '--before', 'tomorrow'])).toMatchObject({ code: 2 });
  });

  test('narrow says what stays allowed, and --lift ends it', async () => {
    const words = ['narrow', 'session', 's-1', '--action', 'chat', '--model', 'openai/gpt-5-nano', '--no-tools'];
    const { value } = await acme.json<{ id: string }>(words);
    expect((await listed()).at(-1)).toMatchObject({
      effect: 'narrow',
      target: { session: 's-1' },
      details: { actions: ['chat'], models: ['openai/gpt-5-nano'], tools: [] },
    });
    expect(await acme.run(['narrow', '--lift', value.id])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('lifted the narrowing of session s-1'),
    });
    expect((await listed()).at(-1)).toMatchObject({ effect: 'lift', lifts: value.id, target: { session: 's-1' } });
    const [first] = await listed();
    expect(await acme.run(['narrow', '--lift', first?.id ?? ''])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('for good'),
    });
    expect(await acme.run(['narrow', '--lift', 'AAAAAAAAAAAAAAAAAAAAAA'])).toMatchObject({ code: 1 });
    expect(await acme.run(['narrow', 'session', 's-1'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('what stays allowed'),
    });
    expect(await acme.run(['narrow'])).toMatchObject({ code: 2 });
  });

  test('--wait returns when every gateway has it, and fails naming the one that has not', { timeout: 60_000 }, async () => {
    let applied = Number.POSITIVE_INFINITY;
    const leave = world.followers.addLocal('gateway-1', () => applied);
    const has = await acme.json<{ acknowledged: boolean; followers: number }>(['revoke', 'task', 't-1', '--wait']);
    expect(has).toMatchObject({ code: 0, value: { acknowledged: true, followers: 1 } });
    applied = 0;
    const hasNot = await acme.json<{ missing: string[] }>(['revoke', 'task', 't-2', '--wait']);
    expect(hasNot).toMatchObject({ code: 1, value: { acknowledged: false, missing: ['gateway-1'] } });
    leave();
  });

  test('someone whom the vault does not know is refused, with what to do', async () => {
    const file = join(world.directory, 'stranger.jwk');
    writeFileSync(file, JSON.stringify(exportPrivateJwk(generatePrivateKey('Ed25519'))), { mode: 0o600 });
    const words = ['revoke', 'agent', agent, '--key', file, '--vault', world.origin, ...world.reach];
    expect(await hb(words)).toMatchObject({ code: 1, stderr: expect.stringContaining('403') });
    const before = (await listed()).length;
    expect(await hb([...words, '--by', `${did}#key-1`])).toMatchObject({ code: 1, stderr: expect.stringContaining('401') });
    expect(await hb([...words, '--by', did])).toMatchObject({ code: 2 });
    expect(await listed()).toHaveLength(before);
  });

  test('an agent of the home goes by its name', async () => {
    expect(await acme.run(['revoke', 'agent', 'nobody'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('neither a DID nor an agent'),
    });
    const grant = ['--audience', 'gateway.example', '--model', 'openai/gpt-5*'];
    const registered = await acme.json<{ did: string }>(['agent', 'register', 'reader', ...grant]);
    expect(registered.code, registered.stderr).toBe(0);
    expect(await acme.run(['revoke', 'agent', 'reader'])).toMatchObject({ code: 0 });
    expect((await listed()).at(-1)).toMatchObject({ target: { agent: registered.value.did } });
  });

  test('restrictions verify holds the whole store against the log of its author', async () => {
    const store = join(world.directory, 'vault.db');
    const log = join(acme.home, 'did.jsonl');
    const held = await hbJson<{ count: number }>(['restrictions', 'verify', '--store', store, '--log', log]);
    expect(held).toMatchObject({ code: 0, value: { valid: true, problems: [] } });
    expect(held.value.count).toBe((await listed()).length);
    expect(await hb(['restrictions', 'verify', '--store', store])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('--log'),
    });
  });

  test('the key of before a rotation still verifies for what it signed', async () => {
    expect(await acme.run(['operator', 'rotate', '--overlap', '0s'])).toMatchObject({ code: 0 });
    expect(await acme.run(['revoke', 'token', 'after-rotation'])).toMatchObject({ code: 0 });
    const words = ['restrictions', 'verify', '--store', join(world.directory, 'vault.db'), '--log', join(acme.home, 'did.jsonl')];
    expect(await hb(words)).toMatchObject({ code: 0 });
  });

  test('without a vault that answers it says so', async () => {
    await world.halt();
    expect(await acme.run(['revoke', 'token', 'x'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot be reached'),
    });
    await world.serve([did]);
  });
});

describe('with a store', () => {
  let store: string;
  let key: string;

  beforeAll(async () => {
    const directory = join(world.directory, 'gateway');
    mkdirSync(directory);
    store = join(directory, 'hermesbridge.db');
    key = join(directory, 'operator.jwk');
    writeFileSync(key, JSON.stringify(exportPrivateJwk(generatePrivateKey('Ed25519'))), { mode: 0o600 });
    await (await SqliteRestrictionStore.open(`${store}-restrictions`)).close();
  });

  test('revoke writes into it, list and verify read it', async () => {
    expect(await hb(['revoke', 'token', 'jti-1', '--store', store, '--key', key])).toMatchObject({ code: 0 });
    const { value } = await hbJson<Shown[]>(['restrictions', 'list', '--store', store]);
    expect(value).toMatchObject([{ sequence: 1, target: { token: 'jti-1' }, by: expect.stringMatching(/^did:key:/) }]);
    expect(await hb(['restrictions', 'verify', '--store', store])).toMatchObject({ code: 0, stdout: '1 restrictions hold\n' });
  });

  test.each([
    ['token', 'jti-1', 'a jti has 22 characters or more'],
    ['agent', 'did:webvh:foo', 'no chain can name this agent'],
    ['operator', 'did:key:zzz', 'no chain can name this operator'],
  ])('what no chain can name is told: %s %s', async (kind, id, said) => {
    const copy = `${store}-told`;
    await (await SqliteRestrictionStore.open(`${copy}-restrictions`)).close();
    const { code, stderr } = await hb(['revoke', kind, id, '--store', copy, '--key', key]);
    expect([code, stderr]).toEqual([0, expect.stringContaining(said)]);
    const real = await hb(['revoke', 'token', 'AAAAAAAAAAAAAAAAAAAAAA', '--store', copy, '--key', key]);
    expect(real).toMatchObject({ code: 0, stderr: '' });
  });

  test('--wait is for a vault, and nothing is written then; --vault and --store are not both', async () => {
    expect(await hb(['revoke', 'token', 'x', '--store', store, '--key', key, '--wait'])).toMatchObject({ code: 2 });
    expect(await hb(['revoke', 'token', 'x', '--store', store, '--vault', world.origin, '--key', key])).toMatchObject({
      code: 2,
    });
    expect((await hbJson<Shown[]>(['restrictions', 'list', '--store', store])).value).toHaveLength(1);
  });

  test('a store that is not there is not made', async () => {
    const words = ['revoke', 'token', 'x', '--store', `${store}-other`, '--key', key];
    expect(await hb(words)).toMatchObject({ code: 1, stderr: expect.stringContaining('does not exist') });
  });

  test('verify finds what was changed behind its back', async () => {
    await hb(['revoke', 'token', 'jti-2', '--store', store, '--key', key]);
    const database = new DatabaseSync(`${store}-restrictions`);
    database.exec('DROP TRIGGER revocations_update; UPDATE revocations SET before = 5 WHERE sequence = 1');
    database.exec("DROP TRIGGER restrictions_update; UPDATE restrictions SET jws = replace(jws, '.', '.e') WHERE sequence = 2");
    database.close();
    const { code, value } = await hbJson<{ problems: string[] }>(['restrictions', 'verify', '--store', store]);
    expect(code).toBe(1);
    expect(value.problems.join('\n')).toMatch(/number 2 is not what was added[\s\S]*number 1 is not in force as it says/);
  });

  test('restored gives the store another epoch', async () => {
    const first = await hbJson<{ epoch: string }>(['restrictions', 'restored', '--store', store]);
    const second = await hbJson<{ epoch: string }>(['restrictions', 'restored', '--store', store]);
    expect(first).toMatchObject({ code: 0, value: { epoch: expect.stringMatching(/^[\w-]{22}$/) } });
    expect(second.value.epoch).not.toBe(first.value.epoch);
    const lock = lockStore(store);
    const third = await hb(['restrictions', 'restored', '--store', store]);
    expect(third).toMatchObject({ code: 1, stderr: expect.stringContaining('in use by another hermesbridge') });
    lock.close();
  });
});

// The life of an operator, by the commands that a user types, against a real vault.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseRootToken } from '../../src/token/capability-token.ts';
import { eachOf, hb } from './run-cli.ts';
import { makeVaultWorld, type OperatorHome, operatorHome, type VaultWorld } from './vault-world.ts';

interface Key {
  id: string;
  thumbprint: string;
  expires?: string;
}
interface Shown {
  did: string;
  versionId: string;
  unpublished: number;
  keys: Key[];
  agents: number;
}
interface Rotation {
  did: string;
  versionId: string;
  key: Key;
  old: Key[];
  reissued: string[];
  left: { agent: string; why: string }[];
}

let world: VaultWorld;
let acme: OperatorHome;
let did: string;
const init = (home: OperatorHome, name: string, ...options: string[]) =>
  home.json<{ did: string; backUp: string }>(['operator', 'init', '--name', name, '--vault', world.origin, ...options]);
const show = async (home = acme) => (await home.json<Shown>(['operator', 'show'])).value;
const read = (home: OperatorHome, name: string) => readFileSync(join(home.home, name), 'utf8');
const issuer = (home: OperatorHome, agent: string) => parseRootToken(read(home, `agents/${agent}/capability`).trim()).header.kid;

beforeAll(async () => {
  world = await makeVaultWorld();
  acme = operatorHome(world, 'acme');
  did = (await init(acme, 'acme')).value.did;
  await world.serve([did]);
});
afterAll(() => world.stop());

const COMMANDS = [
  ...['init', 'publish', 'show', 'rotate', 'recover'].map((name) => `operator ${name}`),
  ...['register', 'list', 'show', 'history', 'rotate', 'renew', 'deactivate'].map((name) => `agent ${name}`),
  ...['resolve', 'verify'].map((name) => `did ${name}`),
];

describe('every command', { timeout: 120_000 }, () => {
  it('has help with an example, and says nothing else', async () => {
    await eachOf(COMMANDS, async (command) => {
      const { code, stdout, stderr } = await hb([...command.split(' '), '--help']);
      expect([code, stderr], command).toEqual([0, '']);
      expect(stdout, command).toMatch(new RegExp(`\nExample:\n  hermesbridge ${command} `));
      expect(stdout, command).toContain('--json');
    });
    for (const group of ['operator', 'agent'])
      expect(await hb([group])).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringContaining(`Usage: hermesbridge ${group}`),
      });
  });
});

describe('operator init', { timeout: 120_000 }, () => {
  it('makes keys that only their owner can read, and says what to back up and where the DID belongs', async () => {
    const home = operatorHome(world, 'other');
    const { code, stdout, stderr } = await home.run(['operator', 'init', '--name', 'other', '--vault', world.origin]);
    expect([code, stderr]).toEqual([0, '']);
    const made = JSON.parse(read(home, 'operator.json')) as { did: string };
    expect(made.did).toMatch(/^did:webvh:Qm\w{44}:service\.test%3A\d+:operators:other$/);
    expect(stdout).toContain(`Back up ${join(home.home, 'recovery.key')} now`);
    const [snippet = ''] = /control:[\s\S]*?\n\n/.exec(stdout) ?? [];
    expect(parse(snippet)).toEqual({
      control: { operators: [made.did] },
      verify: { trust: { operators: [{ did: made.did }] } },
    });
    for (const name of readdirSync(home.home)) expect(statSync(join(home.home, name)).mode & 0o777, name).toBe(0o600);
    expect(statSync(home.home).mode & 0o777).toBe(0o700);
    for (const secret of ['recovery.key', 'signing.jwk']) expect(stdout).not.toContain(read(home, secret).trim());
    expect(await hb(['did', 'verify', join(home.home, 'did.jsonl'), '--did', made.did])).toMatchObject({ code: 0 });
  });

  it.each(['ES256', 'PS256'])('makes a signing key for %s that the vault takes', async (algorithm) => {
    const home = operatorHome(world, algorithm);
    const made = await init(home, algorithm.toLowerCase(), '--algorithm', algorithm);
    expect(JSON.parse(read(home, 'signing.jwk'))).toMatchObject({ alg: algorithm });
    await world.serve([did, made.value.did]);
    expect(await home.json(['operator', 'publish'])).toMatchObject({ code: 0, value: { published: true } });
  });

  it('goes on where it was cut short, with the keys that are there', async () => {
    const home = operatorHome(world, 'cut');
    await init(home, 'cut');
    const before = [read(home, 'recovery.key'), read(home, 'signing.jwk')];
    rmSync(join(home.home, 'operator.json'));
    rmSync(join(home.home, 'did.jsonl'));
    expect(await init(home, 'cut')).toMatchObject({ code: 0 });
    expect([read(home, 'recovery.key'), read(home, 'signing.jwk')]).toEqual(before);
  });

  it('replaces no operator, and with --force loses none', async () => {
    const home = operatorHome(world, 'twice');
    const first = (await init(home, 'twice')).value.did;
    const again = await home.run(['operator', 'init', '--name', 'twice', '--vault', world.origin]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/holds the operator did:webvh:.*--home.*--force/)]);
    const before = read(home, 'recovery.key');
    const second = (await init(home, 'twice', '--force')).value.did;
    expect(second).not.toBe(first);
    const [aside = ''] = readdirSync(home.home).filter((name) => name.startsWith('replaced-'));
    expect(read(home, `${aside}/recovery.key`)).toBe(before);
    expect(read(home, 'recovery.key')).not.toBe(before);
    expect(JSON.parse(read(home, `${aside}/operator.json`))).toMatchObject({ did: first });
  });

  it('says what is wrong, and makes nothing then', async () => {
    const wrong: [words: string[], code: number, why: RegExp][] = [
      [['--name', 'Acme', '--vault', world.origin], 1, /"Acme" is no name/],
      [['--name', '-', '--vault', world.origin], 1, /is no name/],
      [['--name', 'a', '--vault', 'http://vault.example'], 1, /is no vault: give its origin/],
      [['--name', 'a', '--vault', 'https://vault.example/path'], 1, /is no vault/],
      [['--name', 'a', '--vault', 'vault.example'], 1, /is no vault/],
      [['--name', 'a', '--vault', 'https://10.0.0.1'], 1, /no DID can be at .*IP address/],
      [['--name', 'a', '--vault', 'https://localhost:8443'], 1, /localhost/],
      [['--name', 'a'], 2, /--vault/],
      [['--vault', world.origin], 2, /--name/],
      [['--name', 'a', '--vault', world.origin, '--algorithm', 'EdDSA'], 2, /Ed25519, ES256, PS256/],
    ];
    await eachOf(wrong, async ([words, code, why]) => {
      const home = operatorHome(world, `wrong-${words.join('').replace(/\W/g, '')}`);
      const ran = await home.run(['operator', 'init', ...words]);
      expect([ran.code, ran.stdout], words.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(existsSync(home.home)).toBe(false);
    });
  });
});

describe('operator publish', { timeout: 120_000 }, () => {
  it('registers once; again changes nothing', async () => {
    await world.serve([did]);
    expect(await show()).toMatchObject({ did, unpublished: 1, keys: [{ id: `${did}#key-1` }] });
    expect(await acme.json(['operator', 'publish'])).toMatchObject({ code: 0, value: { did, published: true } });
    expect(await acme.json(['operator', 'publish'])).toMatchObject({ code: 0, value: { did, published: false } });
    expect(await show()).toMatchObject({ did, unpublished: 0 });
    const resolved = await hb([
      'did',
      'resolve',
      did,
      '--trusted-ca',
      world.ca,
      '--allow-address',
      '127.0.0.0/8',
      ...world.reach.slice(2),
    ]);
    expect([resolved.code, resolved.stdout]).toEqual([0, expect.stringContaining('"capabilityInvocation"')]);
    expect(
      await hb(['did', 'verify', did, '--trusted-ca', world.ca, '--allow-address', '127.0.0.0/8', ...world.reach.slice(2)]),
    ).toMatchObject({ code: 0 });
  });

  it('says what to do where the vault does not name the operator, is not there, or is not trusted', async () => {
    const stranger = operatorHome(world, 'stranger');
    await init(stranger, 'stranger');
    const refused = await stranger.run(['operator', 'publish']);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/403.*control\.operators/);
    const untrusted = await hb([
      'operator',
      'publish',
      '--home',
      stranger.home,
      ...world.reach.slice(2),
      '--vault-ca',
      join(world.directory, 'server.crt'),
    ]);
    expect([untrusted.code, untrusted.stderr]).toEqual([1, expect.stringMatching(/certificate does not verify.*--vault-ca/)]);
    const nobody = await hb(['operator', 'publish', '--home', join(world.directory, 'nobody')]);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringMatching(/holds no operator.*operator init.*--home/)]);
    await world.halt();
    const started = performance.now();
    const away = await stranger.run(['operator', 'publish']);
    expect([away.code, away.stderr]).toEqual([1, expect.stringMatching(/cannot be reached \(ECONNREFUSED\).*run this again/)]);
    expect(performance.now() - started).toBeLessThan(15_000);
    await world.serve([did]);
  });

  it('waits for a vault that is just starting', async () => {
    await world.halt();
    const publishing = acme.json(['operator', 'publish']);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await world.serve([did]);
    expect(await publishing).toMatchObject({ code: 0, value: { published: false } });
  });
});

const grant = ['--audience', 'gateway.local', '--model', 'openai/gpt-5*'];

describe('operator rotate', { timeout: 120_000 }, () => {
  it('publishes a new key beside the old, and issues every capability again under it', async () => {
    for (const name of ['one', 'two']) expect(await acme.run(['agent', 'register', name, ...grant])).toMatchObject({ code: 0 });
    const before = await show();
    expect(issuer(acme, 'one')).toBe(before.keys[0]?.id);
    const { code, value } = await acme.json<Rotation>(['operator', 'rotate', '--overlap', '5m']);
    expect([code, value.key.id, value.reissued, value.left]).toEqual([0, `${did}#key-2`, ['one', 'two'], []]);
    expect(value.old).toMatchObject([{ id: `${did}#key-1` }]);
    const end = Date.parse(value.old[0]?.expires ?? '') - Date.now();
    expect(end > 200_000 && end <= 300_000).toBe(true);
    for (const name of ['one', 'two']) expect(issuer(acme, name)).toBe(`${did}#key-2`);
    expect(existsSync(join(acme.home, 'pending-key.jwk'))).toBe(false);
    // The new key writes.
    expect(await acme.run(['agent', 'register', 'three', ...grant])).toMatchObject({ code: 0 });
    expect(issuer(acme, 'three')).toBe(`${did}#key-2`);
  });

  it('goes on where it was cut short: with the pending key, published or not', async () => {
    const before = await show();
    // Cut short before the key was published.
    expect(await hb(['keygen', '--out', join(acme.home, 'pending-key.jwk')])).toMatchObject({ code: 0 });
    const pending = read(acme, 'pending-key.jwk');
    const signing = read(acme, 'signing.jwk');
    const first = await acme.json<Rotation>(['operator', 'rotate']);
    expect([first.code, read(acme, 'signing.jwk')]).toEqual([0, pending]);
    // Cut short after it was published: the key of before is the signing key still, and one capability is not issued again.
    writeFileSync(join(acme.home, 'pending-key.jwk'), pending, { mode: 0o600 });
    writeFileSync(join(acme.home, 'signing.jwk'), signing, { mode: 0o600 });
    const second = await acme.json<Rotation>(['operator', 'rotate']);
    expect([second.code, second.value.versionId, second.value.key.id]).toEqual([0, first.value.versionId, first.value.key.id]);
    expect([second.value.reissued, read(acme, 'signing.jwk')]).toEqual([['one', 'three', 'two'], pending]);
    expect(existsSync(join(acme.home, 'pending-key.jwk'))).toBe(false);
    expect(Number.parseInt((await show()).versionId, 10)).toBe(Number.parseInt(before.versionId, 10) + 1);
  });

  it('ends the old key at once with --overlap 0s', async () => {
    const { value } = await acme.json<Rotation>(['operator', 'rotate', '--overlap', '0s', '--algorithm', 'ES256']);
    expect([value.old, (await show()).keys.map(({ id }) => id)]).toEqual([[], [value.key.id]]);
    expect(JSON.parse(read(acme, 'signing.jwk'))).toMatchObject({ alg: 'ES256' });
    expect(await acme.run(['agent', 'renew', 'one'])).toMatchObject({ code: 0 });
  });
});

describe('operator recover', { timeout: 120_000 }, () => {
  const backup = () => join(world.directory, 'recovery.backup');
  beforeAll(() => writeFileSync(backup(), read(acme, 'recovery.key'), { mode: 0o600 }));

  it('replaces the signing key of a disk that is lost, and rebuilds the home', async () => {
    const rebuilt = operatorHome(world, 'rebuilt');
    const { code, value, stderr } = await rebuilt.json<Rotation & { agents: string[] }>([
      'operator',
      'recover',
      '--recovery-key',
      backup(),
      '--did',
      did,
    ]);
    expect([code, stderr]).toEqual([0, '']);
    expect([value.agents, value.old]).toEqual([['one', 'two', 'three'], []]);
    expect(await show(rebuilt)).toMatchObject({ did, agents: 3, keys: [{ id: value.key.id }] });
    const refused = await acme.run(['agent', 'renew', 'one']);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/no key of the operator.*operator recover/)]);
    const unknown = await rebuilt.run(['agent', 'renew', 'one']);
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringMatching(/not known in this home.*--audience/)]);
    expect(await rebuilt.run(['agent', 'renew', 'one', ...grant])).toMatchObject({ code: 0 });
    expect(await rebuilt.run(['agent', 'rotate', 'two', '--overlap', '0s', ...grant])).toMatchObject({ code: 0 });
    expect(readdirSync(join(rebuilt.home, 'agents/two')).toSorted()).toEqual([
      'agent.json',
      'capability',
      'did.jsonl',
      'key.jwk',
    ]);
  });

  it('says what is wrong', async () => {
    const other = join(world.directory, 'other.key');
    writeFileSync(other, `${Buffer.alloc(32, 1).toString('base64url')}\n`);
    const short = join(world.directory, 'short.key');
    writeFileSync(short, 'sk-live-this-is-secret');
    const wrong: [words: string[], code: number, why: RegExp][] = [
      [['--recovery-key', other, '--did', did], 1, /did not commit to this update key/],
      [['--recovery-key', short, '--did', did], 1, /short\.key is no recovery key/],
      [['--recovery-key', join(world.directory, 'none'), '--did', did], 1, /does not exist/],
      [['--recovery-key', backup(), '--did', did.replace('acme', 'nobody')], 1, /has no log/],
      [['--recovery-key', backup(), '--did', did.replace('operators:', 'agents:x:')], 1, /no DID of an operator/],
      [['--recovery-key', backup(), '--did', 'did:key:z1'], 1, /--did: /],
      [['--did', did], 2, /--recovery-key/],
    ];
    await eachOf(wrong, async ([words, code, why]) => {
      const home = operatorHome(world, `bad-${words.join('').replace(/\W/g, '').slice(-60)}`);
      const ran = await home.run(['operator', 'recover', ...words]);
      expect([ran.code, ran.stdout], words.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).not.toMatch(/sk-live|\n {4}at /);
    });
    const stranger = operatorHome(world, 'stranger');
    const taken = await stranger.run(['operator', 'recover', '--recovery-key', backup(), '--did', did]);
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringMatching(/holds another operator.*--force/)]);
  });
});

describe('a vault that is not to be trusted', { timeout: 120_000 }, () => {
  it('is not believed when it tells another story than the home', async () => {
    const copy = operatorHome(world, 'copy');
    mkdirSync(copy.home, { recursive: true });
    cpSync(acme.home, copy.home, { recursive: true });
    const lines = read(copy, 'did.jsonl').trimEnd().split('\n');
    lines[1] = (lines[1] ?? '').replace('2-Qm', '2-QQ');
    writeFileSync(join(copy.home, 'did.jsonl'), `${lines.join('\n')}\n`);
    for (const words of [
      ['operator', 'show'],
      ['operator', 'publish'],
      ['agent', 'renew', 'one'],
    ]) {
      const { code, stdout, stderr } = await copy.run(words);
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(/another version 2 .*not to be trusted/)]);
    }
  });
});

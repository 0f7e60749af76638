// The life of an agent, by the commands that a user types, against a real vault.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { readPrivateKey } from '../../src/crypto/private-key.ts';
import { importPublicJwk } from '../../src/crypto/public-key.ts';
import { parseRootToken } from '../../src/token/capability-token.ts';
import { eachOf, hb, hbJson } from './run-cli.ts';
import { makeVaultWorld, type OperatorHome, operatorHome, type VaultWorld } from './vault-world.ts';

interface Key {
  id: string;
  thumbprint: string;
  expires?: string;
}
interface Shown {
  did: string;
  deactivated: boolean;
  operator: string[];
  version: number;
  unpublished: number;
  keys: Key[];
}
interface Rotation {
  did: string;
  versionId: string;
  key: Key;
  old: Key[];
  dropped: string[];
  finished: boolean;
}
interface History {
  versions: { version: number; changes: { change: string; what: string }[] }[];
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const GRANT = ['--audience', 'gateway.local', '--model', 'openai/gpt-5*'];

let world: VaultWorld;
let acme: OperatorHome;
let operator: string;
const register = (name: string, ...options: string[]) =>
  acme.json<{ did: string; keyFile: string | null; capability: string }>(['agent', 'register', name, ...GRANT, ...options]);
const show = async (named: string) => (await acme.json<Shown>(['agent', 'show', named])).value;
const path = (name: string, file: string) => join(acme.home, 'agents', name, file);
const read = (name: string, file: string) => readFileSync(path(name, file), 'utf8').trim();
const keyOf = (name: string) => readPrivateKey(read(name, 'key.jwk')).publicKey.jkt;
const capabilityOf = (name: string) => parseRootToken(read(name, 'capability'));

beforeAll(async () => {
  world = await makeVaultWorld();
  acme = operatorHome(world, 'acme');
  const made = await acme.json<{ did: string }>(['operator', 'init', '--name', 'acme', '--vault', world.origin]);
  operator = made.value.did;
  await world.serve([operator]);
  expect(await acme.run(['operator', 'publish'])).toMatchObject({ code: 0 });
});
afterAll(() => world.stop());

/** A key, a capability and a document that belong together. */
async function expectWhole(name: string): Promise<Shown> {
  const shown = await show(name);
  const { untrustedClaims: claims, untrustedKey } = capabilityOf(name);
  expect([claims.client_id, claims.iss, claims.sub]).toEqual([shown.did, operator, operator]);
  expect(untrustedKey.jkt).toBe(keyOf(name));
  expect(shown.keys.at(-1)?.thumbprint).toBe(keyOf(name));
  expect([shown.operator, shown.unpublished, existsSync(path(name, 'pending-key.jwk'))]).toEqual([[operator], 0, false]);
  return shown;
}

describe('agent register', { timeout: 120_000 }, () => {
  it('makes a key and a capability that belong together, and that a sidecar takes', async () => {
    const { code, value, stderr } = await register('reader', '--days', '7', '--max-output-tokens', '4096', '--action', 'chat');
    expect([code, stderr, value.keyFile, value.capability]).toEqual([
      0,
      '',
      path('reader', 'key.jwk'),
      path('reader', 'capability'),
    ]);
    expect(value.did).toMatch(/:agents:acme:reader$/);
    await expectWhole('reader');
    const { aud, exp, iat, authorization_details } = capabilityOf('reader').untrustedClaims;
    expect([aud, exp - iat]).toEqual(['gateway.local', 7 * 86_400]);
    expect(authorization_details).toEqual([
      { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'], max: { output_tokens: 4096 } },
    ]);
    for (const file of ['agent.json', 'did.jsonl', 'key.jwk', 'capability'])
      expect(statSync(path('reader', file)).mode & 0o777).toBe(0o600);
    const secret = join(world.directory, 'local.secret');
    writeFileSync(secret, 'local', { mode: 0o600 });
    const sidecar = join(world.directory, 'sidecar.yaml');
    const files = { key: { file: value.keyFile }, capability: { file: value.capability }, localSecret: { file: secret } };
    writeFileSync(sidecar, stringify({ sign: { ...files, gateway: 'https://gateway.local' } }));
    expect(await hb(['config', 'check', '--config', sidecar])).toMatchObject({ code: 0 });
  });

  it('says plainly what to back up', async () => {
    const { stdout } = await acme.run(['agent', 'register', 'plain', ...GRANT]);
    expect(stdout).toContain(path('plain', 'key.jwk'));
    expect(stdout).toMatch(/The key needs no backup.*\n.*recovery\.key/);
    expect(stdout).not.toContain((JSON.parse(read('plain', 'key.jwk')) as { d: string }).d);
  });

  it('puts the files where --out says, and makes keys of any algorithm', async () => {
    const out = join(world.directory, 'sidecar');
    const { value } = await register('writer', '--out', out, '--algorithm', 'ES256');
    expect([value.keyFile, value.capability]).toEqual([join(out, 'key.jwk'), join(out, 'capability')]);
    expect(readdirSync(out).toSorted()).toEqual(['capability', 'key.jwk']);
    expect(existsSync(path('writer', 'key.jwk'))).toBe(false);
    expect(parseRootToken(readFileSync(value.capability, 'utf8').trim()).algorithm).toBe('ES256');
  });

  it('registers the public half of a key that is kept elsewhere, and copies nothing of it', async () => {
    const kept = join(world.directory, 'kept.jwk');
    const { value: made } = await hbJson<{ jwk: object; jkt: string }>(['keygen', '--out', kept]);
    const publicFile = join(world.directory, 'kept.public.jwk');
    writeFileSync(publicFile, JSON.stringify(made.jwk));
    const { value } = await register('elsewhere', '--key', publicFile);
    expect([value.keyFile, capabilityOf('elsewhere').untrustedKey.jkt]).toEqual([null, made.jkt]);
    expect(readdirSync(path('elsewhere', '')).toSorted()).toEqual(['agent.json', 'capability', 'did.jsonl']);
    expect(await acme.run(['agent', 'renew', 'elsewhere'])).toMatchObject({ code: 0 });
    const grant = read('elsewhere', 'agent.json');
    const refused = await acme.run(['agent', 'rotate', 'elsewhere', '--days', '3']);
    expect(read('elsewhere', 'agent.json')).toBe(grant);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/kept elsewhere: name its new one with --key/) });
    expect([(await show('elsewhere')).version, capabilityOf('elsewhere').untrustedKey.jkt]).toEqual([1, made.jkt]);
    const next = join(world.directory, 'next.jwk');
    const { value: other } = await hbJson<{ jkt: string }>(['keygen', '--out', next]);
    const rotated = await acme.json<Rotation>(['agent', 'rotate', 'elsewhere', '--key', next, '--overlap', '0s']);
    expect([rotated.code, capabilityOf('elsewhere').untrustedKey.jkt]).toEqual([0, other.jkt]);
    expect(existsSync(path('elsewhere', 'key.jwk'))).toBe(false);
    const here = await acme.json<Rotation>(['agent', 'rotate', 'elsewhere', '--algorithm', 'Ed25519', '--overlap', '0s']);
    expect([here.code, capabilityOf('elsewhere').untrustedKey.jkt]).toEqual([0, keyOf('elsewhere')]);
  });

  it('says when a capability is for longer than gateways accept', async () => {
    const days = (count: string) => acme.run(['agent', 'renew', 'reader', '--days', count]);
    expect(await days('367')).toMatchObject({ code: 2, stderr: expect.stringContaining('at most 366 days') });
    expect(await days('91')).toMatchObject({ code: 0, stderr: expect.stringContaining('more than 90 days') });
    expect(await days('7')).toMatchObject({ code: 0, stderr: '' });
  });

  it('leaves nothing of a registration that the vault refuses', async () => {
    const taken = path('reader', 'key.jwk');
    const refused = await acme.run(['agent', 'register', 'thief', ...GRANT, '--key', taken]);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/409.*key/);
    expect(existsSync(path('thief', 'agent.json'))).toBe(false);
    expect((await register('thief')).code).toBe(0);
    await expectWhole('thief');
  });

  it('says what is wrong', async () => {
    const stranger = operatorHome(world, 'stranger');
    await stranger.run(['operator', 'init', '--name', 'stranger', '--vault', world.origin]);
    const wrong: [words: string[], code: number, why: RegExp][] = [
      [['reader', ...GRANT], 1, /is registered already.*agent renew.*agent rotate/],
      [['Reader', ...GRANT], 1, /is no name/],
      [['../reader', ...GRANT], 1, /is no name/],
      [['new'], 2, /--audience/],
      [['new', ...GRANT, '--model', '*'], 1, /models\.1: must be provider\/model/],
      [['new', ...GRANT, '--days', '0'], 2, /whole number of days/],
      [['new', ...GRANT, '--key', join(world.directory, 'none.jwk')], 1, /none\.jwk does not exist/],
      [['new', ...GRANT, '--key', world.ca], 1, /./],
    ];
    await eachOf(wrong, async ([words, code, why]) => {
      const ran = await acme.run(['agent', 'register', ...words]);
      expect([ran.code, ran.stdout], words.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).not.toMatch(/\n {4}at /);
    });
    expect(existsSync(path('new', ''))).toBe(false);
    expect(await stranger.run(['agent', 'register', 'x', ...GRANT])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/403.*control\.operators/),
    });
  });
});

describe('agent list, show and history', { timeout: 120_000 }, () => {
  it('list what the vault has, as much as is asked for', async () => {
    const all = await acme.json<{ agents: { name: string }[]; more: boolean }>(['agent', 'list']);
    expect([all.code, all.value.more]).toEqual([0, false]);
    const names = all.value.agents.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['reader', 'plain', 'writer', 'elsewhere', 'thief']));
    const some = await acme.json<{ agents: { name: string }[]; more: boolean }>(['agent', 'list', '--limit', '2']);
    expect([some.value.more, some.value.agents.map(({ name }) => name)]).toEqual([true, names.slice(0, 2)]);
    expect(some.stderr).toMatch(/more than 2: see --limit/);
    const text = await acme.run(['agent', 'list']);
    expect(text.stdout.trim().split('\n')).toHaveLength(names.length);
    const nobody = await acme.run(['agent', 'list', '--operator', operator.replace('acme', 'nobody')]);
    expect([nobody.code, nobody.stdout]).toEqual([0, 'none\n']);
  });

  it('show one by its name, by its DID, and one that the home does not hold', async () => {
    const { did } = await show('reader');
    expect(await show(did)).toMatchObject({ did, version: 1 });
    const elsewhere = operatorHome(world, 'without');
    mkdirSync(elsewhere.home, { recursive: true });
    cpSync(join(acme.home, 'operator.json'), join(elsewhere.home, 'operator.json'));
    expect((await elsewhere.json<Shown>(['agent', 'show', 'reader'])).value).toMatchObject({ did, operator: [operator] });
    const text = await acme.run(['agent', 'history', 'reader']);
    expect([text.code, text.stdout]).toEqual([0, expect.stringMatching(/key added .*#key-1[\s\S]*verified here: 1 version,/)]);
    const wrong: [words: string[], why: RegExp][] = [
      [['show', 'nobody'], /no log of nobody: see `hermesbridge agent list`/],
      [['history', 'no body'], /is no name/],
      [['show', did.replace('service.test', 'other.test')], /not in this operator's vault.*did resolve/],
      [['show', 'did:webvh:x'], /SCID/],
    ];
    await eachOf(wrong, async ([words, why]) => {
      expect(await acme.run(['agent', ...words])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(why) });
    });
  });
});

describe('agent rotate', { timeout: 120_000 }, () => {
  it('keeps the old key until the overlap ends, then drops it', async () => {
    await register('rotated');
    const before = keyOf('rotated');
    const rotating = acme.json<Rotation>(['agent', 'rotate', 'rotated', '--overlap', '12s']);
    while (keyOf('rotated') === before) await sleep(100);
    const during = await show('rotated');
    expect(during.keys.map(({ thumbprint, expires }) => [thumbprint, expires !== undefined])).toEqual([
      [before, true],
      [keyOf('rotated'), false],
    ]);
    const { code, value, stderr } = await rotating;
    expect([code, value.finished, value.dropped]).toEqual([0, true, [`${value.did}#key-1`]]);
    expect(stderr).toMatch(/published the new key[\s\S]*waiting \d+ s for the overlap to end/);
    expect(await expectWhole('rotated')).toMatchObject({ version: 3, keys: [{ id: `${value.did}#key-2` }] });
    const history = (await acme.json<History>(['agent', 'history', 'rotated'])).value;
    expect(history.versions.map(({ changes }) => changes.map(({ change }) => change))).toEqual([
      ['key-added', 'controller'],
      ['key-expiring', 'key-added'],
      ['key-dropped'],
    ]);
  });

  it('does not wait with --no-wait, and is finished with --finish; what was granted stays', async () => {
    const granted = capabilityOf('rotated').untrustedClaims.authorization_details;
    const begun = await acme.json<Rotation>([
      'agent',
      'rotate',
      'rotated',
      '--overlap',
      '10s',
      '--no-wait',
      '--algorithm',
      'ES256',
    ]);
    expect([begun.code, begun.value.finished, begun.value.dropped]).toEqual([0, false, []]);
    expect(begun.stderr).toContain('hermesbridge agent rotate rotated --finish');
    expect(capabilityOf('rotated').untrustedClaims.authorization_details).toEqual(granted);
    const finished = await acme.json<Rotation>(['agent', 'rotate', 'rotated', '--finish']);
    expect([finished.code, finished.value.finished, finished.value.dropped]).toEqual([0, true, [`${begun.value.did}#key-2`]]);
    expect(await expectWhole('rotated')).toMatchObject({ version: 5 });
    const nothing = await acme.json<Rotation>(['agent', 'rotate', 'rotated', '--finish']);
    expect([nothing.code, nothing.value.dropped]).toEqual([0, []]);
    expect((await show('rotated')).version).toBe(5);
  });

  it('says how to go on when it is interrupted, and goes on with what is there', async () => {
    await register('interrupted');
    const words = ['agent', 'rotate', 'interrupted', '--overlap', '15s', '--home', acme.home, ...world.reach, '--json'];
    const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        texts[name] += text;
        if (/waiting/.test(text)) child.kill('SIGINT');
      });
    }
    const [code] = (await once(child, 'close')) as [number | null];
    expect([code, JSON.parse(texts.stdout)]).toMatchObject([1, { finished: false }]);
    expect(texts.stderr).toMatch(/interrupted.*agent rotate interrupted --finish/);
    const between = await expectWhole('interrupted');
    expect([between.version, between.keys.length]).toEqual([2, 2]);
    const again = await acme.json<Rotation>(['agent', 'rotate', 'interrupted']);
    expect([again.code, again.value.finished]).toEqual([0, true]);
    // Nothing new was made.
    expect(await expectWhole('interrupted')).toMatchObject({ version: 3, keys: [between.keys[1]] });
  });

  it('drops every key at once with --overlap 0s, a rotation under way included', async () => {
    await acme.run(['agent', 'rotate', 'interrupted', '--overlap', '1h', '--no-wait']);
    const { code, value } = await acme.json<Rotation>(['agent', 'rotate', 'interrupted', '--overlap', '0s']);
    expect([code, value.finished, value.old]).toEqual([0, true, []]);
    expect((await expectWhole('interrupted')).keys).toHaveLength(1);
  });

  it('says what is wrong', async () => {
    const wrong: [words: string[], code: number, why: RegExp][] = [
      [['nobody'], 1, /holds no agent "nobody"/],
      [['reader', '--overlap', 'soon'], 2, /d, h, m or s/],
      [['reader', '--algorithm', 'EdDSA'], 2, /Ed25519/],
      [[], 2, /missing required argument/],
    ];
    await eachOf(wrong, async ([words, code, why]) => {
      expect(await acme.run(['agent', 'rotate', ...words])).toMatchObject({
        code,
        stdout: '',
        stderr: expect.stringMatching(why),
      });
    });
  });
});

describe('agent renew', { timeout: 120_000 }, () => {
  it('issues the capability again for the same key, and grants what is said instead', async () => {
    const before = capabilityOf('reader');
    const same = await acme.json(['agent', 'renew', 'reader']);
    expect(same.code).toBe(0);
    const renewed = capabilityOf('reader');
    expect(renewed.untrustedClaims.jti).not.toBe(before.untrustedClaims.jti);
    expect(renewed.untrustedClaims.authorization_details).toEqual(before.untrustedClaims.authorization_details);
    expect(renewed.untrustedClaims.exp - renewed.untrustedClaims.iat).toBe(7 * 86_400);
    await acme.run(['agent', 'renew', 'reader', '--model', 'anthropic/claude-*', '--days', '1']);
    await expectWhole('reader');
    const { exp, iat, aud, authorization_details } = capabilityOf('reader').untrustedClaims;
    expect([exp - iat, aud, authorization_details]).toEqual([
      86_400,
      'gateway.local',
      [{ type: 'llm_access', actions: ['chat'], models: ['anthropic/claude-*'] }],
    ]);
  });
});

describe('agent deactivate', { timeout: 120_000 }, () => {
  it('asks before, ends the agent for good, and does so once', async () => {
    const asked = await acme.run(['agent', 'deactivate', 'plain']);
    expect(asked).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/confirm it with --yes/) });
    expect((await show('plain')).deactivated).toBe(false);
    const ended = await acme.json(['agent', 'deactivate', 'plain', '--yes']);
    expect([ended.code, ended.value.deactivated]).toEqual([0, true]);
    expect(await show('plain')).toMatchObject({ deactivated: true, keys: [], version: 2 });
    expect((await acme.json(['agent', 'deactivate', 'plain', '--yes'])).value).toEqual(ended.value);
    for (const words of [
      ['rotate', 'plain'],
      ['renew', 'plain'],
      ['rotate', 'plain', '--finish'],
    ])
      expect(await acme.run(['agent', ...words])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/deactivated for good/),
      });
    expect((await acme.run(['agent', 'history', 'plain'])).stdout).toMatch(/key dropped[\s\S]*deactivated/);
    expect((await acme.run(['agent', 'list'])).stdout).toMatch(/^plain {2}deactivated/m);
  });
});

/** Runs a command and kills it after a time, if it still runs then. */
async function killed(words: readonly string[], millis: number): Promise<boolean> {
  const child = spawn(process.execPath, [MAIN, ...words, '--home', acme.home, ...world.reach], { stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), millis);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return code === null;
}

describe('a command that was killed', { timeout: 300_000 }, () => {
  /** From before the first file is written to after the last, however fast the machine is. */
  const moments = async (words: (round: number) => string[]) => {
    const started = performance.now();
    expect(await killed(words(0), 60_000)).toBe(false);
    const whole = performance.now() - started;
    return [0.4, 0.55, 0.7, 0.85].map((part, round) => ({
      words: words(round + 1),
      millis: whole * part,
      round: round + 1,
    }));
  };

  it('registers the agent once, when it is run again', async () => {
    for (const { words, millis, round } of await moments((round) => ['agent', 'register', `killed-${round}`, ...GRANT])) {
      const cut = await killed(words, millis);
      const again = await acme.run(words);
      expect([again.code, again.stderr], again.stderr).toEqual(
        cut && again.code === 0 ? [0, expect.anything()] : [1, expect.stringContaining('registered already')],
      );
      expect(await expectWhole(`killed-${round}`)).toMatchObject({ version: 1 });
    }
  });

  it('rotates the key once, when it is run again', async () => {
    for (const { words, millis, round } of await moments((round) => [
      'agent',
      'rotate',
      `killed-${round}`,
      '--overlap',
      '1h',
      '--no-wait',
    ])) {
      const before = keyOf(`killed-${round}`);
      await killed(words, millis);
      expect((await acme.run(words)).code).toBe(0);
      const shown = await expectWhole(`killed-${round}`);
      expect(shown.keys.map(({ thumbprint }) => thumbprint)).toEqual([before, keyOf(`killed-${round}`)]);
      expect(shown.version).toBe(2);
    }
  });
});

describe('a vault that was restored from a backup', { timeout: 120_000 }, () => {
  it('gets back what it lost', async () => {
    await register('kept');
    const database = join(world.directory, 'vault.db');
    await world.halt();
    const backup = join(world.directory, 'backup');
    mkdirSync(backup);
    const files = () => readdirSync(world.directory).filter((name) => name.startsWith('vault.db') && !name.endsWith('-lock'));
    for (const name of files()) cpSync(join(world.directory, name), join(backup, name));
    await world.serve([operator]);
    expect(await acme.run(['agent', 'rotate', 'kept', '--overlap', '0s'])).toMatchObject({ code: 0 });
    await world.halt();
    for (const name of files()) rmSync(join(world.directory, name));
    for (const name of readdirSync(backup)) cpSync(join(backup, name), join(world.directory, name));
    expect(existsSync(database)).toBe(true);
    await world.serve([operator]);
    expect(await show('kept')).toMatchObject({ version: 2, unpublished: 1 });
    expect(await acme.run(['agent', 'renew', 'kept'])).toMatchObject({ code: 0 });
    expect(await expectWhole('kept')).toMatchObject({ version: 2 });
  });
});

it('the public half of a key is what the vault has, and nothing else of it', async () => {
  for (const name of ['reader', 'thief', 'rotated']) {
    const { d } = JSON.parse(read(name, 'key.jwk')) as { d: string };
    expect(read(name, 'did.jsonl')).not.toContain(d);
    const { state } = JSON.parse(read(name, 'did.jsonl').split('\n').at(-1) ?? '') as {
      state: { verificationMethod: { publicKeyJwk: unknown }[] };
    };
    for (const { publicKeyJwk } of state.verificationMethod) expect(importPublicJwk(publicKeyJwk).jkt).toBe(keyOf(name));
  }
});

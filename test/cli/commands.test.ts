/** What all commands have in common, and the commands about a configuration and a store. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { EmbeddedStore } from '../../src/stores/sqlite/embedded-store.ts';
import { eachOf, hb, hbJson, MAIN } from './run-cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-cli-'));
const file = (name: string) => join(directory, name);
const write = (name: string, text: string) => {
  writeFileSync(file(name), text, { mode: 0o600 });
  return file(name);
};
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const COMMANDS = [
  'serve',
  'up',
  'envoy',
  'config check',
  'keygen',
  'did',
  'did resolve',
  'did verify',
  'operator init',
  'operator publish',
  'operator show',
  'operator rotate',
  'operator recover',
  'agent register',
  'agent list',
  'agent show',
  'agent history',
  'agent rotate',
  'agent renew',
  'agent deactivate',
  'capability issue',
  'capability inspect',
  'capability narrow',
  'delegate',
  'session list',
  'session show',
  'session narrow',
  'session end',
  'tree',
  'vault backup',
  'vault restore',
  'vault verify',
  'events send-test',
  'sign',
  'verify',
  'records',
];

describe('every command', { timeout: 120_000 }, () => {
  it('has help with an example, and says nothing else', async () => {
    await eachOf(COMMANDS, async (command) => {
      const { code, stdout, stderr } = await hb([...command.split(' '), '--help']);
      expect([code, stderr], command).toEqual([0, '']);
      expect(stdout, command).toMatch(new RegExp(`\nExample:\n  hermesbridge ${command} `));
      expect(stdout, command).toContain('--json');
    });
  });

  it('is listed by the program’s own help', async () => {
    const { code, stdout } = await hb(['--help']);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`\n  ${command.split(' ')[0]} `));
    expect(await hb(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  it('ends when nobody reads what it says any more', async () => {
    const child = spawn(process.execPath, [MAIN, 'keygne'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    child.stderr.destroy();
    const limit = setTimeout(() => child.kill('SIGKILL'), 20_000);
    expect(await once(child, 'exit')).toEqual([2, null]);
    clearTimeout(limit);
  });

  it('answers 2 to a command line that it does not understand, with the way to help', async () => {
    const wrong: [words: string[], why: RegExp][] = [
      [[], /Usage: hermesbridge/],
      [['config'], /Usage: hermesbridge config/],
      [['capability'], /Usage: hermesbridge capability/],
      [['keygne'], /unknown command 'keygne'[\s\S]*keygen/],
      [['did', '--colour'], /unknown option '--colour'[\s\S]*--help/],
      [['records'], /required option '--store <file>'/],
      [['records', '--store', file('x'), '--last', '0'], /whole number from 1/],
      ...['serve', 'up', 'envoy', 'config check'].map((words): [string[], RegExp] => [
        words.split(' '),
        /name the configuration with --config FILE or HERMESBRIDGE_CONFIG/,
      ]),
    ];
    await eachOf(wrong, async ([words, why]) => {
      const { code, stdout, stderr } = await hb(words);
      expect([code, stdout], words.join(' ')).toEqual([2, '']);
      expect(stderr).toMatch(why);
    });
  });
});

describe('config check', { timeout: 120_000 }, () => {
  const check = (config: string) => ['config', 'check', '--config', config];

  it('finds every problem of the form, with its line', async () => {
    const bad = write(
      'bad.yaml',
      'verify:\n  gateway:\n    names: []\n  trust:\n    operators: x\n  colour: red\n  maxRequestBytes: 1\nlog:\n  level: loud\n',
    );
    const { code, stdout, stderr } = await hb(check(bad));
    expect([code, stdout]).toEqual([1, '']);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => /bad\.yaml:(\d+): (\S+):/.exec(line)?.slice(1).join(' '));
    expect(lines.toSorted()).toEqual(
      [
        '1 verify.providers',
        '3 verify.gateway.names',
        '5 verify.trust.operators',
        '6 verify.colour',
        '7 verify.maxRequestBytes',
        '9 log.level',
      ].toSorted(),
    );
    const { value } = await hbJson<{ error: { problems: string[] } }>(check(bad));
    expect(value.error.problems).toHaveLength(6);
  });

  it('finds every problem of what it names: operators, providers, keys, the local secret', async () => {
    const verify = `verify:\n  gateway: {names: [g]}\n  trust: {operators: [{did: 'did:example:1'}]}\n  providers:\n`;
    const providers = `    one: {api: openai, credential: {file: none.key}}\n    two: {api: nosuch, credential: {environment: HB_NO_SUCH}}\n`;
    const sign = `sign:\n  key: {file: none.jwk}\n  capability: {file: none.cap}\n  localSecret: {file: none.secret}\n  gateway: https://g\n`;
    const { value, code } = await hbJson<{ error: { problems: string[] } }>(
      check(write('names.yaml', verify + providers + sign)),
    );
    expect(code).toBe(1);
    const found = value.error.problems.join('\n');
    for (const what of ['DID method "example"', '"nosuch" is not one of', 'none.key', 'HB_NO_SUCH', 'none.jwk', 'none.secret'])
      expect(found).toContain(what);
  });

  it('is content with a good one, named by the environment too', async () => {
    write('provider.key', 'sk-provider-secret');
    const good = write(
      'good.yaml',
      `verify:\n  gateway: {names: [g]}\n  trust: {operators: [{did: 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'}]}\n  providers: {openai: {api: openai, credential: {file: provider.key}}}\n`,
    );
    expect(await hbJson(check(good))).toMatchObject({ code: 0, value: { file: good, valid: true } });
    expect(await hb(['config', 'check'], { environment: { HERMESBRIDGE_CONFIG: good } })).toMatchObject({
      code: 0,
      stdout: `${good}: no problems\n`,
    });
    const { code, value, stdout } = await hbJson(['envoy', '--config', good]);
    expect([code, Object.keys(value)]).toEqual([0, expect.arrayContaining(['admin', 'static_resources'])]);
    expect(stdout).not.toContain('sk-provider-secret');
  });

  it('says what is wrong with a file that is none', async () => {
    const wrong: [string, RegExp][] = [
      [file('none.yaml'), /none\.yaml: cannot be read; name the configuration/],
      [directory, /cannot be read/],
      [write('empty.yaml', ''), /needs a role/],
      [write('twice.yaml', 'log: {}\nlog: {}\n'), /twice\.yaml:2: /],
    ];
    await eachOf(wrong, async ([config, why]) => {
      const { code, stdout, stderr } = await hb(check(config));
      expect([code, stdout], config).toEqual([1, '']);
      expect(stderr).toMatch(why);
    });
  });
});

describe('records', { timeout: 120_000 }, () => {
  it('shows the newest, oldest first, while the gateway writes; one by its id', async () => {
    const store = await EmbeddedStore.open({
      file: file('some.db'),
      recordTimeoutMillis: 5000,
      perKeyLimit: 10,
      windowMillis: 1000,
      monotonic: () => performance.now(),
    });
    try {
      for (const id of ['a', 'b', 'c']) {
        const record = {
          at: '2026-01-01T00:00:00.000Z',
          decision_id: id,
          effect: 'deny',
          method: 'POST',
          path: '/p',
          reason: 'malformed',
        };
        await store.append(JSON.stringify(record), undefined);
      }
      const ids = async (...options: string[]) => {
        const { value } = await hbJson<{ decision_id: string }[]>(['records', '--store', file('some.db'), ...options]);
        return value.map(({ decision_id }) => decision_id);
      };
      expect(await ids()).toEqual(['a', 'b', 'c']);
      expect(await ids('--last', '2')).toEqual(['b', 'c']);
      expect(await ids('--decision', 'b')).toEqual(['b']);
      expect(await ids('--decision', 'z')).toEqual([]);
      const { stdout } = await hb(['records', '--store', file('some.db'), '--last', '1']);
      expect(stdout).toBe('2026-01-01T00:00:00.000Z  deny  malformed  POST  /p  c\n');
    } finally {
      await store.close();
    }
  });

  it('says what is wrong with a store that is none', async () => {
    const wrong: [string, RegExp][] = [
      [file('none.db'), /none\.db does not exist/],
      [directory, /is not the store of a gateway .*verify\.store\.file/],
      [
        write('junk.db', 'this is not a database, and long enough to be looked at as one'),
        /junk\.db is not the store of a gateway/,
      ],
    ];
    await eachOf(wrong, async ([store, why]) => {
      const { code, stdout, stderr } = await hb(['records', '--store', store]);
      expect([code, stdout], store).toEqual([1, '']);
      expect(stderr).toMatch(why);
    });
  });
});

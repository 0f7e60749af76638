// The configuration file: every problem at once and with its line, nothing unknown, paths that mean the same from anywhere.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigurationError, loadConfiguration, parseConfiguration } from '../src/config.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-config-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const GATEWAY = `verify:
  gateway: { names: [gateway.example] }
  trust:
    operators:
      - did: did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK
  providers:
    openai: { api: openai, credential: { file: openai.key } }
`;
const SIDECAR = `sign:
  key: { file: agent.jwk }
  capability: { file: agent.capability }
  localSecret: { environment: LOCAL_SECRET }
  gateway: https://gateway.example
`;

function problemsOf(text: string): readonly string[] {
  try {
    parseConfiguration(text, 'f.yaml');
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

async function load(text: string, name = 'gateway.yaml') {
  const file = join(directory, name);
  writeFileSync(file, text);
  return loadConfiguration(file);
}

describe('defaults', () => {
  test('a gateway needs its names, its operators and its providers', () => {
    expect(parseConfiguration(GATEWAY, 'f.yaml').verify).toMatchObject({
      service: { listen: 'unix:run/verify.sock', deadlineMillis: 800 },
      signature: { maxLifetimeSeconds: 60, clockSkewSeconds: 30 },
      chain: { rootLifetimeDays: 90 },
      store: { recordTimeoutMillis: 200 },
      trust: { operators: [{ vouchesForAgents: false }] },
    });
  });

  test('a sidecar needs its key, its capability, its secret and its gateway', () => {
    expect(parseConfiguration(SIDECAR, 'f.yaml').sign).toMatchObject({
      lifetimeSeconds: 60,
      envoy: { listen: '127.0.0.1:4180' },
    });
  });

  test('a sidecar opens sessions and tasks by itself, and delegates only when told to', () => {
    const { sign } = parseConfiguration(`${SIDECAR}  task: { header: X-Job }\n`, 'f.yaml');
    expect(sign).toMatchObject({
      session: { lifetimeMinutes: 60 },
      task: { header: 'x-job', lifetimeMinutes: 15, required: true },
      tasks: {},
      taskPorts: {},
    });
    expect(sign).not.toHaveProperty('delegation');
    expect(parseConfiguration(`${SIDECAR}  delegation: {}\n`, 'f.yaml').sign?.delegation).toEqual({
      socket: 'run/delegate.sock',
    });
  });

  test('one file may hold both roles', () => {
    expect(Object.keys(parseConfiguration(GATEWAY + SIDECAR, 'f.yaml')).sort()).toEqual(['log', 'sign', 'verify']);
  });
});

describe('problems', () => {
  test('are all told at once, each with its line and its key', () => {
    const text = `verify:
  gateway:
    names: []
  trust:
    operators:
      - did: did:key:z6Mk
        vouchesForAgent: true
  providers:
    OpenAI: { api: openai, credential: { file: x } }
  signature:
    clockSkewSeconds: a lot
  nonces: {}
log: { level: loud }
`;
    const problems = problemsOf(text);
    expect(problems).toHaveLength(6);
    for (const [line, key] of [
      [3, 'verify.gateway.names'],
      [7, 'verify.trust.operators.0.vouchesForAgent: is not a known key'],
      [9, 'verify.providers.OpenAI'],
      [11, 'verify.signature.clockSkewSeconds'],
      [12, 'verify.nonces: is not a known key'],
      [13, 'log.level'],
    ] as const) {
      expect(problems.filter((problem) => problem.startsWith(`f.yaml:${line}: ${key}`))).toHaveLength(1);
    }
  });

  test('a missing key is told at the line of what it is missing from', () => {
    expect(
      problemsOf('log: {}\nverify:\n  gateway: {}\n').filter((problem) => problem.startsWith('f.yaml:3: verify.gateway.names')),
    ).toHaveLength(1);
  });

  test.each([
    ['an empty file', '', 'needs a role'],
    ['no role', 'log: { level: info }', 'needs a role'],
    ['a list', '- verify', 'f.yaml:1'],
    ['no YAML', 'verify: [', 'f.yaml:1'],
    ['a key twice', `${GATEWAY}verify: {}\n`, 'f.yaml:8'],
    ['a secret in the file', GATEWAY.replace('{ file: openai.key }', 'sk-secret'), 'verify.providers.openai.credential'],
    ['a secret from two sources', GATEWAY.replace('{ file: openai.key }', '{ file: a, environment: B }'), 'credential'],
    ['no operator', GATEWAY.replace(/operators:\n.*\n/, 'operators: []\n'), 'verify.trust.operators'],
    ['a lifetime beyond 300 s', `${GATEWAY}  signature: { maxLifetimeSeconds: 301 }\n`, 'maxLifetimeSeconds'],
    ['a socket that is no address', `${GATEWAY}  service: { listen: verify.sock }\n`, 'must be unix:PATH or HOST:PORT'],
    [
      'a ceiling that is not closed',
      GATEWAY.replace('  providers:', '        ceiling: { type: llm_access, actions: [], images: 1 }\n  providers:'),
      'images: is not a known key',
    ],
    ['a gateway over another protocol', SIDECAR.replace('https:', 'ftp:'), 'sign.gateway'],
    ['a session beyond 12 hours', `${SIDECAR}  session: { lifetimeMinutes: 721 }\n`, 'sign.session.lifetimeMinutes'],
    ...['authorization', 'agent-task', 'x-api-key', 'x-envoy-task', 'x-http-method', 'x-a b', 'content-type'].map(
      (name): [string, string, string] => [
        `a task named by ${name}`,
        `${SIDECAR}  task: { header: '${name}' }\n`,
        'sign.task.header: ',
      ],
    ),
    ['a task with a blank', `${SIDECAR}  tasks: { 'a b': { type: llm_access, actions: [] } }\n`, 'sign.tasks.a b'],
    ['a task that is not closed', `${SIDECAR}  tasks: { a: { type: llm_access, actions: [], images: 1 } }\n`, 'images'],
    ...['0', '65536', 'http'].map((name): [string, string, string] => [
      `the port ${name} of a task`,
      `${SIDECAR}  taskPorts: { ${name}: a }\n`,
      'sign.taskPorts',
    ]),
    [
      'TLS of the sidecar towards the SDK',
      `${SIDECAR}  envoy: { tls: { certificate: a, key: b } }\n`,
      'sign.envoy.tls: is not a known key',
    ],
  ])('refused: %s', (_, text, said) => {
    expect(problemsOf(text).join('\n')).toContain(said);
  });

  test('never repeat a secret that stands where none belongs', () => {
    expect(problemsOf(GATEWAY.replace('{ file: openai.key }', 'sk-secret')).join('\n')).not.toContain('sk-secret');
  });

  test('name the file that cannot be read', async () => {
    await expect(loadConfiguration(join(directory, 'none.yaml'))).rejects.toThrow('none.yaml: cannot be read');
  });
});

describe('paths', () => {
  test('of the delegation socket too; names of tasks are none', async () => {
    const text = `${SIDECAR}  delegation: {}\n  taskPorts: { 4181: directory }\n  tasks: { key: { type: llm_access, actions: [] } }\n`;
    const { sign } = (await load(text, 'delegating.yaml')).configuration;
    expect(sign?.delegation?.socket).toBe(join(directory, 'run/delegate.sock'));
    expect([sign?.taskPorts, Object.keys(sign?.tasks ?? {})]).toEqual([{ 4181: 'directory' }, ['key']]);
  });

  test('are relative to the file, wherever the program is started', async () => {
    const { configuration } = await load(
      `${GATEWAY}  service:
    listen: unix:run/v.sock
    tls: { certificate: c.pem, key: k.pem, clientCa: ca.pem, clientNames: [envoy], envoyCertificate: ec.pem, envoyKey: ek.pem }
  store: { file: data/h.db }
${SIDECAR}  gatewayCa: gw.pem
`,
    );
    const { verify, sign } = configuration;
    const at = (path: string) => join(directory, path);
    expect(verify?.service).toMatchObject({
      listen: `unix:${at('run/v.sock')}`,
      tls: {
        certificate: at('c.pem'),
        key: at('k.pem'),
        clientCa: at('ca.pem'),
        clientNames: ['envoy'],
        envoyCertificate: at('ec.pem'),
        envoyKey: at('ek.pem'),
      },
    });
    expect(verify?.store.file).toBe(at('data/h.db'));
    expect(verify?.providers.openai?.credential).toEqual({ file: at('openai.key') });
    expect(verify?.envoy.directory).toBe(at('run/verify-envoy'));
    expect(sign).toMatchObject({
      key: { file: at('agent.jwk') },
      gatewayCa: at('gw.pem'),
      localSecret: { environment: 'LOCAL_SECRET' },
    });
    expect(sign?.envoy.directory).toBe(at('run/sign-envoy'));
  });

  test('that are absolute stay as they are, and a relative name of the file does not matter', async () => {
    await load(`${GATEWAY}  store: { file: /var/lib/h.db }\n`, 'absolute.yaml');
    const { configuration } = await loadConfiguration(relative(process.cwd(), join(directory, 'absolute.yaml')));
    expect(configuration.verify?.store.file).toBe('/var/lib/h.db');
    expect(configuration.verify?.service.listen).toBe(`unix:${join(directory, 'run/verify.sock')}`);
  });

  test('are not made of names that only look like keys of paths', async () => {
    const { configuration } = await load(
      GATEWAY.replace('openai: {', 'file: { aliases: { key: model, file: other },').replace('providers:', 'providers:'),
      'names.yaml',
    );
    expect(configuration.verify?.providers.file).toMatchObject({ api: 'openai', aliases: { key: 'model', file: 'other' } });
  });

  test('a TCP address is no path', async () => {
    const { configuration } = await load(`${GATEWAY}  service: { listen: '127.0.0.1:9000' }\n`, 'tcp.yaml');
    expect(configuration.verify?.service.listen).toBe('127.0.0.1:9000');
  });
});

test('a port beyond loopback needs TLS, whichever the role', () => {
  const withService = (text: string, listen: string, more = '') =>
    text.replace(/^(\w+):\n/, `$1:\n  service: { listen: '${listen}'${more} }\n`);
  for (const text of [GATEWAY, SIDECAR]) {
    for (const listen of ['0.0.0.0:9001', '10.0.0.7:9001', '[::]:9001', 'gateway:9001'])
      expect(problemsOf(withService(text, listen))).toEqual([expect.stringContaining('beyond loopback')]);
    for (const listen of ['127.0.0.1:9001', 'localhost:9001', '[::1]:9001', 'unix:run/x.sock'])
      expect(problemsOf(withService(text, listen))).toEqual([]);
  }
});

test('a secret that stands in the file is refused with what to write instead, and not repeated', () => {
  const problems = [
    ...problemsOf(GATEWAY.replace('{ file: openai.key }', 'sk-secret')),
    ...problemsOf(SIDECAR.replace('{ environment: LOCAL_SECRET }', '{ fil: sk-secret }')),
  ];
  expect(problems).toEqual([
    expect.stringContaining('openai.credential: must be {file: PATH} or {environment: NAME}'),
    expect.stringContaining('localSecret: must be {file: PATH} or {environment: NAME}'),
  ]);
  expect(problems.join()).not.toContain('sk-secret');
});

// The sidecar's role without its Envoy: what a reload and a changed capability do to its session, and what keeps it from starting.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { loadConfiguration, type SignConfiguration } from '../../src/config.ts';
import { exportPrivateJwk } from '../../src/crypto/private-key.ts';
import { startSign } from '../../src/serve/start-sign.ts';
import { encodeCheck } from '../attacks/gate.ts';
import { keyOf } from '../keys.ts';
import { rootOf, START } from './held.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-start-sign-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string) => join(directory, name);
const issue = async (maxDepth: number) => writeFileSync(at('agent.capability'), `${(await rootOf({ maxDepth })).chain[0]}\n`);

beforeEach(async () => {
  writeFileSync(at('agent.jwk'), JSON.stringify(exportPrivateJwk(keyOf('agent'))), { mode: 0o600 });
  writeFileSync(at('local.secret'), 'secret', { mode: 0o600 });
  await issue(3);
});

async function configurationOf(more = ''): Promise<SignConfiguration> {
  writeFileSync(
    at('sidecar.yaml'),
    `sign:
  key: { file: agent.jwk }
  capability: { file: agent.capability }
  localSecret: { file: local.secret }
  gateway: https://gateway.example
${more}`,
  );
  const { sign } = (await loadConfiguration(at('sidecar.yaml'))).configuration;
  if (sign === undefined) throw new Error('no role sign');
  return sign;
}

async function start(configuration: SignConfiguration) {
  const lines: { msg: string; sid?: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const role = await startSign(configuration, { log, clock: () => START });
  return { role, opened: () => lines.filter(({ msg }) => msg === 'session opened'), lines };
}

/** What the service answers to Envoy about a request that presents this secret. */
async function ask(address: string, secret: string): Promise<string> {
  const lines: [string, string][] = [
    ['host', 'localhost'],
    ['content-type', 'application/json'],
    ['authorization', `Bearer ${secret}`],
  ];
  const request = { method: 'POST', target: '/openai/v1/chat/completions', lines, body: Buffer.from('{}') };
  const client = new Client(address, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  try {
    const path = '/envoy.service.auth.v3.Authorization/Check';
    return await new Promise((resolve, reject) =>
      client.makeUnaryRequest(path, same, same, encodeCheck(request), (error, reply) =>
        error ? reject(error) : resolve(String(reply)),
      ),
    );
  } finally {
    client.close();
  }
}

test('a session is opened at the start; a reload keeps it unless something of it changed', async () => {
  const { role, opened } = await start(await configurationOf());
  try {
    expect(opened()).toHaveLength(1);
    await role.reload(await configurationOf());
    expect(opened()).toHaveLength(1);
    await role.reload(await configurationOf('  session: { lifetimeMinutes: 30 }\n'));
    expect(new Set(opened().map(({ sid }) => sid)).size).toBe(2);
    for (const fixed of ['  delegation: {}\n', '  taskPorts: { 4181: t }\n', '  task: { header: x-job }\n'])
      await expect(role.reload(await configurationOf(fixed))).rejects.toThrow('changes only with a restart');
  } finally {
    await role.stop();
  }
});

test('the local secret is read again with a reload; where it cannot be, the old one stays', async () => {
  const { role } = await start(await configurationOf());
  const answers = async (secret: string) => (await ask(role.address, secret)).includes('agent-capability');
  try {
    expect([await answers('secret'), await answers('other')]).toEqual([true, false]);
    writeFileSync(at('local.secret'), 'other', { mode: 0o600 });
    expect(await answers('secret')).toBe(true);
    await role.reload(await configurationOf());
    expect([await answers('secret'), await answers('other')]).toEqual([false, true]);
    rmSync(at('local.secret'));
    await expect(role.reload(await configurationOf())).rejects.toThrow('sign.localSecret');
    expect(await answers('other')).toBe(true);
  } finally {
    await role.stop();
  }
});

test('a capability that changed is taken up within a second or two, one that was only touched is not', {
  timeout: 20_000,
}, async () => {
  const { role, lines } = await start(await configurationOf());
  const reread = () => lines.filter(({ msg }) => msg.includes('read again')).length;
  try {
    writeFileSync(at('agent.jwk'), JSON.stringify(exportPrivateJwk(keyOf('agent'))));
    await sleep(2500);
    expect(reread()).toBe(0);
    await issue(0);
    while (reread() === 0) await sleep(100);
    expect(lines.some(({ msg }) => msg.includes('without sessions and tasks'))).toBe(true);
  } finally {
    await role.stop();
  }
});

test('a task that is broader than the capability keeps it from starting', async () => {
  const tasks = `  tasks:
    wide: { type: llm_access, actions: [chat], models: [openai/*], max: { output_tokens: 1 } }
    unlimited: { type: llm_access, actions: [chat], models: [openai/gpt-5-mini] }
`;
  const starting = configurationOf(tasks).then(start);
  await expect(starting).rejects.toThrow(/sign\.tasks\.wide\.models: [\s\S]*sign\.tasks\.unlimited\.max\.output_tokens: /);
});

test('a delegation socket that another listens on keeps it from starting, and nothing is left behind', async () => {
  const delegating = '  delegation: {}\n';
  const { role } = await start(await configurationOf(delegating));
  try {
    const other = await configurationOf(`${delegating}  service: { listen: 'unix:run/other.sock' }\n`);
    await expect(start(other)).rejects.toThrow('is in use');
    expect(existsSync(at('run/other.sock'))).toBe(false);
  } finally {
    await role.stop();
  }
  expect(existsSync(at('run/delegate.sock'))).toBe(false);
});

// An orchestrator and its sub-agents, each with a sidecar of its own, on unmodified SDKs: sessions, tasks and delegations as the
// gateway records them, and where they end.

import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { hermesbridge, type LocalPair, startWorld, type World } from '../../examples/quickstart/local-world.ts';
import { hb } from '../cli/run-cli.ts';

const QUESTION = { role: 'user', content: 'Who asks?' } as const;
const CHAT = { model: 'gpt-5-mini', messages: [QUESTION] };
const MESSAGE = { model: 'claude-of-this-test', messages: [QUESTION], max_tokens: 64 };
const GRANT = ['--action', 'chat', '--model', 'openai/gpt-5*', '--model', 'anthropic/claude-*', '--max-depth', '4'];
const NARROW = ['--action', 'chat', '--model', 'openai/gpt-5-mini', '--model', 'anthropic/claude-of-this-test'];

interface SubAgent {
  readonly did: string;
  readonly capability: string;
  readonly pair: LocalPair;
}

let world: World;
let nightlyPort: number;
let sub: SubAgent;
let third: SubAgent;

const socketOf = (name: string) => join(world.directory, 'run', `${name}-delegate.sock`);

async function keygen(name: string): Promise<{ did: string; key: string }> {
  const key = join(world.directory, `${name}.jwk`);
  return { did: String((await hermesbridge('keygen', '--out', key)).didKey), key };
}

/** An agent that another one delegates to, with its sidecar. */
async function addSubAgent(name: string, from: string, grant: readonly string[]): Promise<SubAgent> {
  const { did, key } = await keygen(name);
  const capability = join(world.directory, `${name}.capability`);
  await hermesbridge('delegate', '--socket', socketOf(from), '--to', did, ...grant, '--out', capability);
  const delegation = { socket: socketOf(name) };
  const pair = await world.addSidecar(name, { key: { file: key }, capability: { file: capability }, delegation });
  return { did, capability, pair };
}

beforeAll(async () => {
  nightlyPort = await freePort();
  world = await startWorld({
    capability: GRANT,
    standIn: { pauseMs: 1 },
    sign: {
      delegation: { socket: 'run/orchestrator-delegate.sock' },
      tasks: { small: { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5-nano'] } },
      taskPorts: { [nightlyPort]: 'nightly-100%' },
    },
  });
  sub = await addSubAgent('sub', 'orchestrator', NARROW);
  third = await addSubAgent('third', 'sub', ['--action', 'chat', '--model', 'openai/gpt-5-mini']);
});
afterAll(() => world?.stop());
beforeEach(() => world.standIn.clear());

function sdks(url: string, task?: string) {
  const defaultHeaders = task === undefined ? {} : { 'x-agent-task': task };
  const apiKey = world.localSecret;
  return {
    openai: new OpenAI({ apiKey, baseURL: `${url}/openai/v1`, defaultHeaders, maxRetries: 0 }),
    anthropic: new Anthropic({ apiKey, authToken: null, baseURL: `${url}/anthropic`, defaultHeaders, maxRetries: 0 }),
  };
}

/** Both SDKs ask once; the records that this left. */
async function askBoth(url: string, task?: string): Promise<Record<string, unknown>[]> {
  const { openai, anthropic } = sdks(url, task);
  const chat = await openai.chat.completions.create(CHAT);
  expect(chat.choices[0]?.message.content).toBe(world.standIn.text);
  const message = await anthropic.messages.create(MESSAGE);
  expect(message.content[0]).toMatchObject({ type: 'text', text: world.standIn.text });
  const records = world.records(2);
  expect(records.map(({ effect, path }) => [effect, path])).toEqual([
    ['allow', '/openai/v1/chat/completions'],
    ['allow', '/anthropic/v1/messages'],
  ]);
  return records;
}

const refusal = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('the orchestrator', () => {
  it('is recorded in its session, with the whole chain', async () => {
    const [first, second] = await askBoth(world.sidecarUrl);
    expect(first).toMatchObject({ operator: world.operatorDid, agents: [world.agentDid, world.agentDid] });
    expect(first?.sid).toMatch(/^[\w-]{22}$/);
    expect(first?.task).toBeUndefined();
    expect([second?.sid, second?.keyid, second?.jti]).toEqual([first?.sid, first?.keyid, first?.jti]);
    const { tokens } = await hermesbridge('capability', 'inspect', world.files.capability);
    expect((tokens as { jkt: string }[])[0]?.jkt, 'not the key on the disk').not.toBe(first?.keyid);
  });

  it('is recorded with the task that its requests name, of which the provider hears nothing', async () => {
    const [session] = await askBoth(world.sidecarUrl);
    const [first, second] = await askBoth(world.sidecarUrl, 'invoice-17');
    for (const record of [first, second])
      expect(record).toMatchObject({ task: 'invoice-17', sid: session?.sid, agents: Array(3).fill(world.agentDid) });
    expect(second?.keyid).toBe(first?.keyid);
    expect(first?.keyid).not.toBe(session?.keyid);
    const seen = JSON.stringify(world.standIn.requests.map(({ rawHeaders }) => rawHeaders));
    expect(seen).not.toMatch(/x-agent|invoice-17/);
  });

  it('cannot do more in a task than the task may', async () => {
    const { openai } = sdks(world.sidecarUrl, 'small');
    expect(await refusal(openai.chat.completions.create(CHAT))).toMatchObject({ status: 403, code: 'capability-insufficient' });
    expect(world.records(1)).toMatchObject([{ effect: 'deny', task: 'small' }]);
    await openai.chat.completions.create({ ...CHAT, model: 'gpt-5-nano' });
    expect(world.records(1)).toMatchObject([{ effect: 'allow', task: 'small' }]);
  });

  it('has a port whose requests all belong to one task, whatever they say', async () => {
    for (const task of [undefined, 'another']) {
      const [record] = await askBoth(`http://127.0.0.1:${nightlyPort}`, task);
      expect(record).toMatchObject({ effect: 'allow', task: 'nightly-100%' });
    }
  });

  it('names its task to nobody: the header ends at the sidecar', async () => {
    const received: IncomingHttpHeaders[] = [];
    const gateway = createServer((request, response) => {
      received.push(request.headers);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    }).listen(0, '127.0.0.1');
    try {
      await new Promise((resolve) => gateway.once('listening', resolve));
      const pair = await world.addSidecar('beside', { gateway: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` });
      await sdks(pair.url, 'invoice-17').openai.chat.completions.create(CHAT);
      await pair.stop('SIGTERM');
    } finally {
      gateway.close();
      gateway.closeAllConnections();
    }
    expect(received).toHaveLength(1);
    expect(received[0]).toHaveProperty('agent-capability');
    expect(Object.keys(received[0] ?? {})).not.toContain('x-agent-task');
    expect(JSON.stringify({ ...received[0], 'agent-capability': '' })).not.toContain('invoice-17');
  });

  it('delegates over a socket of its owner’s alone', () => {
    expect(statSync(socketOf('orchestrator')).mode & 0o7777).toBe(0o600);
  });
});

describe('a sub-agent', () => {
  it('acts under its own DID in a session of its own, and the record has everyone above it', async () => {
    const [above] = await askBoth(world.sidecarUrl);
    const [record] = await askBoth(sub.pair.url);
    const agents = [world.agentDid, world.agentDid, sub.did, sub.did];
    expect(record).toMatchObject({ effect: 'allow', operator: world.operatorDid, agents, sid: above?.sid });
    const jti = record?.jti as string[];
    expect(jti).toHaveLength(4);
    expect(jti.slice(0, 2)).toEqual(above?.jti);
    expect(record?.token_hashes).toHaveLength(4);
    const [inTask] = await askBoth(sub.pair.url, 'review');
    expect(inTask).toMatchObject({ task: 'review', agents: [...agents, sub.did] });
  });

  it('is refused what its delegation leaves out, as the SDKs’ own permission error, although the orchestrator may', async () => {
    const { openai, anthropic } = sdks(sub.pair.url);
    const chat = await refusal(openai.chat.completions.create({ ...CHAT, model: 'gpt-5' }));
    expect(chat).toBeInstanceOf(OpenAI.PermissionDeniedError);
    const message = await refusal(anthropic.messages.create({ ...MESSAGE, model: 'claude-of-others' }));
    expect(message).toBeInstanceOf(Anthropic.PermissionDeniedError);
    expect(world.records(2)).toMatchObject(Array(2).fill({ effect: 'deny', reason: 'capability-insufficient' }));
    expect(world.standIn.requests).toEqual([]);
    await sdks(world.sidecarUrl).openai.chat.completions.create({ ...CHAT, model: 'gpt-5' });
  });

  it('delegates within its scope and depth, and not beyond either', async () => {
    await sdks(third.pair.url).openai.chat.completions.create(CHAT);
    const [record] = world.records(1);
    const agents = [world.agentDid, world.agentDid, sub.did, sub.did, third.did];
    expect(record).toMatchObject({ effect: 'allow', agents });
    const { did } = await keygen('fourth');
    const deeper = await hb(['delegate', '--socket', socketOf('third'), '--to', did, '--model', 'openai/gpt-5-mini']);
    expect([deeper.code, deeper.stdout]).toEqual([1, '']);
    expect(deeper.stderr).toContain('no deeper');
    const broader = await hb(['delegate', '--socket', socketOf('sub'), '--to', did, '--model', 'openai/gpt-5']);
    expect([broader.code, broader.stdout]).toEqual([1, '']);
    expect(broader.stderr).toContain('details.models');
    const back = await hb(['delegate', '--socket', socketOf('sub'), '--to', world.agentDid, '--model', 'openai/gpt-5-mini']);
    expect(back.stderr).toContain('comes back to an agent');
  });

  it('whose chain leaves no room for a task is refused by its sidecar, and the gateway hears nothing', async () => {
    const before = world.records(1000).length;
    const refused = await refusal(sdks(third.pair.url, 'review').openai.chat.completions.create(CHAT));
    expect(refused).toMatchObject({ status: 403, code: 'capability-insufficient' });
    expect(world.records(1000)).toHaveLength(before);
    expect(third.pair.log()).toContain('without sessions and tasks');
  });

  it('works on without the orchestrator’s sidecar, until its delegation ends', { timeout: 90_000 }, async () => {
    const LIFETIME_SECONDS = 15;
    const words = ['delegate', '--socket', socketOf('orchestrator'), '--to', sub.did, ...NARROW];
    const { expires } = await hermesbridge(...words, '--lifetime', `${LIFETIME_SECONDS}s`, '--out', sub.capability);
    while (!sub.pair.log().includes('capability and key read again')) await sleep(50);
    await world.sidecar?.stop('SIGKILL');
    await askBoth(sub.pair.url);
    await sleep(Date.parse(String(expires)) - Date.now() + 50);
    const { openai } = sdks(sub.pair.url);
    expect(await refusal(openai.chat.completions.create(CHAT))).toMatchObject({ status: 401, code: 'chain-invalid' });
    expect((await readFile(sub.capability, 'utf8')).trim().split('\n')).toHaveLength(3);
  });
});

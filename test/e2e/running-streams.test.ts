/**
 * Responses that run when their chain ends (profile section 6), with real parts: the OpenAI SDK, sidecar and gateway, a provider
 * whose every event the test writes, and restrictions made with the program's own commands.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { GATEWAY_NAME, hermesbridge, startWorld, type World } from '../../examples/quickstart/local-world.ts';
import { CHAT_END, chatEvent, type ScriptedCall, type ScriptedProvider, startScriptedProvider } from './scripted-provider.ts';

const QUESTION = { role: 'user', content: 'How long?' } as const;
const CHAT = { model: 'gpt-5-mini', messages: [QUESTION] };

let provider: ScriptedProvider;
let world: World;

interface Agent {
  readonly did: string;
  readonly openai: OpenAI;
}

async function startWith(verify: object = {}): Promise<World> {
  const route = { api: 'openai', upstream: provider.url, credential: { file: 'provider.key' } };
  return startWorld({ sidecar: false, verify: { providers: { openai: route }, ...verify } });
}

/** A further agent of the operator, with its sidecar. */
async function addAgent(name: string, { grant = [], sign = {} }: { grant?: string[]; sign?: object } = {}): Promise<Agent> {
  const key = join(world.directory, `${name}.jwk`);
  const capability = join(world.directory, `${name}.capability`);
  const { didKey } = await hermesbridge('keygen', '--out', key);
  const did = String(didKey);
  const to = ['--operator-key', world.files.operatorKey, '--agent', did, '--audience', GATEWAY_NAME];
  const { token } = await hermesbridge('capability', 'issue', ...to, '--action', 'chat', '--model', 'openai/gpt-5*', ...grant);
  await writeFile(capability, `${token}\n`);
  const { url } = await world.addSidecar(name, { key: { file: key }, capability: { file: capability }, ...sign });
  return { did, openai: new OpenAI({ apiKey: world.localSecret, baseURL: `${url}/openai/v1`, maxRetries: 0 }) };
}

interface Running {
  readonly call: ScriptedCall;
  readonly next: () => Promise<string | null | undefined>;
}

/** A stream whose first event has arrived. */
async function openStream({ openai }: Agent): Promise<Running> {
  const creating = openai.chat.completions.create({ ...CHAT, stream: true });
  const call = await provider.next();
  call.response.writeHead(200, { 'content-type': 'text/event-stream' }).write(chatEvent('first'));
  const events = (await creating)[Symbol.asyncIterator]();
  const next = async () => {
    const event = await events.next();
    return event.done ? undefined : event.value.choices[0]?.delta.content;
  };
  expect(await next()).toBe('first');
  return { call, next };
}

function revoke(kind: string, id: string): Promise<Record<string, unknown>> {
  const store = join(world.directory, 'run/hermesbridge.db');
  return hermesbridge('revoke', kind, id, '--key', world.files.operatorKey, '--store', store);
}

async function expectBroken({ call, next }: Running): Promise<void> {
  await expect(next()).rejects.toThrow();
  await call.closed;
}

async function expectGoingOn({ call, next }: Running): Promise<void> {
  call.response.write(chatEvent('more'));
  expect(await next()).toBe('more');
}

/** The gateway looks ten times a second at what another program wrote. */
async function untilDenied({ openai }: Agent): Promise<void> {
  const denied = { status: 401, code: 'revoked' };
  const ask = () => openai.chat.completions.create(CHAT, { timeout: 1000 });
  await vi.waitFor(() => expect(ask()).rejects.toMatchObject(denied), { timeout: 20_000 });
}

const cuts = () => world.records(1000).filter(({ effect }) => effect === 'cut');

describe('a response that runs', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    provider = await startScriptedProvider();
    world = await startWith();
  });
  afterAll(async () => {
    await world?.stop();
    await provider?.[Symbol.asyncDispose]();
  });

  it('falls when its agent is revoked, with all others of that agent and none of another', async () => {
    const [one, other] = [await addAgent('one'), await addAgent('other')];
    const untouched = [await openStream(other), await openStream(other)];
    const streams: Running[] = [];
    for (let at = 0; at < 64; at++) streams.push(await openStream(one));
    const { id } = await revoke('agent', one.did);
    await Promise.all(streams.map(expectBroken));
    await Promise.all(untouched.map(expectGoingOn));
    await vi.waitFor(() => expect(cuts()).toHaveLength(64), { timeout: 5000 });
    for (const cut of cuts()) expect(cut).toMatchObject({ agents: [one.did], reason: 'revoked', restriction: id });
    const allowed = world.records(1000).filter(({ effect, agents }) => effect === 'allow' && String(agents) === one.did);
    expect(new Set(cuts().map((cut) => cut.decision_id))).toEqual(new Set(allowed.map((record) => record.decision_id)));
    await expect(one.openai.chat.completions.create(CHAT)).rejects.toMatchObject({ status: 401, code: 'revoked' });
    for (const { call, next } of untouched) {
      call.response.end(CHAT_END);
      expect(await next()).toBeUndefined();
    }
  });

  it('falls when its session is ended', async () => {
    const sign = { delegation: { socket: 'run/session-delegate.sock' } };
    const agent = await addAgent('session', { grant: ['--max-depth', '2'], sign });
    const stream = await openStream(agent);
    const sid = String(world.records(1)[0]?.sid);
    expect(sid).toMatch(/^[\w-]{10,}$/);
    await revoke('session', sid);
    await expectBroken(stream);
    await vi.waitFor(() => expect(world.records(1)).toMatchObject([{ effect: 'cut', reason: 'revoked', sid }]));
  });

  it('falls when the lifetime of its chain is over', async () => {
    const agent = await addAgent('brief', { grant: ['--lifetime', '20s'] });
    const token = (await readFile(join(world.directory, 'brief.capability'), 'utf8')).trim();
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp: number };
    const stream = await openStream(agent);
    await expectBroken(stream);
    expect(Date.now() / 1000 - exp).toBeGreaterThanOrEqual(0);
    expect(Date.now() / 1000 - exp).toBeLessThan(3);
    await vi.waitFor(() => expect(world.records(1)).toMatchObject([{ effect: 'cut', reason: 'expired', agents: [agent.did] }]));
  });

  it('does not begin when its agent was revoked after the Check', async () => {
    const agent = await addAgent('waiting');
    const asking = agent.openai.chat.completions.create({ ...CHAT, stream: true }).catch((error: unknown) => error);
    const call = await provider.next();
    const { id } = await revoke('agent', agent.did);
    await untilDenied(agent);
    call.response.writeHead(200, { 'content-type': 'text/event-stream' }).write(chatEvent('too late'));
    expect(await asking).toMatchObject({ status: 503 });
    await call.closed;
    await vi.waitFor(() => expect(world.records(1)).toMatchObject([{ effect: 'cut', restriction: id, agents: [agent.did] }]));
  });

  it('falls when the gateway is killed', async () => {
    const stream = await openStream(await addAgent('killed'));
    await world.restartGateway('SIGKILL');
    await expectBroken(stream);
  });
});

describe('without verify.streams.cut', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    provider = await startScriptedProvider();
    world = await startWith({ streams: { cut: false } });
  });
  afterAll(async () => {
    await world?.stop();
    await provider?.[Symbol.asyncDispose]();
  });

  it('a response goes on when its agent is revoked, and only new requests are denied', async () => {
    const agent = await addAgent('uncut');
    const stream = await openStream(agent);
    await revoke('agent', agent.did);
    await untilDenied(agent);
    await expectGoingOn(stream);
    stream.call.response.end(CHAT_END);
    expect(cuts()).toEqual([]);
  });
});

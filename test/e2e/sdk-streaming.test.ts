/**
 * The main job with real parts: an unmodified SDK, the sidecar pair, the gateway pair (each Envoy and service), a provider. For every
 * key type; then the faults of a provider and of a caller, with a provider whose answers the test writes (profile sections 7 to 9).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PROVIDER_KEY, startWorld, type World } from '../../examples/quickstart/local-world.ts';
import { CHAT_END, chatAnswer, chatEvent, type ScriptedProvider, startScriptedProvider } from './scripted-provider.ts';
import { expectOnlyTheProvidersOwn, expectStreamed, readStream } from './streamed.ts';

const QUESTION = { role: 'user', content: 'Does the first token come before the last?' } as const;
const CHAT = { model: 'gpt-5-mini', messages: [QUESTION] };
const MESSAGE = { model: 'claude-of-this-test', messages: [QUESTION] };
const GRANT = ['chat', 'embed']
  .flatMap((action) => ['--action', action])
  .concat(
    ['openai/gpt-5*', 'openai/text-embedding-3-*', 'anthropic/claude-*', 'gemini/gemini-2*'].flatMap((model) => [
      '--model',
      model,
    ]),
  );

const sdks = ({ sidecarUrl, localSecret }: World, apiKey = localSecret) => ({
  // The SDKs' own retries stay on: what must not be retried is proven by what arrived.
  openai: new OpenAI({ apiKey, baseURL: `${sidecarUrl}/openai/v1` }),
  anthropic: new Anthropic({ apiKey, authToken: null, baseURL: `${sidecarUrl}/anthropic` }),
});

describe.each(['Ed25519', 'ES256', 'PS256', 'PS512'] as const)('an agent with an %s key', (algorithm) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ algorithm, capability: GRANT });
  });
  afterAll(() => world?.stop());
  beforeEach(() => world.standIn.clear());

  /** The newest record allows it and says who did what; the provider was called once and saw nothing of that. */
  function expectAllowed(record: Record<string, unknown>, provider: 'openai' | 'anthropic' | 'gemini', path: string): void {
    const facts = { effect: 'allow', agents: [world.agentDid], operator: world.operatorDid, method: 'POST' };
    const [newest] = world.records(1);
    expect(newest).toMatchObject({ ...facts, path: `/${provider}${path}`, ...record });
    expect(world.standIn.requests.map((received) => received.path)).toEqual([path]);
    const credential = {
      openai: ['authorization', `Bearer ${PROVIDER_KEY}`],
      anthropic: ['x-api-key', PROVIDER_KEY],
      gemini: ['x-goog-api-key', PROVIDER_KEY],
    } as const;
    const secrets = [world.localSecret, world.agentDid, world.operatorDid, String(newest?.keyid)];
    expectOnlyTheProvidersOwn(world.standIn.requests[0], credential[provider], secrets);
  }

  it('streams Chat Completions', async () => {
    const stream = await sdks(world).openai.chat.completions.create({ ...CHAT, stream: true });
    expectStreamed(await readStream(stream, (chunk) => chunk.choices[0]?.delta.content), world.standIn.text);
    expectAllowed({ action: 'chat', model: 'openai/gpt-5-mini' }, 'openai', '/v1/chat/completions');
    expect(JSON.parse(String(world.standIn.requests[0]?.body))).toEqual({ ...CHAT, stream: true });
  });

  it('streams Responses', async () => {
    const stream = await sdks(world).openai.responses.create({ model: 'gpt-5', input: QUESTION.content, stream: true });
    const textOf = (event: OpenAI.Responses.ResponseStreamEvent) =>
      event.type === 'response.output_text.delta' ? event.delta : '';
    expectStreamed(await readStream(stream, textOf), world.standIn.text);
    expectAllowed({ action: 'chat', model: 'openai/gpt-5' }, 'openai', '/v1/responses');
  });

  it('streams Messages', async () => {
    const stream = await sdks(world).anthropic.messages.create({ ...MESSAGE, max_tokens: 64, stream: true });
    const textOf = (event: Anthropic.RawMessageStreamEvent) =>
      event.type === 'content_block_delta' && event.delta.type === 'text_delta' ? event.delta.text : '';
    expectStreamed(await readStream(stream, textOf), world.standIn.text);
    expectAllowed({ action: 'chat', model: 'anthropic/claude-of-this-test' }, 'anthropic', '/v1/messages');
  });

  it('gets embeddings', async () => {
    const input = { model: 'text-embedding-3-small', input: 'a bridge', dimensions: 16, encoding_format: 'float' as const };
    const answer = await sdks(world).openai.embeddings.create(input);
    expect(answer.data[0]?.embedding).toHaveLength(16);
    expectAllowed({ action: 'embed', model: 'openai/text-embedding-3-small' }, 'openai', '/v1/embeddings');
  });

  it('gets whole answers: Chat Completions, Messages', async () => {
    const chat = await sdks(world).openai.chat.completions.create(CHAT);
    expect(chat.choices[0]?.message.content).toBe(world.standIn.text);
    expectAllowed({ action: 'chat', model: 'openai/gpt-5-mini' }, 'openai', '/v1/chat/completions');
    world.standIn.clear();
    const message = await sdks(world).anthropic.messages.create({ ...MESSAGE, max_tokens: 64 });
    expect(message.content[0]).toMatchObject({ type: 'text', text: world.standIn.text });
    expectAllowed({ action: 'chat', model: 'anthropic/claude-of-this-test' }, 'anthropic', '/v1/messages');
  });

  it('calls Gemini', async () => {
    const path = '/v1beta/models/gemini-2.5-flash:generateContent';
    const answer = await fetch(`${world.sidecarUrl}/gemini${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-goog-api-key': world.localSecret },
      body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: QUESTION.content }] }] }),
    });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain(world.standIn.text);
    expectAllowed({ action: 'chat', model: 'gemini/gemini-2.5-flash' }, 'gemini', path);
  });

  it('is denied another model, once, as the SDKs’ own permission error', async () => {
    const { openai, anthropic } = sdks(world);
    const before = world.records(1000).length;
    const refused = [
      openai.chat.completions.create({ ...CHAT, model: 'o3-pro' }),
      openai.embeddings.create({ model: 'text-embedding-ada-002', input: 'a bridge' }),
      anthropic.messages.create({ ...MESSAGE, model: 'other', max_tokens: 64 }),
    ];
    const [chat, embedding, message] = await Promise.all(refused.map((call) => call.catch((error: unknown) => error)));
    for (const error of [chat, embedding]) {
      expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError);
      expect(error).toMatchObject({ status: 403, code: 'capability-insufficient', type: 'permission_error' });
    }
    expect(message).toBeInstanceOf(Anthropic.PermissionDeniedError);
    expect(message).toMatchObject({ status: 403, error: { error: { code: 'capability-insufficient' } } });
    const records = world.records(1000).slice(before);
    expect(records.map(({ effect, reason }) => ({ effect, reason }))).toEqual(
      Array(3).fill({ effect: 'deny', reason: 'capability-insufficient' }),
    );
    expect(world.standIn.requests).toEqual([]);
  });
});

describe('an SDK without the local secret', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld();
  });
  afterAll(() => world?.stop());

  it('gets its authentication error at the sidecar; neither gateway nor provider hears of it', async () => {
    const { openai, anthropic } = sdks(world, 'sk-not-the-local-secret');
    const chat = await openai.chat.completions.create(CHAT).catch((error: unknown) => error);
    expect(chat).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(chat).toMatchObject({ status: 401, code: 'local-secret' });
    expect(String(chat)).not.toContain('sk-not-the-local-secret');
    const message = await anthropic.messages.create({ ...MESSAGE, max_tokens: 64 }).catch((error: unknown) => error);
    expect(message).toBeInstanceOf(Anthropic.AuthenticationError);
    expect(world.records()).toEqual([]);
    expect(world.standIn.requests).toEqual([]);
  });

  it('straight at the gateway is denied for want of a capability', async () => {
    const openai = new OpenAI({ apiKey: world.localSecret, baseURL: `${world.gatewayUrl}/openai/v1` });
    const chat = await openai.chat.completions.create(CHAT).catch((error: unknown) => error);
    expect(chat).toBeInstanceOf(OpenAI.PermissionDeniedError);
    expect(chat).toMatchObject({ status: 403, code: 'capability-missing' });
    expect(world.records()).toMatchObject([{ effect: 'deny', reason: 'capability-missing' }]);
  });
});

describe('a provider that', () => {
  const MAX_BYTES = 64 * 1024;
  let provider: ScriptedProvider;
  let world: World;
  let openai: OpenAI;
  beforeAll(async () => {
    provider = await startScriptedProvider();
    const route = { upstream: provider.url, credential: { file: 'provider.key' } };
    const providers = { openai: { api: 'openai', ...route }, anthropic: { api: 'anthropic', ...route } };
    world = await startWorld({ verify: { providers, maxRequestBytes: MAX_BYTES } });
    openai = sdks(world).openai;
  });
  afterAll(async () => {
    await world?.stop();
    await provider?.[Symbol.asyncDispose]();
  });

  /** Starts a stream whose first event has arrived at the caller. */
  async function openStream(first: string) {
    const creating = openai.chat.completions.create({ ...CHAT, stream: true });
    const call = await provider.next();
    call.response.writeHead(200, { 'content-type': 'text/event-stream' }).write(chatEvent(first));
    const stream = await creating;
    const events = stream[Symbol.asyncIterator]();
    const next = async () => {
      const event = await events.next();
      return event.done ? undefined : event.value.choices[0]?.delta.content;
    };
    expect(await next()).toBe(first);
    return { call, stream, next };
  }

  it('falls silent for five seconds in the middle of a stream is waited for', async () => {
    const { call, next } = await openStream('before');
    await sleep(5000);
    call.response.write(chatEvent('after'));
    expect(await next()).toBe('after');
    call.response.end(CHAT_END);
    expect(await next()).toBeUndefined();
  });

  it('serves two streams serves them side by side: neither waits for the other', async () => {
    const slow = await openStream('slow 1');
    const fast = await openStream('fast 1');
    fast.call.response.write(chatEvent('fast 2'));
    expect(await fast.next()).toBe('fast 2');
    fast.call.response.end(CHAT_END);
    expect(await fast.next()).toBeUndefined();
    slow.call.response.end(chatEvent('slow 2') + CHAT_END);
    expect(await slow.next()).toBe('slow 2');
    expect(await slow.next()).toBeUndefined();
  });

  it('streams to a caller who aborts is closed at once, so that no more tokens are bought', async () => {
    const { call, stream } = await openStream('first');
    const abortedAt = performance.now();
    stream.controller.abort();
    expect((await call.closed) - abortedAt).toBeLessThan(1000);
    expect(call.response.writableEnded).toBe(false);
  });

  it('breaks off a stream is seen by the caller as broken, not as finished', async () => {
    const { call, next } = await openStream('first');
    call.response.destroy();
    await expect(next()).rejects.toThrow();
  });

  it('fails once is asked again by the SDK, signed afresh, with the same idempotency key, which the signature covers', async () => {
    const before = world.records(1000).length;
    const asking = openai.chat.completions.create(CHAT, { headers: { 'idempotency-key': 'key-of-this-task' } });
    const first = await provider.next();
    first.response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"try again"}}');
    const second = await provider.next();
    second.response.writeHead(200, { 'content-type': 'application/json' }).end(chatAnswer('second time'));
    expect((await asking).choices[0]?.message.content).toBe('second time');
    expect([first, second].map(({ request }) => request.headers['idempotency-key'])).toEqual(Array(2).fill('key-of-this-task'));
    expect(second.body).toEqual(first.body);
    const inputs = world
      .records(1000)
      .slice(before)
      .map((record) => String(record.signature_input));
    expect(inputs).toHaveLength(2);
    for (const input of inputs) expect(input).toContain(' "idempotency-key")');
    const nonces = inputs.map((input) => /;nonce="([\w-]+)"/.exec(input)?.[1]);
    expect(new Set(nonces).size).toBe(2);
  });

  it('counts tokens is asked as its SDK asks it', async () => {
    const counting = sdks(world).anthropic.messages.countTokens(MESSAGE);
    const { request, body, response } = await provider.next();
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"input_tokens":11}');
    expect(await counting).toMatchObject({ input_tokens: 11 });
    expect([request.url, request.headers['x-api-key']]).toEqual(['/v1/messages/count_tokens', PROVIDER_KEY]);
    expect(JSON.parse(String(body))).toEqual(MESSAGE);
    const facts = { effect: 'allow', action: 'chat', model: 'anthropic/claude-of-this-test' };
    expect(world.records(1)).toMatchObject([{ ...facts, path: '/anthropic/v1/messages/count_tokens' }]);
  });

  it('refuses in its own words is quoted: its status and body are passed on as they are', async () => {
    const asking = openai.chat.completions.create(CHAT, { maxRetries: 0 }).catch((error: unknown) => error);
    const { response } = await provider.next();
    response.writeHead(429, { 'content-type': 'application/json' }).end('{"error":{"message":"slow down","code":"theirs"}}');
    expect(await asking).toMatchObject({ status: 429, code: 'theirs' });
  });

  describe('takes bodies as large as the gateway allows:', () => {
    const bodyOf = (bytes: number) => {
      const body = JSON.stringify({ ...CHAT, messages: [{ role: 'user', content: '' }] });
      return body.replace('""', `"${'a'.repeat(bytes - body.length)}"`);
    };
    const send = (bytes: number) =>
      fetch(`${world.sidecarUrl}/openai/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${world.localSecret}` },
        body: bodyOf(bytes),
      });

    it('exactly maxRequestBytes arrive', async () => {
      const sending = send(MAX_BYTES);
      const { body, response } = await provider.next();
      response.writeHead(200, { 'content-type': 'application/json' }).end(chatAnswer('read'));
      expect((await sending).status).toBe(200);
      expect(body.length).toBe(MAX_BYTES);
      expect(world.records(1)).toMatchObject([{ effect: 'allow', body_bytes: MAX_BYTES }]);
    });

    it('one byte more is 413 from the gateway, and the provider hears nothing', async () => {
      const [before, recorded] = [provider.count(), world.records(1000).length];
      const answer = await send(MAX_BYTES + 1);
      expect(answer.status).toBe(413);
      await answer.text();
      expect(provider.count()).toBe(before);
      expect(
        world
          .records(1000)
          .slice(recorded)
          .filter(({ effect }) => effect === 'allow'),
      ).toEqual([]);
    });

    it('the sidecar has a limit of its own, 4 MiB', async () => {
      const before = provider.count();
      const answer = await send(4 * 1024 * 1024 + 1);
      expect(answer.status).toBe(413);
      await answer.text();
      expect(provider.count()).toBe(before);
    });
  });
});

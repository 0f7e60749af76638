/** The provider stand-in itself, called without a gateway by the SDKs that the end-to-end tests use. */
import { createHash, randomBytes } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type LlmStandIn, startLlmStandIn } from '../../examples/quickstart/llm-stand-in.ts';

const KEY = 'key-of-the-provider';
const QUESTION = { role: 'user', content: 'Does the first token come before the last?' } as const;
/** The acceptance bound: a stream that is buffered anywhere arrives within a few milliseconds. */
const MIN_SPREAD_MS = 150;

let standIn: LlmStandIn;
beforeAll(async () => {
  standIn = await startLlmStandIn({ requireKey: KEY });
});
afterAll(() => standIn.stop());
beforeEach(() => standIn.clear());

const openai = (apiKey = KEY) => new OpenAI({ apiKey, baseURL: `${standIn.url}/v1`, maxRetries: 0 });
const anthropic = (apiKey = KEY) => new Anthropic({ apiKey, authToken: null, baseURL: standIn.url, maxRetries: 0 });

/** Reads a stream to its end: the text pieces and the milliseconds from the first piece to the last. */
async function readPieces<Event>(events: AsyncIterable<Event>, textOf: (event: Event) => string | null | undefined) {
  const pieces: { text: string; at: number }[] = [];
  for await (const event of events) {
    const text = textOf(event);
    if (text) pieces.push({ text, at: performance.now() });
  }
  return {
    text: pieces.map((piece) => piece.text).join(''),
    count: pieces.length,
    spreadMs: (pieces.at(-1)?.at ?? 0) - (pieces[0]?.at ?? 0),
  };
}

function expectPaused(read: Awaited<ReturnType<typeof readPieces>>): void {
  expect(read.text).toBe(standIn.text);
  expect(read.count).toBeGreaterThanOrEqual(10);
  expect(read.spreadMs).toBeGreaterThanOrEqual(MIN_SPREAD_MS);
}

describe('streams arrive piece by piece', () => {
  it('OpenAI Chat Completions', async () => {
    const stream = await openai().chat.completions.create({ model: 'gpt-any', messages: [QUESTION], stream: true });
    expectPaused(await readPieces(stream, (chunk) => chunk.choices[0]?.delta.content));
  });

  it('OpenAI Responses', async () => {
    const stream = await openai().responses.create({ model: 'gpt-any', input: QUESTION.content, stream: true });
    expectPaused(await readPieces(stream, (event) => (event.type === 'response.output_text.delta' ? event.delta : '')));
  });

  it('Anthropic Messages', async () => {
    const stream = await anthropic().messages.create({ model: 'claude-any', max_tokens: 64, messages: [QUESTION], stream: true });
    const textOf = (event: Anthropic.RawMessageStreamEvent) =>
      event.type === 'content_block_delta' && event.delta.type === 'text_delta' ? event.delta.text : '';
    expectPaused(await readPieces(stream, textOf));
  });

  it('Gemini streamGenerateContent', async () => {
    const answer = await fetch(`${standIn.url}/v1beta/models/gemini-any:streamGenerateContent?alt=sse`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-goog-api-key': KEY },
      body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: QUESTION.content }] }] }),
    });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    if (answer.body === null) throw new Error('the answer has no body');
    const events = answer.body.pipeThrough(new TextDecoderStream());
    expectPaused(await readPieces(events, (text) => [...text.matchAll(/"text":"([^"]*)"/g)].map((match) => match[1]).join('')));
  });
});

describe('answers in one piece', () => {
  it('chats carry the known text for any model', async () => {
    const chat = await openai().chat.completions.create({ model: 'no-such-model', messages: [QUESTION] });
    expect(chat.choices[0]?.message.content).toBe(standIn.text);
    const message = await anthropic().messages.create({ model: 'no-such-model', max_tokens: 64, messages: [QUESTION] });
    expect(message.content[0]).toMatchObject({ type: 'text', text: standIn.text });
  });

  it('embeddings have the asked number of dimensions and depend on the input', async () => {
    const embed = (input: string) =>
      openai().embeddings.create({ model: 'embed-any', input, dimensions: 16, encoding_format: 'float' });
    const [one, two] = [(await embed('one')).data[0]?.embedding, (await embed('two')).data[0]?.embedding];
    expect(one).toHaveLength(16);
    expect(two).not.toEqual(one);
  });

  it.each([
    ['Azure OpenAI', '/openai/deployments/any/chat/completions?api-version=2024-10-21', { messages: [QUESTION] }],
    ['Bedrock invoke', '/model/any/invoke', { anthropic_version: 'bedrock-2023-05-31', max_tokens: 64, messages: [QUESTION] }],
    ['Bedrock converse', '/model/any/converse', { messages: [{ role: 'user', content: [{ text: QUESTION.content }] }] }],
  ])('%s', async (_api, path, body) => {
    const headers = { 'content-type': 'application/json', 'api-key': KEY };
    const answer = await fetch(standIn.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain(standIn.text);
  });
});

describe('the request log', () => {
  it('keeps method, target, credential and body of an SDK call, and forgets them on clear', async () => {
    expect(standIn.requests).toHaveLength(0);
    await openai().chat.completions.create({ model: 'gpt-any', messages: [QUESTION] });
    expect(standIn.requests).toHaveLength(1);
    const [received] = standIn.requests;
    expect(received).toMatchObject({ method: 'POST', path: '/v1/chat/completions', complete: true });
    expect(received?.headers).toMatchObject({ authorization: `Bearer ${KEY}`, host: new URL(standIn.url).host });
    expect(JSON.parse(String(received?.body))).toEqual({ model: 'gpt-any', messages: [QUESTION] });
    standIn.clear();
    expect(standIn.requests).toHaveLength(0);
  });

  it('keeps repeated headers apart, lower-cases names and keeps every byte of a large body that is no JSON', async () => {
    const body = randomBytes(300_000);
    const fields = [
      'X-Trace',
      'one',
      'x-trace',
      'two',
      'Constructor',
      'c',
      'X-Api-Key',
      KEY,
      'Content-Length',
      String(body.length),
    ];
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      // Fields given as a list are sent as they are, so this request has no Host field either.
      request(`${standIn.url}/v1/messages?beta=true`, { method: 'POST', headers: fields }, resolve)
        .once('error', reject)
        .end(body);
    });
    expect(answer.statusCode).toBe(400);
    expect(JSON.parse(await text(answer))).toMatchObject({ error: { type: 'invalid_request_error' } });
    const [received] = standIn.requests;
    expect(received?.path).toBe('/v1/messages?beta=true');
    expect(received?.rawHeaders.slice(0, 3)).toEqual([
      ['x-trace', 'one'],
      ['x-trace', 'two'],
      ['constructor', 'c'],
    ]);
    expect(received?.headers).toMatchObject({ 'x-trace': 'one, two', constructor: 'c', 'x-api-key': KEY });
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(digest(received?.body ?? Buffer.alloc(0))).toBe(digest(body));
  });
});

describe('the key', () => {
  it('is asked for: a wrong one is 401 and is logged', async () => {
    await expect(openai('wrong').chat.completions.create({ model: 'gpt-any', messages: [QUESTION] })).rejects.toBeInstanceOf(
      OpenAI.AuthenticationError,
    );
    const call = anthropic('wrong').messages.create({ model: 'claude-any', max_tokens: 64, messages: [QUESTION] });
    await expect(call).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
    expect(standIn.requests.map(({ path, complete }) => ({ path, complete }))).toEqual([
      { path: '/v1/chat/completions', complete: true },
      { path: '/v1/messages', complete: true },
    ]);
  });

  it('is not asked for when none is set; two stand-ins run side by side', async () => {
    const open = await startLlmStandIn({ text: 'short', chunks: 2, pauseMs: 0 });
    const client = new OpenAI({ apiKey: 'anything', baseURL: `${open.url}/v1`, maxRetries: 0 });
    const chat = await client.chat.completions.create({ model: 'gpt-any', messages: [QUESTION] });
    await open.stop();
    expect(chat.choices[0]?.message.content).toBe('short');
    expect(open.requests).toHaveLength(1);
    expect(standIn.requests).toHaveLength(0);
  });
});

it('stop cuts an open answer and frees the port', async () => {
  const first = await startLlmStandIn({ pauseMs: 5_000 });
  const client = new OpenAI({ apiKey: 'anything', baseURL: `${first.url}/v1`, maxRetries: 0 });
  const call = client.chat.completions.create({ model: 'gpt-any', messages: [QUESTION], stream: true });
  const cut = expect(call).rejects.toBeInstanceOf(OpenAI.APIConnectionError);
  await expect.poll(() => first.requests.length).toBe(1);
  await Promise.all([first.stop(), first.stop()]);
  await cut;
  const second = await startLlmStandIn({ port: first.port });
  expect(second.url).toBe(first.url);
  await expect(startLlmStandIn({ port: first.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await second.stop();
});

// The real SDKs' requests, captured through their `fetch` option, are read to what was asked of the SDK.

import Anthropic from '@anthropic-ai/sdk';
import OpenAI, { AzureOpenAI } from 'openai';
import { describe, expect, it } from 'vitest';
import type { ProviderApi, WantedAccess } from '../../../src/checks/capability/provider-api.ts';
import { provider as anthropicApi } from '../../../src/checks/capability/providers/anthropic.ts';
import { provider as azureApi } from '../../../src/checks/capability/providers/azure-openai.ts';
import { provider as openaiApi } from '../../../src/checks/capability/providers/openai.ts';
import { wantsOf } from './wants.ts';

type Fetch = typeof globalThis.fetch;

/** What the gateway reads out of the one request that `call` sends. */
async function captured(api: ProviderApi, call: (fetch: Fetch) => Promise<unknown>): Promise<WantedAccess> {
  const seen: WantedAccess[] = [];
  const errors: unknown[] = [];
  await call(async (input, init) => {
    // The openai package asks a `data:` URL first whether this fetch can take a form.
    if (String(input).startsWith('data:')) return globalThis.fetch(input, init);
    try {
      const request = new Request(input, init);
      const url = new URL(request.url);
      const type = request.headers.get('content-type') ?? undefined;
      seen.push(wantsOf(api, request.method, url.pathname + url.search, new Uint8Array(await request.arrayBuffer()), type));
    } catch (error) {
      errors.push(error);
    }
    return new Response('{}', { status: 418, headers: { 'content-type': 'application/json' } });
  }).catch(() => undefined); // 418 ends the call; what counts was seen before
  expect(errors).toEqual([]);
  expect(seen).toHaveLength(1);
  return seen[0] as WantedAccess;
}

const messages = [{ role: 'user' as const, content: 'hi' }];
const audio = () => new File(['RIFF'], 'a.wav', { type: 'audio/wav' });
const fn = { type: 'function' as const, function: { name: 'get_time', parameters: {} } };

describe('openai', () => {
  const cases: [string, (client: OpenAI) => Promise<unknown>, Partial<WantedAccess>][] = [
    [
      'chat',
      (c) => c.chat.completions.create({ model: 'gpt-5', messages, tools: [fn], max_completion_tokens: 9, n: 2 }),
      { action: 'chat', model: 'gpt-5', tools: ['get_time'], outputTokens: 18 },
    ],
    [
      'chat stream',
      (c) => c.chat.completions.create({ model: 'gpt-5', messages, stream: true, web_search_options: {} }),
      { action: 'chat', tools: ['web_search'] },
    ],
    [
      'responses',
      (c) =>
        c.responses.create({
          model: 'gpt-5',
          input: 'hi',
          max_output_tokens: 16,
          tools: [{ type: 'web_search' }, { type: 'mcp', server_label: 'gh', server_url: 'https://x.test' }],
        }),
      { tools: ['web_search', 'mcp:gh/*'], outputTokens: 16 },
    ],
    [
      'embeddings',
      (c) => c.embeddings.create({ model: 'e', input: ['a', 'b'] }),
      { action: 'embed', model: 'e', outputTokens: 0 },
    ],
    ['image', (c) => c.images.generate({ model: 'gpt-image-1', prompt: 'x' }), { action: 'image', model: 'gpt-image-1' }],
    [
      'image edit',
      (c) => c.images.edit({ model: 'gpt-image-1', prompt: 'x', n: 2, image: [audio(), audio()], mask: audio() }),
      { action: 'image', model: 'gpt-image-1' },
    ],
    [
      'image variation',
      (c) => c.images.createVariation({ model: 'dall-e-2', image: audio() }),
      { action: 'image', model: 'dall-e-2' },
    ],
    ['speech', (c) => c.audio.speech.create({ model: 'tts-1', input: 'x', voice: 'alloy' }), { action: 'audio', model: 'tts-1' }],
    [
      'transcription',
      (c) =>
        c.audio.transcriptions.create({
          model: 'whisper-1',
          file: audio(),
          include: ['logprobs'],
          timestamp_granularities: ['word', 'segment'],
          response_format: 'verbose_json',
          chunking_strategy: { type: 'server_vad', threshold: 0.5 },
        }),
      { action: 'audio', model: 'whisper-1' },
    ],
    [
      'translation',
      (c) => c.audio.translations.create({ model: 'whisper-1', file: audio() }),
      { action: 'audio', model: 'whisper-1' },
    ],
    ['models', (c) => c.models.list(), { action: 'models' }],
    ['model', (c) => c.models.retrieve('ft:gpt-4o:org::x'), { action: 'models', model: 'ft:gpt-4o:org::x' }],
  ];
  it.each(cases)('%s', async (_, call, expected) => {
    expect(
      await captured(openaiApi, (fetch) =>
        call(new OpenAI({ apiKey: 'k', baseURL: 'http://localhost/v1', fetch, maxRetries: 0 })),
      ),
    ).toMatchObject(expected);
  });
});

describe('openai against Azure', () => {
  const azure = (fetch: Fetch) =>
    new AzureOpenAI({ apiKey: 'k', endpoint: 'http://localhost', apiVersion: '2025-04-01-preview', fetch, maxRetries: 0 });
  it('chat', async () => {
    const wanted = await captured(azureApi, (fetch) =>
      azure(fetch).chat.completions.create({ model: 'my-gpt', messages, max_tokens: 3 }),
    );
    expect(wanted).toEqual({ action: 'chat', model: 'my-gpt', tools: [], outputTokens: 3 });
  });
  it('transcription', async () => {
    const client = (fetch: Fetch) =>
      new AzureOpenAI({
        apiKey: 'k',
        endpoint: 'http://localhost',
        apiVersion: '2025-04-01-preview',
        deployment: 'whisper',
        fetch,
        maxRetries: 0,
      });
    const wanted = await captured(azureApi, (fetch) =>
      client(fetch).audio.transcriptions.create({ model: 'whisper', file: audio() }),
    );
    expect(wanted).toMatchObject({ action: 'audio', model: 'whisper' });
  });
});

describe('anthropic', () => {
  const cases: [string, (client: Anthropic) => Promise<unknown>, Partial<WantedAccess>][] = [
    [
      'message',
      (c) =>
        c.messages.create({
          model: 'claude-x',
          max_tokens: 7,
          messages,
          tools: [
            { name: 't', input_schema: { type: 'object' } },
            { type: 'web_search_20250305', name: 'web_search' },
          ],
        }),
      { model: 'claude-x', tools: ['t', 'web_search'], outputTokens: 7 },
    ],
    ['stream', (c) => c.messages.create({ model: 'claude-x', max_tokens: 7, messages, stream: true }), { outputTokens: 7 }],
    [
      'beta',
      (c) =>
        c.beta.messages.create({
          model: 'claude-x',
          max_tokens: 7,
          messages,
          betas: ['mcp-client-2025-11-20'],
          mcp_servers: [{ type: 'url', name: 'gh', url: 'https://x.test' }],
          tools: [
            {
              type: 'mcp_toolset',
              mcp_server_name: 'gh',
              default_config: { enabled: false },
              configs: { read: { enabled: true } },
            },
          ],
        }),
      { tools: ['mcp:gh/read'] },
    ],
    ['count', (c) => c.messages.countTokens({ model: 'claude-x', messages }), { model: 'claude-x', outputTokens: 0 }],
    ['beta count', (c) => c.beta.messages.countTokens({ model: 'claude-x', messages }), { outputTokens: 0 }],
    ['models', async (c) => c.models.list({ limit: 2 }), { action: 'models' }],
    ['model', (c) => c.models.retrieve('claude-x'), { action: 'models', model: 'claude-x' }],
  ];
  it.each(cases)('%s', async (_, call, expected) => {
    expect(
      await captured(anthropicApi, (fetch) =>
        call(new Anthropic({ apiKey: 'k', baseURL: 'http://localhost', fetch, maxRetries: 0 })),
      ),
    ).toMatchObject(expected);
  });
});

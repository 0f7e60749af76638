// OpenAI and Azure OpenAI: what real bodies want, and what smuggling a model or tool ends in.

import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/checks/capability/provider-api.ts';
import { provider as azure } from '../../../src/checks/capability/providers/azure-openai.ts';
import { provider as openai } from '../../../src/checks/capability/providers/openai.ts';
import { refusal, wantsOf } from './wants.ts';

const messages = [{ role: 'user', content: 'hello' }];
const CHAT = '/v1/chat/completions';
const RESPONSES = '/v1/responses';
const deployed = (rest: string) => `/openai/deployments/gpt-5-mini/${rest}?api-version=2025-04-01-preview`;
const wants = (action: string, model: string | undefined, tools: string[], outputTokens: number | 'unstated') => ({
  action,
  ...(model === undefined ? {} : { model }),
  tools,
  outputTokens,
});

describe('chat completions', () => {
  const post = (more: JsonObject, model = 'gpt-5-mini') => wantsOf(openai, 'POST', CHAT, { model, messages, ...more });

  it.each<[string, JsonObject, string[], number | 'unstated']>([
    ['no limit', {}, [], 'unstated'],
    ['the older limit', { max_tokens: 10 }, [], 10],
    ['the larger of two limits', { max_tokens: 10, max_completion_tokens: 30 }, [], 30],
    ['the larger of two limits, other way round', { max_tokens: 40, max_completion_tokens: 30 }, [], 40],
    ['times n', { max_completion_tokens: 30, n: 4 }, [], 120],
    [
      'null counts as absent',
      { max_completion_tokens: 30, max_tokens: null, n: null, tools: null, web_search_options: null },
      [],
      30,
    ],
    ['n without a limit', { n: 4 }, [], 'unstated'],
    ['function', { tools: [{ type: 'function', function: { name: 'get_time' } }] }, ['get_time'], 'unstated'],
    ['custom', { tools: [{ type: 'custom', custom: { name: 'run' } }] }, ['run'], 'unstated'],
    [
      'legacy functions beside tools',
      { tools: [{ type: 'custom', custom: { name: 'run' } }], functions: [{ name: 'old' }] },
      ['run', 'old'],
      'unstated',
    ],
    ['web search', { web_search_options: {} }, ['web_search'], 'unstated'],
    ['unknown type', { tools: [{ type: 'teleport', to: 'mars' }] }, ['teleport'], 'unstated'],
    [
      'prediction',
      { prediction: { type: 'content', content: 'x' }, stream: true, stream_options: { include_usage: true } },
      [],
      'unstated',
    ],
  ])('%s', (_, more, tools, tokens) => {
    expect(post(more)).toEqual(wants('chat', 'gpt-5-mini', tools, tokens));
  });

  it.each<[string, JsonObject, RegExp]>([
    ['a model in other case', { Model: 'gpt-5' }, /`Model` is not known/],
    ['a list of models', { models: ['gpt-5'] }, /`models` is not known/],
    ['fallbacks', { fallbacks: ['gpt-5'] }, /`fallbacks` is not known/],
    ['an unprintable member', { 'a\u007fb': {} }, /^a member is not known/],
    ['a name that every object inherits', { constructor: {} }, /`constructor` is not known/],
    ['Azure data sources', { data_sources: [] }, /`data_sources` is not known/],
    ['a moderation model', { moderation: { model: 'omni-moderation-latest' } }, /`moderation` is not allowed/],
    ['tools as object', { tools: { 0: {} } }, /`tools` must be an array/],
    ['a tool as string', { tools: ['web_search'] }, /every entry of `tools` must be an object/],
    ['a tool without type', { tools: [{ function: { name: 'x' } }] }, /`tools\[\]\.type`/],
    ['a function without name', { tools: [{ type: 'function', function: {} }] }, /`tools\[\]\.function\.name`/],
    ['two names', { tools: [{ type: 'function', name: 'safe', function: { name: 'evil' } }] }, /only/],
    ['a name like an MCP tool', { tools: [{ type: 'function', function: { name: 'mcp:github' } }] }, /must be a name/],
    ['a name with a star', { tools: [{ type: 'function', function: { name: '*' } }] }, /must be a name/],
    ['a type with a space', { tools: [{ type: 'web search' }] }, /must be a name/],
    ['a hosted tool with a model', { tools: [{ type: 'teleport', model: 'gpt-5' }] }, /leave `model` out/],
    ['tools in a message', { messages: [{ role: 'system', tools: [{ type: 'function' }] }] }, /not in a message/],
    ['a message as string', { messages: ['hi'] }, /`messages`/],
    ['a limit as string', { max_tokens: '10' }, /`max_tokens` as a whole number/],
    ['a negative limit', { max_tokens: -1 }, /`max_tokens`/],
    ['a limit of zero', { max_completion_tokens: 0 }, /`max_completion_tokens`/],
    ['a fraction', { max_tokens: 1.5 }, /`max_tokens`/],
    ['an unsafe limit', { max_tokens: 2 ** 53 }, /`max_tokens`/],
    ['an unsafe product', { max_tokens: 2 ** 52, n: 4 }, /too large/],
    ['n of zero', { max_tokens: 1, n: 0 }, /`n`/],
    ['n as string', { n: '100' }, /`n`/],
    ['an unknown modality', { modalities: ['text', 'video'] }, /every entry of `modalities` must be one of text, audio/],
    ['a modality as string', { modalities: 'audio' }, /`modalities` must be an array/],
  ])('refuses %s', (_, more, message) => {
    expect(refusal(() => post(more))).toMatch(message);
  });

  it('an answer in sound is audio as well as chat', () => {
    expect(post({ modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'mp3' } })).toMatchObject({
      action: 'chat',
      also: ['audio'],
    });
    expect(post({ modalities: ['text'] })).toEqual(wants('chat', 'gpt-5-mini', [], 'unstated'));
  });

  it.each([
    undefined,
    null,
    '',
    5,
    {},
    ['gpt-5'],
    ' gpt-5',
    'gpt-5\n',
    'gpt 5',
    'gpt-5\u0000',
    'gpt-５',
    'gpt-\u200b5',
    'gpt-*',
    'x'.repeat(257),
  ])('refuses the model %j', (model) => {
    const body = { messages, ...(model === undefined ? {} : { model }) } as JsonObject;
    expect(refusal(() => wantsOf(openai, 'POST', CHAT, body))).toMatch(/^send `model`/);
  });

  it('keeps the model as it is sent', () => {
    expect(post({}, 'ft:GPT-4o:org::Id').model).toBe('ft:GPT-4o:org::Id');
  });

  it('never repeats what the agent sent', () => {
    expect(refusal(() => post({ [`x${'y'.repeat(60)}`]: 'secret' }))).not.toMatch(/yy|secret/);
    expect(refusal(() => post({}, 'my secret'))).not.toContain('secret');
  });
});

describe('responses', () => {
  const post = (more: JsonObject) => wantsOf(openai, 'POST', RESPONSES, { model: 'gpt-5', input: 'hi', ...more });

  it.each<[string, JsonObject, string[]]>([
    ['nothing', {}, []],
    [
      'function and custom',
      {
        tools: [
          { type: 'function', name: 'f', parameters: {}, strict: true },
          { type: 'custom', name: 'c' },
        ],
      },
      ['f', 'c'],
    ],
    [
      'hosted',
      {
        tools: ['file_search', 'computer_use_preview', 'image_generation', 'local_shell', 'apply_patch', 'tool_search'].map(
          (type) => ({ type }),
        ),
      },
      ['file_search', 'computer_use_preview', 'image_generation', 'local_shell', 'apply_patch', 'tool_search'],
    ],
    [
      'web search by all its types',
      {
        tools: ['web_search', 'web_search_2025_08_26', 'web_search_preview', 'web_search_preview_2025_03_11'].map((type) => ({
          type,
        })),
      },
      ['web_search', 'web_search', 'web_search', 'web_search'],
    ],
    ['mcp without limit', { tools: [{ type: 'mcp', server_label: 'gh', server_url: 'https://x.test' }] }, ['mcp:gh/*']],
    ['mcp, null limit', { tools: [{ type: 'mcp', server_label: 'gh', allowed_tools: null }] }, ['mcp:gh/*']],
    ['mcp, empty limit', { tools: [{ type: 'mcp', server_label: 'gh', allowed_tools: [] }] }, ['mcp:gh/*']],
    [
      'mcp, listed',
      { tools: [{ type: 'mcp', server_label: 'gh', allowed_tools: ['read', 'list'] }] },
      ['mcp:gh/read', 'mcp:gh/list'],
    ],
    ['mcp, filter', { tools: [{ type: 'mcp', server_label: 'gh', allowed_tools: { tool_names: ['read'] } }] }, ['mcp:gh/read']],
    [
      'mcp, filter by kind only',
      { tools: [{ type: 'mcp', server_label: 'gh', allowed_tools: { read_only: true } }] },
      ['mcp:gh/*'],
    ],
    [
      'namespace',
      {
        tools: [
          {
            type: 'namespace',
            name: 'crm',
            description: '',
            tools: [
              { type: 'function', name: 'f' },
              { type: 'custom', name: 'c' },
            ],
          },
        ],
      },
      ['f', 'c'],
    ],
    ['code interpreter', { tools: [{ type: 'code_interpreter', container: { type: 'auto' } }] }, ['code_interpreter']],
    [
      'code interpreter, old container',
      { tools: [{ type: 'code_interpreter', container: 'cntr_1' }] },
      ['code_interpreter', 'stored:container'],
    ],
    [
      'shell with skills',
      {
        tools: [
          {
            type: 'shell',
            environment: {
              type: 'container_auto',
              skills: [
                { type: 'skill_reference', skill_id: 's1' },
                { type: 'inline', name: 's2' },
              ],
            },
          },
        ],
      },
      ['shell', 'skill:s1', 'skill:s2'],
    ],
    [
      'shell, old container',
      { tools: [{ type: 'shell', environment: { type: 'container_reference', container_id: 'c' } }] },
      ['shell', 'stored:container'],
    ],
    [
      'tools brought by input',
      {
        input: [
          { type: 'additional_tools', role: 'developer', tools: [{ type: 'web_search' }] },
          { type: 'tool_search_output', tools: [{ type: 'function', name: 'found' }] },
          { type: 'mcp_list_tools', id: '1', server_label: 'x', tools: [{ name: 'y' }] },
          { role: 'user', content: 'hi' },
        ],
      },
      ['web_search', 'found'],
    ],
    [
      'stored turns',
      { previous_response_id: 'resp_1', input: [{ type: 'item_reference', id: 'i' }, { id: 'j' }] },
      ['stored:item_reference', 'stored:item_reference', 'stored:previous_response_id'],
    ],
    ['a message without content, or a reference', { input: [{ id: 'msg_1', role: 'user' }] }, ['stored:item_reference']],
    ['no background', { background: false }, []],
    ['conversation', { conversation: { id: 'conv' } }, ['stored:conversation']],
  ])('%s', (_, more, tools) => {
    expect(post({ ...more, max_output_tokens: 100 })).toEqual(wants('chat', 'gpt-5', tools, 100));
  });

  it.each<[string, JsonObject, RegExp]>([
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }, /held by the provider; send `model`/],
    ['an answer that outlasts the request', { background: true, store: true }, /`background` is not allowed/],
    ['one that may', { background: 'false' }, /`background` is not allowed/],
    ['no model', { model: null }, /^send `model`/],
    [
      'an image model inside a tool',
      { tools: [{ type: 'image_generation', model: 'gpt-image-2' }] },
      /leave `model` out of a `image_generation`/,
    ],
    ['tools in an unknown item', { input: [{ type: 'more_tools', tools: [] }] }, /not in such an `input` item/],
    ['a hosted tool in a namespace', { tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'web_search' }] }] }, /namespace/],
    ['the chat shape', { tools: [{ type: 'function', name: 'safe', function: { name: 'evil' } }] }, /only/],
    ['mcp without label', { tools: [{ type: 'mcp', server_url: 'https://x.test' }] }, /server_label/],
    ['mcp with a slash in its label', { tools: [{ type: 'mcp', server_label: 'gh/read' }] }, /server_label/],
    ['mcp with a star as tool', { tools: [{ type: 'mcp', server_label: 'gh', allowed_tools: ['*'] }] }, /allowed_tools/],
    ['mcp with odd limit', { tools: [{ type: 'mcp', server_label: 'gh', allowed_tools: 'read' }] }, /allowed_tools/],
    ['input as number', { input: 5 }, /`input` must be/],
    ['an item as string', { input: ['hi'] }, /`input`/],
  ])('refuses %s', (_, more, message) => {
    expect(refusal(() => post(more))).toMatch(message);
  });

  it('knows no bound where a compaction comes on top', () => {
    expect(post({ max_output_tokens: 100, context_management: [{ type: 'compaction' }] }).outputTokens).toBe('unstated');
  });
});

describe('the other operations', () => {
  it.each<[string, string, JsonObject, ReturnType<typeof wants>]>([
    ['POST', '/v1/embeddings', { model: 'text-embedding-3-small', input: 'x' }, wants('embed', 'text-embedding-3-small', [], 0)],
    [
      'POST',
      '/v1/images/generations',
      { model: 'gpt-image-1', prompt: 'x', moderation: 'low' },
      wants('image', 'gpt-image-1', [], 'unstated'),
    ],
    ['POST', '/v1/audio/speech', { model: 'tts-1', input: 'x', voice: 'alloy' }, wants('audio', 'tts-1', [], 'unstated')],
    ['GET', '/v1/models', {}, wants('models', undefined, [], 0)],
    ['GET', '/v1/models/ft%3Agpt-4o%3Aorg', {}, wants('models', 'ft:gpt-4o:org', [], 0)],
  ])('%s %s', (method, path, body, expected) => {
    expect(wantsOf(openai, method, path, body)).toEqual(expected);
  });

  it('refuses an image without model, whose default only the provider knows', () => {
    expect(refusal(() => wantsOf(openai, 'POST', '/v1/images/generations', { prompt: 'x' }))).toMatch(/^send `model`/);
  });
  it('refuses a model as moderation of an image', () => {
    const body = { model: 'gpt-image-1', prompt: 'x', moderation: { model: 'm' } };
    expect(refusal(() => wantsOf(openai, 'POST', '/v1/images/generations', body))).toMatch(/`moderation`/);
  });
});

describe('Azure OpenAI', () => {
  it.each<[string, JsonObject, ReturnType<typeof wants>]>([
    [deployed('chat/completions'), { messages, max_tokens: 5 }, wants('chat', 'gpt-5-mini', [], 5)],
    [deployed('chat/completions'), { messages, model: 'gpt-5-mini' }, wants('chat', 'gpt-5-mini', [], 'unstated')],
    [deployed('embeddings'), { input: 'x' }, wants('embed', 'gpt-5-mini', [], 0)],
    [deployed('images/generations'), { prompt: 'x' }, wants('image', 'gpt-5-mini', [], 'unstated')],
    [deployed('audio/speech'), { input: 'x', voice: 'alloy' }, wants('audio', 'gpt-5-mini', [], 'unstated')],
    ['/openai/v1/chat/completions', { model: 'gpt-5', messages }, wants('chat', 'gpt-5', [], 'unstated')],
    ['/openai/v1/responses?api-version=preview', { model: 'gpt-5', input: 'x' }, wants('chat', 'gpt-5', [], 'unstated')],
    ['/openai/v1/embeddings', { model: 'e', input: 'x' }, wants('embed', 'e', [], 0)],
  ])('POST %s', (path, body, expected) => {
    expect(wantsOf(azure, 'POST', path, body)).toEqual(expected);
  });

  it.each([['gpt-5'], [5], [['gpt-5-mini']], ['GPT-5-mini']])('refuses the model %j beside another deployment', (model) => {
    expect(refusal(() => wantsOf(azure, 'POST', deployed('chat/completions'), { messages, model }))).toMatch(
      /differs from the deployment/,
    );
  });
});

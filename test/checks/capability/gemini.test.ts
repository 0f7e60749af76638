// Gemini: both spellings of every member, the one model in the path, and no key in the query.

import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/checks/capability/provider-api.ts';
import { provider } from '../../../src/checks/capability/providers/gemini.ts';
import { matchOperation } from '../../../src/checks/capability/read-operation.ts';
import { refusal, wantsOf } from './wants.ts';

const M = '/v1beta/models/gemini-2.5-flash';
const contents = [{ role: 'user', parts: [{ text: 'hi' }] }];
const post = (more: JsonObject, verb = 'generateContent') => wantsOf(provider, 'POST', `${M}:${verb}`, { contents, ...more });
const content = { parts: [{ text: 'x' }] };

describe('generateContent', () => {
  it.each<[string, JsonObject, string[], number | 'unstated']>([
    ['nothing', {}, [], 'unstated'],
    [
      'camelCase',
      {
        tools: [{ functionDeclarations: [{ name: 'a' }, { name: 'b' }] }, { googleSearch: {} }],
        generationConfig: { maxOutputTokens: 10, candidateCount: 3 },
      },
      ['a', 'b', 'google_search'],
      30,
    ],
    [
      'snake_case',
      {
        tools: [{ function_declarations: [{ name: 'a' }], google_search: {} }],
        generation_config: { max_output_tokens: 10, candidate_count: 3 },
      },
      ['a', 'google_search'],
      30,
    ],
    ['mixed', { generation_config: { maxOutputTokens: 10, candidate_count: 2 } }, [], 20],
    [
      'one name whichever spelling',
      {
        tools: [
          { codeExecution: {} },
          { code_execution: {} },
          { urlContext: {} },
          { url_context: {} },
          { googleSearchRetrieval: {} },
        ],
      },
      ['code_execution', 'code_execution', 'url_context', 'url_context', 'google_search_retrieval'],
      'unstated',
    ],
    ['an unknown tool', { tools: [{ quantumLeap: {} }] }, ['quantum_leap'], 'unstated'],
    [
      'MCP servers',
      { tools: [{ mcpServers: [{ name: 'gh', streamableHttpTransport: { url: 'https://x.test' } }] }] },
      ['mcp:gh/*'],
      'unstated',
    ],
    ['a single object for an array', { tools: { functionDeclarations: { name: 'a' } } }, ['a'], 'unstated'],
    [
      'null',
      { tools: [{ googleSearch: null, urlContext: {} }], generationConfig: null, cachedContent: null },
      ['url_context'],
      'unstated',
    ],
    ['the same model', { model: 'models/gemini-2.5-flash' }, [], 'unstated'],
    ['the same model, short', { model: 'gemini-2.5-flash' }, [], 'unstated'],
  ])('%s', (_, more, tools, tokens) => {
    const expected = { action: 'chat', model: 'gemini-2.5-flash', tools, outputTokens: tokens };
    expect(post(more)).toEqual(expected);
    expect(post(more, 'streamGenerateContent?alt=sse')).toEqual(expected);
  });

  it.each<[string, JsonObject, RegExp]>([
    ['two spellings of a limit', { generationConfig: { maxOutputTokens: 1, max_output_tokens: 9999 } }, /two spellings/],
    ['two spellings, one null', { generationConfig: {}, generation_config: null }, /two spellings/],
    ['two spellings of a tool', { tools: [{ googleSearch: {}, google_search: {} }] }, /two spellings/],
    [
      'two spellings of declarations',
      { tools: [{ functionDeclarations: [], function_declarations: [{ name: 'x' }] }] },
      /two spellings/,
    ],
    ['a cache', { cachedContent: 'cachedContents/1' }, /`cachedContent` hides/],
    ['a cache in snake_case', { cached_content: 'cachedContents/1' }, /`cachedContent` hides/],
    ['another model', { model: 'models/gemini-2.5-pro' }, /differs from the model/],
    ['a tuned model', { model: 'tunedModels/gemini-2.5-flash' }, /differs from the model/],
    ['a model as object', { model: {} }, /differs from the model/],
    ['routing to models', { generationConfig: { routingConfig: {} } }, /`routingConfig` is not known/],
    ['model selection', { generationConfig: { modelSelectionConfig: {} } }, /not known/],
    ['an unknown member', { fallbackModel: 'x' }, /`fallbackModel` is not known/],
    ['a limit as string, which Google would read', { generationConfig: { maxOutputTokens: '5' } }, /whole number/],
    ['zero, which is no limit', { generationConfig: { maxOutputTokens: 0 } }, /at least 1/],
    ['an empty tool', { tools: [{}] }, /must hold a tool/],
    ['a tool as string', { tools: ['googleSearch'] }, /must be an object/],
    ['a tool switched on by true', { tools: [{ googleSearch: true }] }, /must be an object/],
    ['a nameless function', { tools: [{ functionDeclarations: [{}] }] }, /functionDeclarations\[\]\.name/],
    ['generationConfig as array', { generationConfig: [] }, /must be an object/],
  ])('refuses %s', (_, more, message) => {
    expect(refusal(() => post(more))).toMatch(message);
  });

  it.each(['?key=abc', '?alt=sse&key=abc', '?Key=abc', '?%6Bey=abc', '?access_token=x', '?api_key=x', '?api-key=x'])(
    'refuses the query %s',
    (query) => {
      const message = refusal(() => post({}, `streamGenerateContent${query}`));
      expect(message).toMatch(/leave the key out/);
      expect(message).not.toContain('abc');
    },
  );
  it('refuses other output formats', () => {
    expect(refusal(() => post({}, 'streamGenerateContent?alt=media'))).toMatch(/`alt` as sse or json/);
  });
});

describe('the other operations', () => {
  it.each<[string, JsonObject, string, string[]]>([
    ['embedContent', { content, model: 'models/gemini-2.5-flash', outputDimensionality: 8 }, 'embed', []],
    ['batchEmbedContents', { requests: [{ model: 'models/gemini-2.5-flash', content }] }, 'embed', []],
    ['countTokens', { contents }, 'chat', []],
    [
      'countTokens',
      { generateContentRequest: { model: 'models/gemini-2.5-flash', contents, tools: [{ google_search: {} }] } },
      'chat',
      ['google_search'],
    ],
  ])('%s', (verb, body, action, tools) => {
    expect(wantsOf(provider, 'POST', `${M}:${verb}`, body)).toEqual({
      action,
      model: 'gemini-2.5-flash',
      tools,
      outputTokens: 0,
    });
    expect(wantsOf(provider, 'POST', `${M.replace('v1beta', 'v1')}:${verb}`, body).action).toBe(action);
  });

  it.each<[string, JsonObject]>([
    ['embedContent', { content, model: 'models/other' }],
    ['batchEmbedContents', { requests: [{ model: 'models/gemini-2.5-flash' }, { model: 'models/other' }] }],
    ['countTokens', { generate_content_request: { model: 'models/other' } }],
  ])('%s refuses another model', (verb, body) => {
    expect(refusal(() => wantsOf(provider, 'POST', `${M}:${verb}`, body))).toMatch(/differs from the model/);
  });

  it.each<[unknown, unknown]>([
    [['TEXT'], undefined],
    [['IMAGE'], ['image']],
    [['TEXT', 'AUDIO'], ['audio']],
    [undefined, undefined],
  ])('an answer in %j is these actions too: %j', (responseModalities, also) => {
    const body = { contents, generationConfig: { responseModalities } } as JsonObject;
    expect(wantsOf(provider, 'POST', `${M}:generateContent`, body)).toMatchObject({ action: 'chat' });
    expect(wantsOf(provider, 'POST', `${M}:generateContent`, body).also).toEqual(also);
  });
  it.each([['IMAGE'], [[2]], [['image']], [['VIDEO']], [[['IMAGE']]]])('refuses modalities of %j', (responseModalities) => {
    const body = { contents, generationConfig: { response_modalities: responseModalities } } as JsonObject;
    expect(refusal(() => wantsOf(provider, 'POST', `${M}:streamGenerateContent`, body))).toMatch(/responseModalities/);
  });

  it('models', () => {
    expect(wantsOf(provider, 'GET', '/v1beta/models?pageSize=5', {})).toEqual({ action: 'models', tools: [], outputTokens: 0 });
    expect(wantsOf(provider, 'GET', M, {}).model).toBe('gemini-2.5-flash');
  });

  it.each([
    `${M}:predict`,
    `${M}:embedContent:generateContent`,
    '/v1beta/tunedModels/x:generateContent',
    `${M}%3AgenerateContent`,
    `${M}:batchGenerateContent`,
  ])('knows no POST %s', (path) => {
    expect(matchOperation(provider, 'POST', path)).toBeUndefined();
  });
  it('refuses an encoded second verb', () => {
    expect(refusal(() => wantsOf(provider, 'POST', '/v1beta/models/x%3AembedContent:generateContent', { contents }))).toMatch(
      /without a colon/,
    );
    expect(refusal(() => wantsOf(provider, 'GET', `${M}:predict`, {}))).toMatch(/without a colon/);
  });
});

// Bedrock: Converse, and the bodies of the model families behind invoke.

import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/checks/capability/provider-api.ts';
import { provider } from '../../../src/checks/capability/providers/bedrock.ts';
import { matchOperation } from '../../../src/checks/capability/read-operation.ts';
import { refusal, wantsOf } from './wants.ts';

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const post = (model: string, verb: string, body: JsonObject) =>
  wantsOf(provider, 'POST', `/model/${encodeURIComponent(model)}/${verb}`, body);
const messages = [{ role: 'user', content: [{ text: 'hi' }] }];
const claudeBody = { anthropic_version: 'bedrock-2023-05-31', max_tokens: 50, messages: [{ role: 'user', content: 'hi' }] };

describe('converse', () => {
  it.each<[string, JsonObject, string[], number | 'unstated']>([
    ['nothing', {}, [], 'unstated'],
    ['a limit', { inferenceConfig: { maxTokens: 20, temperature: 0 } }, [], 20],
    [
      'tools',
      {
        toolConfig: {
          tools: [
            { toolSpec: { name: 'a', inputSchema: { json: {} } } },
            { systemTool: { name: 'nova_grounding' } },
            { cachePoint: { type: 'default' } },
          ],
          toolChoice: { auto: {} },
        },
      },
      ['a', 'nova_grounding'],
      'unstated',
    ],
    ['an unknown kind', { toolConfig: { tools: [{ hostedTool: { x: 1 } }] } }, ['hostedTool'], 'unstated'],
    ['guardrails', { guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1' } }, [], 'unstated'],
    [
      'Claude tools in further fields',
      { additionalModelRequestFields: { anthropic_beta: ['x'], tools: [{ type: 'bash_20250124', name: 'bash' }] } },
      ['bash'],
      'unstated',
    ],
  ])('%s', (_, more, tools, tokens) => {
    for (const verb of ['converse', 'converse-stream']) {
      expect(post(CLAUDE, verb, { messages, ...more })).toEqual({ action: 'chat', model: CLAUDE, tools, outputTokens: tokens });
    }
  });

  it.each<[string, JsonObject, RegExp]>([
    ['a managed prompt', { promptVariables: {} }, /`promptVariables` is not known/],
    ['a model in the body', { modelId: 'x' }, /`modelId` is not known/],
    [
      'two kinds in one entry',
      { toolConfig: { tools: [{ toolSpec: { name: 'a' }, systemTool: { name: 'b' } }] } },
      /exactly one member/,
    ],
    ['an empty entry', { toolConfig: { tools: [{}] } }, /exactly one member/],
    ['a nameless tool', { toolConfig: { tools: [{ toolSpec: {} }] } }, /toolSpec\.name/],
    ['more in toolConfig', { toolConfig: { toolSets: [] } }, /`toolSets` is not known/],
    ['a limit in further fields', { additionalModelRequestFields: { max_tokens: 99999 } }, /`max_tokens` is not known/],
    ['MCP servers in further fields', { additionalModelRequestFields: { mcp_servers: [] } }, /`mcp_servers` is not known/],
  ])('refuses %s', (_, more, message) => {
    expect(refusal(() => post(CLAUDE, 'converse', { messages, ...more }))).toMatch(message);
  });

  it('refuses tools in further fields of another family', () => {
    expect(
      refusal(() =>
        post('meta.llama3-1-70b-instruct-v1:0', 'converse', {
          messages,
          additionalModelRequestFields: { tools: [{ name: 'x' }] },
        }),
      ),
    ).toMatch(/toolConfig\.tools/);
  });
});

describe('invoke', () => {
  it('reads a Claude body like Anthropic', () => {
    for (const verb of ['invoke', 'invoke-with-response-stream']) {
      const body = { ...claudeBody, tools: [{ name: 'x' }, { type: 'web_search_20250305', name: 'web_search' }] };
      expect(post(CLAUDE, verb, body)).toEqual({ action: 'chat', model: CLAUDE, tools: ['x', 'web_search'], outputTokens: 50 });
    }
  });
  it.each<[string, string, JsonObject, string, string[], number | 'unstated']>([
    [
      'Nova',
      'amazon.nova-lite-v1:0',
      { messages, toolConfig: { tools: [{ toolSpec: { name: 'a' } }] } },
      'chat',
      ['a'],
      'unstated',
    ],
    ['Llama', 'meta.llama3-1-70b-instruct-v1:0', { prompt: 'x', max_gen_len: 5 }, 'chat', [], 5],
    ['Llama without a limit', 'us.meta.llama3-1-70b-instruct-v1:0', { prompt: 'x', max_tokens: 5 }, 'chat', [], 'unstated'],
    ['Mistral', 'mistral.mistral-large-2402-v1:0', { prompt: 'x', max_tokens: 5 }, 'chat', [], 5],
    ['Mistral, many answers', 'mistral.mistral-large-2402-v1:0', { prompt: 'x', max_tokens: 5, n: 100 }, 'chat', [], 500],
    ['Titan', 'amazon.titan-text-express-v1', { inputText: 'x', textGenerationConfig: { maxTokenCount: 5 } }, 'chat', [], 5],
    ['Nova with a limit', 'amazon.nova-lite-v1:0', { messages, inferenceConfig: { maxTokens: 5 } }, 'chat', [], 5],
    ['Titan embeddings', 'amazon.titan-embed-text-v2:0', { inputText: 'x' }, 'embed', [], 0],
    ['Cohere embeddings', 'cohere.embed-english-v3', { texts: ['x'], input_type: 'search_query' }, 'embed', [], 0],
    [
      'Nova Canvas',
      'amazon.nova-canvas-v1:0',
      { taskType: 'TEXT_IMAGE', textToImageParams: { text: 'x' } },
      'image',
      [],
      'unstated',
    ],
  ])('%s', (_, model, body, action, tools, outputTokens) => {
    expect(post(model, 'invoke', body)).toEqual({ action, model, tools, outputTokens });
  });
  it.each<[string, string, JsonObject, RegExp]>([
    ['a model in a Claude body', CLAUDE, { ...claudeBody, model: 'x' }, /`model` is not known/],
    ['the text completion of old', CLAUDE, { prompt: 'x', max_tokens_to_sample: 5 }, /`prompt` is not known/],
    ['tools of Mistral', 'mistral.mistral-large-2407-v1:0', { messages, tools: [] }, /use converse/],
    ['toolConfig of Llama', 'meta.llama3-1-70b-instruct-v1:0', { prompt: 'x', toolConfig: { tools: [] } }, /through converse/],
    ['tools in a message', 'moonshot.kimi-k2-thinking', { messages: [{ role: 'system', tools: [] }] }, /not in a message/],
    ['an unknown member', 'amazon.titan-text-express-v1', { inputText: 'x', plugins: [] }, /`plugins` is not known/],
    ['a look-alike of Claude', 'evil.x.anthropic.claude', { ...claudeBody }, /not known for this model/],
    ['a video', 'amazon.nova-reel-v1:1', { taskType: 'TEXT_VIDEO' }, /something else than text/],
    ['a prompt ARN', 'arn:aws:bedrock:us-east-1:1:prompt:X', { messages }, /not an ARN/],
  ])('refuses %s', (_, model, body, message) => {
    expect(refusal(() => post(model, 'invoke', body))).toMatch(message);
  });
  it('knows no path with an encoded slash', () => {
    expect(matchOperation(provider, 'POST', '/model/arn%3Aaws%3Abedrock%3A%3A%3Aprofile%2Fx/converse')).toBeUndefined();
  });
});

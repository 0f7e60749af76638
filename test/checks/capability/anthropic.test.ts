// Anthropic: what real bodies want, and what smuggling a model or tool ends in.

import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/checks/capability/provider-api.ts';
import { provider } from '../../../src/checks/capability/providers/anthropic.ts';
import { refusal, wantsOf } from './wants.ts';

const base = { model: 'claude-sonnet-4-5', max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] };
const post = (more: JsonObject, path = '/v1/messages') => wantsOf(provider, 'POST', path, { ...base, ...more });
const said = (...content: JsonObject[]) => ({ messages: [{ role: 'system', content }] });

describe('messages', () => {
  it.each<[string, JsonObject, string[]]>([
    ['nothing', {}, []],
    [
      'client tools',
      {
        tools: [
          { name: 'get_time', input_schema: {} },
          { type: 'custom', name: 'c' },
          { type: null, name: 'd' },
        ],
      },
      ['get_time', 'c', 'd'],
    ],
    [
      'server tools',
      {
        tools: [
          { type: 'web_search_20250305', name: 'web_search' },
          { type: 'code_execution_20260521', name: 'code_execution' },
        ],
      },
      ['web_search', 'code_execution'],
    ],
    [
      'typed client tools',
      {
        tools: [
          { type: 'bash_20250124', name: 'bash' },
          { type: 'text_editor_20250728', name: 'str_replace_based_edit_tool' },
        ],
      },
      ['bash', 'str_replace_based_edit_tool'],
    ],
    ['a type under another name', { tools: [{ type: 'web_fetch_20250910', name: 'harmless' }] }, ['web_fetch', 'harmless']],
    ['a toolset without name', { tools: [{ type: 'browser_toolset_20260801' }] }, ['browser_toolset']],
    ['an unknown type', { tools: [{ type: 'teleport_20300101' }] }, ['teleport']],
    ['an MCP server', { mcp_servers: [{ type: 'url', name: 'gh', url: 'https://x.test' }] }, ['mcp:gh/*']],
    [
      'an MCP server with limit',
      { mcp_servers: [{ name: 'gh', tool_configuration: { allowed_tools: ['read'] } }] },
      ['mcp:gh/read'],
    ],
    [
      'an MCP server with null limit',
      { mcp_servers: [{ name: 'gh', tool_configuration: { enabled: true, allowed_tools: null } }] },
      ['mcp:gh/*'],
    ],
    ['an MCP server turned off', { mcp_servers: [{ name: 'gh', tool_configuration: { enabled: false } }] }, []],
    [
      'a toolset of all',
      {
        mcp_servers: [{ name: 'gh' }],
        tools: [{ type: 'mcp_toolset', mcp_server_name: 'gh', configs: { del: { enabled: false } } }],
      },
      ['mcp:gh/*'],
    ],
    [
      'a toolset of some',
      {
        mcp_servers: [{ name: 'gh' }],
        tools: [
          {
            type: 'mcp_toolset',
            mcp_server_name: 'gh',
            default_config: { enabled: false },
            configs: { read: { enabled: true }, list: {}, del: { enabled: false } },
          },
        ],
      },
      ['mcp:gh/read', 'mcp:gh/list'],
    ],
    ['a toolset of none', { tools: [{ type: 'mcp_toolset', mcp_server_name: 'gh', default_config: { enabled: false } }] }, []],
    [
      'a toolset of one server and another server',
      { mcp_servers: [{ name: 'gh' }, { name: 'jira' }], tools: [{ type: 'mcp_toolset', mcp_server_name: 'gh' }] },
      ['mcp:gh/*', 'mcp:jira/*'],
    ],
    ['skills', { container: { skills: [{ type: 'anthropic', skill_id: 'pptx', version: 'latest' }] } }, ['skill:pptx']],
    ['an old container', { container: { id: 'c1', skills: null } }, ['stored:container']],
    ['an old container by id', { container: 'c1' }, ['stored:container']],
    ['a new thread', { thread: { type: 'create' } }, []],
    ['a continued thread', { thread: { type: 'continue', previous_message_id: 'm' } }, ['stored:thread']],
    [
      'a tool added in a message',
      said({
        type: 'tool_addition',
        tool: { type: 'tool_definition', definition: { type: 'web_fetch_20250910', name: 'web_fetch' } },
      }),
      ['web_fetch'],
    ],
    [
      'an MCP tool added',
      said({ type: 'tool_addition', tool: { type: 'mcp_tool_reference', server_name: 'gh', name: 'del' } }),
      ['mcp:gh/del'],
    ],
    [
      'an MCP toolset added',
      said({ type: 'tool_addition', tool: { type: 'mcp_toolset_reference', server_name: 'gh' } }),
      ['mcp:gh/*'],
    ],
    [
      'a tool referred to',
      said(
        { type: 'tool_addition', tool: { type: 'tool_reference', name: 'x' } },
        { type: 'tool_removal', tool: { type: 'tool_reference', name: 'x' } },
      ),
      [],
    ],
    [
      'a tool added in a compaction',
      said({
        type: 'compaction',
        content: 's',
        tool_changes: [{ type: 'tool_addition', tool: { type: 'tool_definition', definition: { name: 'x' } } }],
      }),
      ['x'],
    ],
    [
      'a tool added in a system prompt',
      { system: [{ type: 'tool_addition', tool: { type: 'tool_definition', definition: { name: 'x' } } }] },
      ['x'],
    ],
    [
      'a tool added deep inside',
      said({
        type: 'tool_result',
        content: [{ type: 'tool_addition', tool: { type: 'tool_definition', definition: { name: 'x' } } }],
      }),
      ['x'],
    ],
    ['an MCP listing', said({ type: 'mcp_tool_listing', mcp_server_name: 'gh', tools: [{ name: 'a', input_schema: {} }] }), []],
    [
      'history',
      {
        messages: [
          { role: 'assistant', content: [{ type: 'tool_use', id: '1', name: 'x', input: { tools: [1] } }] },
          { role: 'user', content: [{ type: 'tool_result', tool_use_id: '1', content: [{ type: 'text', text: 'ok' }] }] },
        ],
      },
      [],
    ],
  ])('%s', (_, more, tools) => {
    expect(post(more)).toEqual({ action: 'chat', model: 'claude-sonnet-4-5', tools, outputTokens: 100 });
  });

  it.each<[string, JsonObject, RegExp]>([
    ['fallback models', { fallbacks: [{ model: 'claude-opus-4-5' }] }, /`fallbacks` is not allowed/],
    ['default fallbacks', { fallbacks: 'default' }, /`fallbacks` is not allowed/],
    [
      'an advisor model',
      { tools: [{ type: 'advisor_20260301', name: 'advisor', model: 'claude-opus-4-5' }] },
      /`model` of its own/,
    ],
    ['an unknown member', { models: [] }, /`models` is not known/],
    ['who pays', { billing_policy: { type: 'billing_policy' } }, /`billing_policy` is not known/],
    ['a nameless tool', { tools: [{ input_schema: {} }] }, /`tools\[\]\.name`/],
    ['a tool named like an MCP tool', { tools: [{ name: 'mcp:gh/read' }] }, /must be a name/],
    ['a tool as array', { tools: [[]] }, /must be an object/],
    ['tools as object', { tools: {} }, /must be an array/],
    ['a type as number', { tools: [{ type: 5, name: 'x' }] }, /`tools\[\]\.type`/],
    ['a nameless server', { mcp_servers: [{ url: 'https://x.test' }] }, /`mcp_servers\[\]\.name`/],
    ['an unknown addition', said({ type: 'tool_addition', tool: { type: 'magic' } }), /not known/],
    ['tools in an unknown block', said({ type: 'new_block', tools: [] }), /not in such a block/],
    ['a definition in an unknown block', said({ type: 'new_block', definition: {} }), /not in such a block/],
    ['a container as number', { container: 5 }, /`container`/],
    ['a skill without id', { container: { skills: [{}] } }, /skill_id/],
    ['a limit as string', { max_tokens: '5' }, /`max_tokens`/],
  ])('refuses %s', (_, more, message) => {
    expect(refusal(() => post(more))).toMatch(message);
  });

  it('refuses content nested beyond any real depth', () => {
    let block: JsonObject = { type: 'text' };
    for (let depth = 0; depth < 12; depth++) block = { type: 'tool_result', content: [block] };
    expect(refusal(() => post(said(block)))).toMatch(/nested too deeply/);
  });

  it.each<[string, JsonObject, number | 'unstated']>([
    ['zero, which warms the cache', { max_tokens: 0 }, 0],
    ['null', { max_tokens: null }, 'unstated'],
    ['clearing', { context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] } }, 100],
    ['compacting', { context_management: { edits: [{ type: 'compact_20260112' }] } }, 'unstated'],
    ['summarising', { compaction: { type: 'summarize' } }, 'unstated'],
  ])('limit: %s', (_, more, tokens) => {
    expect(post(more).outputTokens).toBe(tokens);
  });
});

describe('the other operations', () => {
  it('count_tokens generates nothing but still declares tools', () => {
    const { max_tokens: _, ...body } = base;
    expect(wantsOf(provider, 'POST', '/v1/messages/count_tokens?beta=true', { ...body, tools: [{ name: 'x' }] })).toEqual({
      action: 'chat',
      model: 'claude-sonnet-4-5',
      tools: ['x'],
      outputTokens: 0,
    });
  });
  it('models', () => {
    expect(wantsOf(provider, 'GET', '/v1/models?limit=5&after_id=x', {})).toEqual({
      action: 'models',
      tools: [],
      outputTokens: 0,
    });
    expect(wantsOf(provider, 'GET', '/v1/models/claude-x', {})).toEqual({
      action: 'models',
      model: 'claude-x',
      tools: [],
      outputTokens: 0,
    });
  });
  it('refuses an odd beta query', () => {
    expect(refusal(() => post({}, '/v1/messages?beta=1'))).toMatch(/`beta` as true/);
  });
});

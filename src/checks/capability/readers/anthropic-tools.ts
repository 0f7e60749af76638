// Which tools a Messages body of Anthropic declares: in `tools`, as MCP servers, as skills, and inside messages
// (profile section 3, `tools`). Bedrock's Claude bodies have the same shape.

import { type Json, type JsonObject, Undetermined } from '../provider-api.ts';
import { asObject, labelName, mcpTools, objects, read, toolName } from './members.ts';

const DEEPEST_CONTENT = 8;

export function anthropicTools(body: JsonObject): readonly string[] {
  const entries = objects(read(body, 'tools'), '`tools`');
  const inToolsets = new Set(entries.filter((entry) => entry.type === 'mcp_toolset').map((entry) => entry.mcp_server_name));
  const servers = objects(read(body, 'mcp_servers'), '`mcp_servers`').flatMap((server) => serverTools(server, inToolsets));
  const messages = objects(read(body, 'messages'), '`messages`');
  const added = [body.system, ...messages.map((message) => message.content)].flatMap((content) => contentTools(content, 0));
  return [...entries.flatMap(declared), ...servers, ...skills(read(body, 'container')), ...stored(body), ...added];
}

/** Names of one entry of `tools`. */
export function declared(entry: JsonObject): readonly string[] {
  const type = read(entry, 'type');
  if (type === undefined || type === 'custom') return [toolName(read(entry, 'name'), '`tools[].name`')];
  if (type === 'mcp_toolset') return toolset(entry);
  const base = toolName(type, '`tools[].type`').replace(/_\d{8}$/, '');
  if (read(entry, 'model') !== undefined)
    throw new Undetermined('a tool with a `model` of its own is not allowed; leave the tool out');
  const name = read(entry, 'name');
  if (name === undefined) return [base];
  const given = toolName(name, '`tools[].name`');
  // The type decides what runs. A name that says something else does not hide it: then both have to be granted.
  return given === base || (base === 'text_editor' && given.startsWith('str_replace_')) ? [given] : [base, given];
}

function toolset(entry: JsonObject): readonly string[] {
  const server = labelName(read(entry, 'mcp_server_name'), '`tools[].mcp_server_name`');
  const configs = Object.entries(asObject(read(entry, 'configs') ?? {}, '`tools[].configs`'));
  const byDefault = enabled(read(entry, 'default_config'));
  if (byDefault) return [`mcp:${server}/*`];
  // A config without a word on `enabled` may or may not enable its tool, so it counts.
  const names = configs.filter(([, config]) => enabled(config ?? undefined)).map(([name]) => name);
  return names.length === 0 ? [] : mcpTools(server, names, '`tools[].configs`');
}

function enabled(config: Json | undefined): boolean {
  return config === undefined || read(asObject(config, 'the config of an MCP toolset'), 'enabled') !== false;
}

function serverTools(server: JsonObject, inToolsets: ReadonlySet<Json | undefined>): readonly string[] {
  const name = labelName(read(server, 'name'), '`mcp_servers[].name`');
  const configuration = read(server, 'tool_configuration');
  // A toolset says itself which tools of its server it takes.
  if (configuration === undefined) return inToolsets.has(name) ? [] : [`mcp:${name}/*`];
  const settings = asObject(configuration, '`mcp_servers[].tool_configuration`');
  if (read(settings, 'enabled') === false) return [];
  return mcpTools(name, read(settings, 'allowed_tools'), '`mcp_servers[].tool_configuration.allowed_tools`');
}

function skills(container: Json | undefined): readonly string[] {
  if (container === undefined) return [];
  if (typeof container === 'string') return ['stored:container'];
  const settings = asObject(container, '`container`');
  const names = objects(read(settings, 'skills'), '`container.skills`').map(
    (skill) => `skill:${labelName(read(skill, 'skill_id'), '`container.skills[].skill_id`')}`,
  );
  return read(settings, 'id') === undefined ? names : [...names, 'stored:container'];
}

/** A continued thread brings along the tools of its earlier turns, which only the provider knows. */
function stored(body: JsonObject): readonly string[] {
  const thread = read(body, 'thread');
  return thread === undefined || asObject(thread, '`thread`').type === 'create' ? [] : ['stored:thread'];
}

/** Tools that blocks of content add in the middle of a conversation. */
function contentTools(content: Json | undefined, depth: number): readonly string[] {
  if (!Array.isArray(content)) return [];
  if (depth > DEEPEST_CONTENT) throw new Undetermined('`content` is nested too deeply; send it flatter');
  return content.flatMap((value) => {
    // What is no object is no block, and Anthropic refuses it; it declares nothing.
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return [];
    const type = value.type;
    if (type === 'tool_addition') return addition(asObject(read(value, 'tool'), 'the `tool` of a `tool_addition`'));
    if (type === 'compaction') return contentTools(read(value, 'tool_changes'), depth + 1);
    if (Object.hasOwn(value, 'definition') || (type !== 'mcp_tool_listing' && Object.hasOwn(value, 'tools'))) {
      throw new Undetermined('send tools in `tools` of the request, not in such a block of `content`');
    }
    return contentTools(value.content, depth + 1);
  });
}

function addition(tool: JsonObject): readonly string[] {
  const type = tool.type;
  if (type === 'tool_reference') return []; // can refer only to an entry of `tools`, which is read there
  if (type === 'tool_definition') return declared(asObject(read(tool, 'definition'), 'the `definition` of a `tool_addition`'));
  if (type !== 'mcp_tool_reference' && type !== 'mcp_toolset_reference')
    throw new Undetermined('this kind of `tool_addition` is not known; leave it out');
  const server = labelName(read(tool, 'server_name'), '`server_name`');
  return mcpTools(server, type === 'mcp_tool_reference' ? [read(tool, 'name') ?? null] : undefined, '`name`');
}

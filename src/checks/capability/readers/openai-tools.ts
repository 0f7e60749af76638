// Which tools a request to OpenAI's Chat Completions or Responses API declares (profile section 3, `tools`).
// An unknown type is still a tool and stands under its type; one that could hide a model or further tools is refused.

import { type JsonObject, Undetermined } from '../provider-api.ts';
import { asObject, labelName, mcpTools, objects, read, toolName } from './members.ts';

// Dated and preview types of one tool, so that a capability names it once.
const SAME_TOOL: ReadonlyMap<string, string> = new Map([
  ['web_search_2025_08_26', 'web_search'],
  ['web_search_preview', 'web_search'],
  ['web_search_preview_2025_03_11', 'web_search'],
]);

/** Tools of a Chat Completions body: `tools`, the older `functions`, and `web_search_options`. */
export function chatTools(body: JsonObject): readonly string[] {
  const tools = objects(read(body, 'tools'), '`tools`').map(chatTool);
  const functions = objects(read(body, 'functions'), '`functions`').map((entry) =>
    toolName(read(entry, 'name'), '`functions[].name`'),
  );
  refuseToolsInMessages(body);
  return read(body, 'web_search_options') === undefined ? [...tools, ...functions] : [...tools, ...functions, 'web_search'];
}

/** Some servers of this shape take tools from a message as well. */
export function refuseToolsInMessages(body: JsonObject): void {
  for (const message of objects(read(body, 'messages'), '`messages`')) {
    if (read(message, 'tools') !== undefined || read(message, 'functions') !== undefined) {
      throw new Undetermined('send tools in `tools` of the request, not in a message');
    }
  }
}

function chatTool(entry: JsonObject): string {
  const type = toolName(read(entry, 'type'), '`tools[].type`');
  if (type !== 'function' && type !== 'custom') return hostedTool(entry, type);
  // A flat name is the Responses shape: which of the two a server reads would be a guess.
  if (Object.hasOwn(entry, 'name')) throw new Undetermined(`send the name of a ${type} tool in \`tools[].${type}.name\` only`);
  return toolName(read(asObject(read(entry, type), `\`tools[].${type}\``), 'name'), `\`tools[].${type}.name\``);
}

/** Tools of a Responses body: `tools`, and those that items of `input` bring along or refer to. */
export function responsesTools(body: JsonObject): readonly string[] {
  const tools = responsesToolList(body);
  const input = read(body, 'input');
  if (Array.isArray(input)) {
    for (const item of objects(input, '`input`')) tools.push(...inputItemTools(item));
  } else if (input !== undefined && typeof input !== 'string') {
    throw new Undetermined('`input` must be a string or an array of objects');
  }
  for (const member of ['previous_response_id', 'conversation']) {
    // Earlier turns stay at the provider, and with them any tools they had loaded.
    if (read(body, member) !== undefined) tools.push(`stored:${member}`);
  }
  return tools;
}

function inputItemTools(item: JsonObject): readonly string[] {
  const type = read(item, 'type');
  // Without a type it is a message only with what makes one; with an id alone it may be read as a reference.
  const isMessage = read(item, 'role') !== undefined && read(item, 'content') !== undefined;
  if (type === 'item_reference' || (type === undefined && !isMessage)) return ['stored:item_reference'];
  if (type === 'additional_tools' || type === 'tool_search_output') return responsesToolList(item);
  // An `mcp_list_tools` item repeats what a server offered; it can be called only through an `mcp` tool, read elsewhere.
  if (type !== 'mcp_list_tools' && Object.hasOwn(item, 'tools'))
    throw new Undetermined('send tools in `tools` of the request, not in such an `input` item');
  return [];
}

function responsesToolList(holder: JsonObject): string[] {
  return objects(read(holder, 'tools'), '`tools`').flatMap((entry) => [...responsesTool(entry)]);
}

function responsesTool(entry: JsonObject): readonly string[] {
  const type = toolName(read(entry, 'type'), '`tools[].type`');
  if (type === 'function' || type === 'custom') {
    if (Object.hasOwn(entry, type)) throw new Undetermined(`send the name of a ${type} tool in \`tools[].name\` only`);
    return [toolName(read(entry, 'name'), '`tools[].name`')];
  }
  if (type === 'namespace') return namespaceTools(entry);
  if (type === 'mcp') return mcpServer(entry);
  if (type === 'shell') return [type, ...sandbox(read(entry, 'environment') ?? {})];
  if (type === 'code_interpreter') return [type, ...sandbox(read(entry, 'container') ?? {})];
  return [hostedTool(entry, type)];
}

function namespaceTools(entry: JsonObject): readonly string[] {
  const inner = objects(read(entry, 'tools'), '`tools[].tools`');
  if (inner.some((tool) => tool.type !== 'function' && tool.type !== 'custom')) {
    throw new Undetermined('send only function and custom tools in a namespace');
  }
  return inner.flatMap((tool) => responsesTool(tool));
}

function mcpServer(entry: JsonObject): readonly string[] {
  const server = labelName(read(entry, 'server_label'), '`tools[].server_label`');
  const allowed = read(entry, 'allowed_tools');
  const names =
    allowed === undefined || Array.isArray(allowed) ? allowed : read(asObject(allowed, '`tools[].allowed_tools`'), 'tool_names');
  return mcpTools(server, names, '`tools[].allowed_tools`');
}

/** Skills of a sandbox, and `stored:container` for one that was set up before with who knows what in it. */
function sandbox(value: NonNullable<ReturnType<typeof read>>): readonly string[] {
  if (typeof value === 'string') return ['stored:container'];
  const environment = asObject(value, 'the container or environment of a tool');
  const skills = objects(read(environment, 'skills'), '`skills`').map(
    (skill) => `skill:${labelName(read(skill, 'skill_id') ?? read(skill, 'name'), '`skills[].skill_id` or `skills[].name`')}`,
  );
  return read(environment, 'container_id') === undefined ? skills : [...skills, 'stored:container'];
}

function hostedTool(entry: JsonObject, type: string): string {
  for (const member of ['model', 'tools', 'functions']) {
    if (read(entry, member) !== undefined) throw new Undetermined(`leave \`${member}\` out of a \`${type.slice(0, 40)}\` tool`);
  }
  return SAME_TOOL.get(type) ?? type;
}

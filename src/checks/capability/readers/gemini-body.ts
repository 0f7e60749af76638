// What Gemini's request bodies ask for (profile section 3). The model stands in the path; a body may only repeat it.
// Members are closed lists; `cachedContent` is refused because model and tools of a cache are held by Google.

import { type Json, type JsonObject, type OperationInput, Undetermined, type WantedAccess } from '../provider-api.ts';
import { type Members, members, repeated } from './gemini-members.ts';
import { asObject, count, furtherActions, labelName, modelName, queryIsOneOf, times, toolName } from './members.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));

const GENERATE = words(
  'model contents system_instruction tools tool_config safety_settings generation_config cached_content service_tier store',
);
const GENERATION =
  words(`stop_sequences response_mime_type response_schema response_json_schema _response_json_schema response_modalities
  candidate_count max_output_tokens temperature top_p top_k seed presence_penalty frequency_penalty response_logprobs logprobs
  enable_enhanced_civic_answers speech_config thinking_config image_config media_resolution audio_timestamp audio_transcription_config response_format`);
/** Google takes the names as they stand here, and numbers for them, which are refused. */
const MODALITIES = { MODALITY_UNSPECIFIED: undefined, TEXT: undefined, IMAGE: 'image', AUDIO: 'audio' } as const;
const EMBED = words('model content task_type title output_dimensionality');
const BATCH = words('model requests');
const COUNT = words('model contents generate_content_request');

/** POST :generateContent and :streamGenerateContent. */
export function generate(input: OperationInput): WantedAccess {
  queryIsOneOf(input.query, 'alt', ['sse', 'json']);
  return generation(input.body, modelInPath(input));
}

/** POST :embedContent. */
export function embed(input: OperationInput): WantedAccess {
  const model = modelInPath(input);
  sameModel(members(input.body, 'an embedding', EMBED), model);
  return { action: 'embed', model, tools: [], outputTokens: 0 };
}

/** POST :batchEmbedContents, of which every single request names a model too. */
export function batchEmbed(input: OperationInput): WantedAccess {
  const model = modelInPath(input);
  const body = members(input.body, 'a batch of embeddings', BATCH);
  sameModel(body, model);
  for (const request of repeated(body.get('requests'), '`requests`')) sameModel(members(request, '`requests`', EMBED), model);
  return { action: 'embed', model, tools: [], outputTokens: 0 };
}

/** POST :countTokens: nothing is generated, but the request to be counted may declare tools. */
export function countTokens(input: OperationInput): WantedAccess {
  const model = modelInPath(input);
  const body = members(input.body, 'a token count', COUNT);
  sameModel(body, model);
  const inner = body.get('generate_content_request');
  const tools = inner === undefined ? [] : generation(asObject(inner, '`generateContentRequest`'), model).tools;
  return { action: 'chat', model, tools, outputTokens: 0 };
}

/** GET models and models/{model}. */
export function models(input: OperationInput): WantedAccess {
  const listed = input.path.model === undefined;
  return { action: 'models', ...(listed ? {} : { model: modelInPath(input) }), tools: [], outputTokens: 0 };
}

function generation(content: JsonObject, model: string): WantedAccess {
  const body = members(content, 'a generation', GENERATE);
  sameModel(body, model);
  if (body.has('cached_content'))
    throw new Undetermined('`cachedContent` hides its model and tools; send the content and `tools` instead');
  const config = members(asObject(body.get('generation_config') ?? {}, '`generationConfig`'), '`generationConfig`', GENERATION);
  const limits = Object.fromEntries([...config].filter(([name]) => name === 'max_output_tokens' || name === 'candidate_count'));
  // Google reads 0 as "not set", so the least is 1.
  const tokens = times(count(limits, 'max_output_tokens', 1), count(limits, 'candidate_count', 1));
  const further = furtherActions(config.get('response_modalities'), '`responseModalities`', MODALITIES);
  const tools = repeated(body.get('tools'), '`tools`').flatMap(toolsOf);
  return { action: 'chat', ...further, model, tools, outputTokens: tokens };
}

/** One entry of `tools` can hold several tools, each under a member of its own. */
function toolsOf(entry: JsonObject): readonly string[] {
  const tools = [...members(entry, '`tools`')];
  if (tools.length === 0) throw new Undetermined('every entry of `tools` must hold a tool');
  return tools.flatMap(([name, value]) => {
    if (name === 'function_declarations') return repeated(value, '`functionDeclarations`').map(functionName);
    if (name === 'mcp_servers')
      return repeated(value, '`mcpServers`').map((server) => `mcp:${labelName(server.name, '`mcpServers[].name`')}/*`);
    asObject(value, 'every member of an entry of `tools`');
    return [toolName(name, 'every member of an entry of `tools`')];
  });
}

function functionName(declaration: JsonObject): string {
  return toolName(declaration.name, '`functionDeclarations[].name`');
}

function modelInPath({ path }: OperationInput): string {
  const model = modelName(path.model);
  // A colon would be the start of a verb to Google, `%3A` included.
  if (model.includes(':')) throw new Undetermined('send a model name without a colon');
  return model;
}

function sameModel(body: Members, model: string): void {
  const stated: Json | undefined = body.get('model');
  if (stated !== undefined && stated !== model && stated !== `models/${model}`) {
    throw new Undetermined('`model` differs from the model in the path; leave it out or send the same name');
  }
}

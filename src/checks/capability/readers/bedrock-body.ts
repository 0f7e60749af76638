// What Bedrock's request bodies ask for (profile section 3). The model stands in the path; an ARN is refused, because
// a prompt or an inference profile behind it holds model and tools at AWS.

import { type JsonObject, type OperationInput, Undetermined, type WantedAccess } from '../provider-api.ts';
import { claudeOnBedrock } from './anthropic-body.ts';
import { declared } from './anthropic-tools.ts';
import { asObject, count, modelName, objects, onlyKnown, quoted, read, times, toolName } from './members.ts';
import { refuseToolsInMessages } from './openai-tools.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));

// Model ids may begin with a region group, as in `us.anthropic.…`.
const CLAUDE = /^(?:[a-z-]{2,12}\.)?anthropic\./;
const NOVA = /^(?:[a-z-]{2,12}\.)?amazon\.nova-/;
const EMBEDS = /^(?:[a-z-]{2,12}\.)?(?:amazon\.titan-embed-|cohere\.embed-|amazon\.nova-[\w-]*embed|twelvelabs\.marengo-embed-)/;
const DRAWS = /^(?:[a-z-]{2,12}\.)?(?:stability\.|amazon\.titan-image-|amazon\.nova-canvas-)/;

const NO_CHAT = /^(?:[a-z-]{2,12}\.)?(?:amazon\.nova-(?:reel|sonic)|luma\.|twelvelabs\.|amazon\.rerank|cohere\.rerank)/;
const FAMILY = /^(?:[a-z-]{2,12}\.)?(meta\.llama|mistral\.|cohere\.command|amazon\.titan-text)/;

const CONVERSE = words(`messages system inferenceConfig toolConfig guardrailConfig additionalModelRequestFields
  additionalModelResponseFieldPaths requestMetadata performanceConfig serviceTier outputConfig`);
// Further fields that go to the model as they are: only what is known to declare nothing.
const FURTHER = words('thinking reasoning_config reasoningConfig top_k anthropic_beta output_config tools');
// Members of the other families' bodies that declare no tool: Nova, Titan, Llama, Mistral, Cohere, AI21, DeepSeek, Stability.
const OTHER_BODY =
  words(`messages system schemaVersion inferenceConfig toolConfig prompt max_gen_len max_tokens temperature top_p top_k stop
  stop_sequences images inputText textGenerationConfig inputImage embeddingConfig dimensions normalize embeddingTypes texts input_type
  embedding_types truncate output_dimension message chat_history preamble p k seed frequency_penalty presence_penalty n taskType singleEmbeddingParams
  textToImageParams imageVariationParams inPaintingParams outPaintingParams colorGuidedGenerationParams backgroundRemovalParams
  imageGenerationConfig mode aspect_ratio negative_prompt output_format image strength`);

/** POST converse and converse-stream. */
export function converse({ path, body }: OperationInput): WantedAccess {
  const model = modelId(path);
  onlyKnown(body, CONVERSE, 'a Converse request');
  const inference = asObject(read(body, 'inferenceConfig') ?? {}, '`inferenceConfig`');
  const further = furtherTools(
    asObject(read(body, 'additionalModelRequestFields') ?? {}, '`additionalModelRequestFields`'),
    model,
  );
  return {
    action: 'chat',
    model,
    tools: [...converseTools(body), ...further],
    outputTokens: count(inference, 'maxTokens', 1) ?? 'unstated',
  };
}

/** POST invoke and invoke-with-response-stream, whose body is the model family's own. */
export function invoke({ path, body }: OperationInput): WantedAccess {
  const model = modelId(path);
  if (CLAUDE.test(model)) return claudeOnBedrock(body, model);
  for (const member of Object.keys(body)) {
    if (!OTHER_BODY.has(member))
      throw new Undetermined(`${quoted(member)} is not known for this model; leave it out or use converse`);
  }
  if (read(body, 'toolConfig') !== undefined && !NOVA.test(model))
    throw new Undetermined('send the tools of this model through converse');
  refuseToolsInMessages(body);
  const tools = converseTools(body);
  if (EMBEDS.test(model)) return { action: 'embed', model, tools, outputTokens: 0 };
  if (DRAWS.test(model)) return { action: 'image', model, tools, outputTokens: 'unstated' };
  if (NO_CHAT.test(model))
    throw new Undetermined('this model makes something else than text: no action of a capability is for it');
  return { action: 'chat', model, tools, outputTokens: times(statedTokens(body, model), count(body, 'n', 1)) };
}

/** Where the family of the model reads its limit; another member would be passed over there. */
function statedTokens(body: JsonObject, model: string): number | undefined {
  const within = (member: string) => asObject(read(body, member) ?? {}, `\`${member}\``);
  if (NOVA.test(model)) return count(within('inferenceConfig'), 'maxTokens', 1);
  const [, family = ''] = FAMILY.exec(model) ?? [];
  if (family === 'meta.llama') return count(body, 'max_gen_len', 1);
  if (family === 'mistral.' || family === 'cohere.command') return count(body, 'max_tokens', 1);
  if (family === 'amazon.titan-text') return count(within('textGenerationConfig'), 'maxTokenCount', 1);
  return undefined;
}

function modelId(path: OperationInput['path']): string {
  const model = modelName(path.modelId);
  if (/^arn:/i.test(model)) throw new Undetermined('send the id of a model or of a system-defined inference profile, not an ARN');
  return model;
}

function converseTools(body: JsonObject): readonly string[] {
  const config = asObject(read(body, 'toolConfig') ?? {}, '`toolConfig`');
  onlyKnown(config, TOOL_CONFIG, '`toolConfig`');
  return objects(read(config, 'tools'), '`toolConfig.tools`').flatMap((entry) => {
    const given = Object.keys(entry).filter((member) => read(entry, member) !== undefined);
    const [kind] = given;
    if (kind === undefined || given.length !== 1)
      throw new Undetermined('every entry of `toolConfig.tools` must have exactly one member');
    const value = asObject(entry[kind], 'every member of an entry of `toolConfig.tools`');
    if (kind === 'cachePoint') return [];
    if (kind === 'toolSpec' || kind === 'systemTool')
      return [toolName(read(value, 'name'), `\`toolConfig.tools[].${kind}.name\``)];
    return [toolName(kind, 'every member of an entry of `toolConfig.tools`')];
  });
}

const TOOL_CONFIG: ReadonlySet<string> = new Set(['tools', 'toolChoice']);

function furtherTools(fields: JsonObject, model: string): readonly string[] {
  onlyKnown(fields, FURTHER, '`additionalModelRequestFields`');
  const tools = objects(read(fields, 'tools'), '`additionalModelRequestFields.tools`');
  if (tools.length > 0 && !CLAUDE.test(model)) throw new Undetermined('send the tools of this model in `toolConfig.tools`');
  return tools.flatMap((entry) => [...declared(entry)]);
}

// What OpenAI's request bodies ask for; Azure OpenAI shares these readers and takes the model from elsewhere.
// Members are closed lists (profile section 3): a new one is added here after it is known to name no model and no tool.

import { type JsonObject, type OperationInput, Undetermined, type WantedAccess } from '../provider-api.ts';
import { count, furtherActions, modelName, onlyTold, read, refuse, times } from './members.ts';
import { chatTools, responsesTools } from './openai-tools.ts';

type Wants = (input: OperationInput) => WantedAccess;
type ModelOf = (input: OperationInput) => string;

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));

const CHAT =
  words(`messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
  metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
  prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options
  temperature tool_choice tools top_logprobs top_p user verbosity web_search_options`);
const RESPONSES =
  words(`background context_management conversation include input instructions max_output_tokens max_tool_calls metadata
  model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning
  safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user`);
const EMBEDDINGS = words('input model dimensions encoding_format user');
const IMAGES =
  words(`prompt background model moderation n output_compression output_format partial_images quality response_format size
  stream style user input_fidelity`);
const SPEECH = words('input model voice instructions response_format speed stream_format');
const TRANSCRIPT = words(`model language prompt response_format stream temperature include[] timestamp_granularities[]
  known_speaker_names[] known_speaker_references[] chunking_strategy chunking_strategy[type] chunking_strategy[prefix_padding_ms]
  chunking_strategy[silence_duration_ms] chunking_strategy[threshold]`);

const ANOTHER_MODEL = { moderation: 'it names another model; leave it out' };

/** The model where OpenAI reads it: the body's `model`. */
export const modelInBody: ModelOf = ({ body }) => modelName(read(body, 'model'));

/** POST chat/completions. `extra` are further members of a compatible provider that name neither model nor tool. */
export function chat(model: ModelOf, extra: readonly string[] = []): Wants {
  const known = extra.length === 0 ? CHAT : new Set([...CHAT, ...extra]);
  return (input) => {
    const { body } = input;
    onlyTold(body, known, 'a chat completion');
    refuse(body, ANOTHER_MODEL);
    const limits = [count(body, 'max_completion_tokens', 1), count(body, 'max_tokens', 1)].filter((limit) => limit !== undefined);
    const tokens = limits.length === 0 ? undefined : Math.max(...limits);
    const further = furtherActions(read(body, 'modalities'), '`modalities`', { text: undefined, audio: 'audio' });
    const outputTokens = times(tokens, count(body, 'n', 1));
    return { action: 'chat', ...further, model: model(input), tools: chatTools(body), outputTokens };
  };
}

/** POST responses. */
export function responses(model: ModelOf): Wants {
  return (input) => {
    const { body } = input;
    onlyTold(body, RESPONSES, 'a response');
    refuse(body, {
      ...ANOTHER_MODEL,
      prompt: 'its model and tools are held by the provider; send `model`, `instructions` and `tools` instead',
    });
    if (read(body, 'background') !== undefined && body.background !== false)
      throw new Undetermined('`background` is not allowed: its answer would outlast the request that is judged; leave it out');
    const tokens = count(body, 'max_output_tokens', 1);
    // A compaction is a further answer that the limit does not speak of.
    const compacts = read(body, 'context_management') !== undefined;
    return {
      action: 'chat',
      model: model(input),
      tools: responsesTools(body),
      outputTokens: compacts ? 'unstated' : times(tokens, 1),
    };
  };
}

export function embeddings(model: ModelOf): Wants {
  return (input) => {
    onlyTold(input.body, EMBEDDINGS, 'an embedding');
    return { action: 'embed', model: model(input), tools: [], outputTokens: 0 };
  };
}

/** POST images/generations, edits and variations, whose members are one set. */
export function images(model: ModelOf): Wants {
  return (input) => plain(input, IMAGES, 'image', model, 'an image request');
}

export function speech(model: ModelOf): Wants {
  return (input) => plain(input, SPEECH, 'audio', model, 'a speech request');
}

/** POST audio/transcriptions and translations. */
export function transcript(model: ModelOf): Wants {
  return (input) => plain(input, TRANSCRIPT, 'audio', model, 'a transcription');
}

function plain(
  input: OperationInput,
  known: ReadonlySet<string>,
  action: 'image' | 'audio',
  model: ModelOf,
  where: string,
): WantedAccess {
  onlyTold(input.body, known, where);
  textOnly(input.body, where);
  return { action, model: model(input), tools: [], outputTokens: 'unstated' };
}

/** An image's `moderation` is a word; as an object it would name a model, as chat's does. */
function textOnly(body: JsonObject, where: string): void {
  const moderation = read(body, 'moderation');
  if (moderation !== undefined && typeof moderation !== 'string')
    throw new Undetermined(`send \`moderation\` in ${where} as a string`);
}

/** GET models and models/{model}. */
export const models: Wants = ({ path }) => {
  const model = path.model;
  return { action: 'models', ...(model === undefined ? {} : { model: modelName(model) }), tools: [], outputTokens: 0 };
};

// What a Messages body of Anthropic asks for; shared with Claude's bodies on Bedrock (profile section 3).
// Members are a closed list; `billing_policy` is left out because it chooses who pays.

import { type JsonObject, type OperationInput, Undetermined, type WantedAccess } from '../provider-api.ts';
import { anthropicTools } from './anthropic-tools.ts';
import { asObject, count, modelName, objects, onlyTold, queryIsOneOf, read, refuse } from './members.ts';

const MESSAGE = new Set(
  `max_tokens messages cache_control compaction container context_management diagnostics fallback_credit_token fallbacks inference_geo
  mcp_servers metadata output_config output_format service_tier speed stop_sequences stream system temperature thinking thread tool_choice
  tools top_k top_p`.split(/\s+/),
);
const WITH_MODEL: ReadonlySet<string> = new Set([...MESSAGE, 'model']);
const ON_BEDROCK: ReadonlySet<string> = new Set([...MESSAGE, 'anthropic_version', 'anthropic_beta']);

const NAMES_MODELS = { fallbacks: 'it names other models; leave it out and retry from the agent' };

/** Tools and token limit of a Claude body whose model stands elsewhere. */
export function claudeOnBedrock(body: JsonObject, model: string): WantedAccess {
  onlyTold(body, ON_BEDROCK, 'a Claude body on Bedrock');
  return access(body, model);
}

/** POST /v1/messages. */
export function messages({ body, query }: OperationInput): WantedAccess {
  queryIsOneOf(query, 'beta', ['true']);
  onlyTold(body, WITH_MODEL, 'a message');
  return access(body, modelName(read(body, 'model')));
}

/** POST /v1/messages/count_tokens: nothing is generated, but model and tools are sent all the same. */
export function countTokens(input: OperationInput): WantedAccess {
  return { ...messages(input), outputTokens: 0 };
}

/** GET /v1/models and /v1/models/{model}. */
export function models({ path }: OperationInput): WantedAccess {
  const model = path.model;
  return { action: 'models', ...(model === undefined ? {} : { model: modelName(model) }), tools: [], outputTokens: 0 };
}

function access(body: JsonObject, model: string): WantedAccess {
  refuse(body, NAMES_MODELS);
  const tokens = count(body, 'max_tokens', 0);
  return {
    action: 'chat',
    model,
    tools: anthropicTools(body),
    outputTokens: tokens === undefined || compacts(body) ? 'unstated' : tokens,
  };
}

/** A compaction is a further answer that `max_tokens` does not speak of; clearing old results generates nothing. */
function compacts(body: JsonObject): boolean {
  if (read(body, 'compaction') !== undefined) return true;
  const edits = objects(
    read(asObject(read(body, 'context_management') ?? {}, '`context_management`'), 'edits'),
    '`context_management.edits`',
  );
  return edits.some((edit) => {
    const type = read(edit, 'type');
    if (typeof type !== 'string') throw new Undetermined('send `type` in every entry of `context_management.edits`');
    return !type.startsWith('clear_');
  });
}

// `authorization_details` of type `llm_access` (RFC 9396; profile section 3): what a capability says its holder may do.
// Closed: an unknown member might be a limit that this gateway would not hold, so it is refused.

import { z } from 'zod';

export const ACTIONS = ['chat', 'embed', 'image', 'audio', 'batch', 'files', 'models', 'mcp', 'a2a'] as const;
export type Action = (typeof ACTIONS)[number];

const count = z.int().min(0);

/** `provider/model` with `*` at the end only; `*` never alone, so that a provider is always named. */
const modelPattern = z
  .string()
  .max(256)
  .regex(/^[a-z0-9][a-z0-9_-]*\/[^*\s\p{Cc}]*\*?$/u, 'must be provider/model, with "*" only at the end')
  .refine((pattern) => !pattern.endsWith('/'), 'must name a model');

/** A tool's name, or `mcp:server/tool`; `*` at the end only, and never alone. */
const toolPattern = z
  .string()
  .max(256)
  .regex(/^[^*\s\p{Cc}]+\*?$/u, 'must be a tool name, with "*" only at the end');

export const authorizationDetailsSchema = z.strictObject({
  type: z.literal('llm_access'),
  actions: z.array(z.enum(ACTIONS)).max(ACTIONS.length),
  /** Absent grants no model: actions that have none (models, mcp) still pass. */
  models: z.array(modelPattern).max(100).optional(),
  /** `[]` is none, absent is unrestricted. */
  tools: z.array(toolPattern).max(200).optional(),
  max: z.strictObject({ output_tokens: count.optional(), input_bytes: count.optional(), tools: count.optional() }).optional(),
  budget: z.strictObject({ amount: count, unit: z.string().min(1).max(32), decimals: z.int().min(0).max(18) }).optional(),
  attestation: z.int().min(1).max(3).optional(),
});

export type AuthorizationDetails = z.infer<typeof authorizationDetailsSchema>;

/** Whether a pattern of a list covers a name: equal to it, or its prefix up to the final `*`. */
export function covers(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

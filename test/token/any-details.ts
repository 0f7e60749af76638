// Authorization details for property tests: out of a small world, so that two of them, and a request, often meet.

import fc from 'fast-check';
import type { AuthorizationDetails } from '../../src/token/authorization-details.ts';

/** Chooses a number below `below`; 0 is the choice that changes least. */
export type Pick = (below: number) => number;

export function picker(numbers: readonly number[]): Pick {
  let at = 0;
  return (below) => (numbers[at++ % numbers.length] ?? 0) % below;
}

export const ACTION_NAMES = ['chat', 'embed', 'image', 'models', 'mcp'] as const;
/** Prefixes of one another, and names that are not covered by what only looks alike. */
export const MODEL_NAMES = ['openai/gpt-5', 'openai/gpt-5-mini', 'openai/gpt-4', 'openai-eu/gpt-5', 'anthropic/claude-4'];
export const MODEL_PATTERNS = [...MODEL_NAMES, 'openai/*', 'openai/gpt-5*', 'openai/gpt-5-*', 'openai-eu/*', 'anthropic/*'];
export const TOOL_NAMES = ['web_search', 'web', 'shell', 'mcp:github/create_issue', 'mcp:github/*', 'mcp:gitlab/create_issue'];
export const TOOL_PATTERNS = [...TOOL_NAMES, 'web*', 'mcp:*', 'mcp:git*', 's*'];
const NUMBERS = [0, 1, 2, 10, 99, 1000];

const number = fc.constantFrom(...NUMBERS);
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });

export const anyDetails: fc.Arbitrary<AuthorizationDetails> = fc
  .record({
    actions: fc.subarray([...ACTION_NAMES], { minLength: 1 }),
    models: maybe(fc.subarray(MODEL_PATTERNS, { minLength: 1, maxLength: 4 })),
    tools: maybe(fc.subarray(TOOL_PATTERNS, { maxLength: 4 })),
    max: maybe(
      fc.record({ output_tokens: maybe(number), input_bytes: maybe(fc.constantFrom(0, 100, 1000)), tools: maybe(number) }),
    ),
    budget: maybe(fc.record({ amount: number, unit: fc.constantFrom('usd', 'tokens'), decimals: fc.constantFrom(0, 2) })),
    attestation: fc.constantFrom(undefined, undefined, 1, 1, 2, 3),
  })
  .map(
    (members) => present({ type: 'llm_access', ...members, max: members.max && present(members.max) }) as AuthorizationDetails,
  );

/** Details that allow no more than these. */
export function narrowed(details: AuthorizationDetails, pick: Pick): AuthorizationDetails {
  const { models, tools, max = {}, budget, attestation } = details;
  const limits = (['output_tokens', 'input_bytes', 'tools'] as const).map((name) => [name, fewer(max[name], pick)] as const);
  const [chosen, listed] = [models && patterns(models, MODEL_PATTERNS, pick), tools ?? (pick(2) ? TOOL_PATTERNS : undefined)];
  return present({
    type: details.type,
    actions: details.actions.filter(() => pick(4) < 3),
    models: chosen,
    tools: listed && patterns(listed, TOOL_PATTERNS, pick),
    max: present(Object.fromEntries(limits)),
    budget: budget
      ? { ...budget, amount: fewer(budget.amount, pick) }
      : pick(3)
        ? undefined
        : { amount: 5, unit: 'usd', decimals: 2 },
    attestation: Math.min(3, (attestation ?? 0) + pick(2)) || undefined,
  }) as AuthorizationDetails;
}

/** Some of the patterns, each as it is or in another's words that it covers. */
function patterns(parent: readonly string[], world: readonly string[], pick: Pick): string[] {
  return parent.flatMap((pattern) => {
    const below = world.filter((name) => name === pattern || (pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1))));
    return pick(4) === 3 ? [] : [pick(2) ? (below[pick(below.length)] ?? pattern) : pattern];
  });
}

function fewer(limit: number | undefined, pick: Pick): number | undefined {
  if (limit !== undefined) return pick(3) ? limit : Math.max(0, limit - 1 - pick(2));
  return pick(4) === 3 ? NUMBERS[pick(NUMBERS.length)] : undefined;
}

/** Details that these do not cover, and the member in which they are broader. Each is the smallest step beyond. */
export function widened(
  details: AuthorizationDetails,
  pick: Pick,
): { details: AuthorizationDetails; member: string } | undefined {
  const { actions, models = [], tools, max = {}, budget, attestation } = details;
  const more: [member: string, change: object][] = [];
  const action = ACTION_NAMES.find((name) => !actions.includes(name));
  if (action) more.push(['actions', { actions: [...actions, action] }]);
  const model = MODEL_PATTERNS.find((name) => !models.some((pattern) => isBelow(name, pattern)));
  if (model) more.push(['models', { models: [...models, model] }]);
  if (details.models) more.push(['models', { models: models.length === 0 ? ['openai/gpt-5'] : widerPatterns(models) }]);
  const tool = TOOL_PATTERNS.find((name) => !tools?.some((pattern) => isBelow(name, pattern)));
  if (tools) more.push(['tools', { tools: undefined }]);
  if (tools && tool) more.push(['tools', { tools: [...tools, tool] }]);
  for (const name of Object.keys(max) as (keyof typeof max)[]) {
    more.push([`max.${name}`, { max: { ...max, [name]: (max[name] ?? 0) + 1 } }]);
    more.push([`max.${name}`, { max: present({ ...max, [name]: undefined }) }]);
  }
  if (budget) {
    more.push(['budget', { budget: { ...budget, amount: budget.amount + 1 } }], ['budget', { budget: undefined }]);
    more.push(
      ['budget', { budget: { ...budget, decimals: budget.decimals + 1 } }],
      ['budget', { budget: { ...budget, unit: 'eur' } }],
    );
  }
  if (attestation)
    more.push(['attestation', { attestation: attestation - 1 || undefined }], ['attestation', { attestation: undefined }]);
  const [member, change] = more[pick(more.length)] ?? [];
  return member === undefined ? undefined : { details: present({ ...details, ...change }) as AuthorizationDetails, member };
}

function widerPatterns(models: readonly string[]): string[] {
  return models.map((model) => (model.endsWith('/*') ? 'gemini/*' : `${model.replace(/\*$/, '').slice(0, -1)}*`));
}

function isBelow(name: string, pattern: string): boolean {
  return name === pattern || (pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1)));
}

function present(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

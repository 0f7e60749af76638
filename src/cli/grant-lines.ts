// What a link may do, in words: all of it for a root, and for a link what differs from the one above it.

import type { AuthorizationDetails } from '../token/authorization-details.ts';
import { shownName } from './shown-text.ts';

type Limit = keyof NonNullable<AuthorizationDetails['max']>;
const LIMITS: readonly Limit[] = ['output_tokens', 'input_bytes', 'tools'];

/** @param above of the link above it; without it everything is said */
export function grantWords(details: AuthorizationDetails, above?: AuthorizationDetails): string[] {
  const said = wordsOf(details);
  const before = new Map(above && wordsOf(above));
  return [...said].filter(([name, words]) => before.get(name) !== words).map(([, words]) => words);
}

function wordsOf({ actions, models, tools, max, budget, attestation }: AuthorizationDetails): Map<string, string> {
  const words: [string, string][] = [
    ['actions', actions.length === 0 ? 'no action' : actions.join(', ')],
    ['models', models === undefined || models.length === 0 ? 'no model' : `models ${list(models)}`],
    ['tools', tools === undefined ? 'any tool' : tools.length === 0 ? 'no tools' : `tools ${list(tools)}`],
    ...LIMITS.map((name): [string, string] => [
      `max.${name}`,
      max?.[name] === undefined ? `no limit of ${LIMIT_WORDS[name]}` : `at most ${max[name]} ${LIMIT_WORDS[name]}`,
    ]),
    ['budget', budget === undefined ? 'no budget' : `budget ${amountOf(budget)}`],
    ['attestation', attestation === undefined ? 'no attestation' : `attestation ${attestation}`],
  ];
  // That there is no limit goes without saying; a link cannot take one away.
  return new Map(words.filter(([name, text]) => !(text.startsWith('no ') && UNSAID.has(name))));
}

const LIMIT_WORDS: Readonly<Record<Limit, string>> = {
  output_tokens: 'output tokens',
  input_bytes: 'input bytes',
  tools: 'tools a request',
};
const UNSAID: ReadonlySet<string> = new Set([...LIMITS.map((name) => `max.${name}`), 'budget', 'attestation']);

function amountOf({ amount, unit, decimals }: NonNullable<AuthorizationDetails['budget']>): string {
  const digits = String(amount).padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  return `${whole}${decimals === 0 ? '' : `.${digits.slice(digits.length - decimals)}`} ${shownName(unit)}`;
}

function list(names: readonly string[]): string {
  return names.map(shownName).join(', ');
}

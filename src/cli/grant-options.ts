// What a capability allows, as options of a command.

import { type Command, InvalidArgumentError } from 'commander';
import { type AuthorizationDetails, authorizationDetailsSchema } from '../token/authorization-details.ts';
import { CommandError, collect, readNamedFile, UsageError } from './output.ts';

export interface GrantOptions {
  action?: string[];
  model?: string[];
  tool?: string[];
  /** `--no-tools` makes it false. */
  tools: boolean;
  maxOutputTokens?: number;
  maxInputBytes?: number;
  details?: string;
}

/** @param otherwise what holds for actions and tools that nothing is said about */
export function addGrantOptions(command: Command, otherwise = { actions: 'chat', tools: 'any' }): Command {
  return command
    .option('--action <action>', `an action it allows; may be repeated (default: ${otherwise.actions})`, collect)
    .option('--model <pattern>', 'a model it allows, provider/model with * at the end only; may be repeated', collect)
    .option('--tool <pattern>', `a tool it allows; may be repeated (default: ${otherwise.tools})`, collect)
    .option('--no-tools', 'allow no tool at all')
    .option('--max-output-tokens <n>', 'most output tokens of one request', count)
    .option('--max-input-bytes <n>', 'largest request body', count)
    .option('--details <file>', 'a whole authorization_details entry as JSON instead of the options above');
}

/** Whether any of the options was given. */
export function saysGrant({ tools, ...options }: GrantOptions): boolean {
  const { action, model, tool, maxOutputTokens, maxInputBytes, details } = options;
  return !tools || [action, model, tool, maxOutputTokens, maxInputBytes, details].some((option) => option !== undefined);
}

/** @throws {CommandError} for details that no gateway would accept */
export async function readDetails(options: GrantOptions): Promise<AuthorizationDetails> {
  const { success, data, error } = authorizationDetailsSchema.safeParse(await detailsOf(options));
  if (success) return data;
  throw new CommandError(error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; '));
}

async function detailsOf(options: GrantOptions): Promise<unknown> {
  if (options.details !== undefined) return readDetailsFile(options.details);
  if (!options.tools && options.tool !== undefined)
    throw new UsageError('--no-tools allows no tool at all: leave it out, or leave --tool out');
  const max = {
    ...(options.maxOutputTokens !== undefined && { output_tokens: options.maxOutputTokens }),
    ...(options.maxInputBytes !== undefined && { input_bytes: options.maxInputBytes }),
  };
  return {
    type: 'llm_access',
    actions: options.action ?? ['chat'],
    ...(options.model && { models: options.model }),
    ...(options.tools ? options.tool && { tools: options.tool } : { tools: [] }),
    ...(Object.keys(max).length > 0 && { max }),
  };
}

async function readDetailsFile(file: string): Promise<unknown> {
  const text = (await readNamedFile(file)).toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, and the file may be another than was meant: a key.
    throw new CommandError(`${file} is not JSON: it must hold one authorization_details entry`);
  }
}

export function count(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('must be a whole number');
  return Number(text);
}

/** @returns seconds */
export function days(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('must be a whole number of days');
  return rootLifetime(Number(text) * 86_400);
}

const DAY = 86_400;
/** The most that a gateway can be told to accept (chain.rootLifetimeDays), and what it accepts where it is told nothing. */
const ROOT_DAYS = { most: 366, usual: 90 };

/** @param seconds that a root token is to hold @returns them */
export function rootLifetime(seconds: number): number {
  if (seconds > ROOT_DAYS.most * DAY)
    throw new InvalidArgumentError(`must be at most ${ROOT_DAYS.most} days: no gateway accepts more`);
  return seconds;
}

/** Said where it is issued: the command cannot know what the gateways are told. */
export function warnOfLifetime(seconds: number | undefined): void {
  if (seconds === undefined || seconds <= ROOT_DAYS.usual * DAY) return;
  process.stderr.write(
    `hermesbridge: a gateway refuses a capability of more than ${ROOT_DAYS.usual} days, unless its chain.rootLifetimeDays allows it\n`,
  );
}

/** @returns seconds */
export function duration(text: string): number {
  const seconds = durationOrNone(text);
  if (seconds === 0) throw new InvalidArgumentError('must be longer than nothing');
  return seconds;
}

/** The same, where none at all has a meaning too. */
export function durationOrNone(text: string): number {
  const match = /^(\d{1,6})([dhms])$/.exec(text);
  if (match === null) throw new InvalidArgumentError('must be a number with d, h, m or s, such as 30d');
  return Number(match[1]) * { d: 86_400, h: 3600, m: 60, s: 1 }[match[2] as 'd' | 'h' | 'm' | 's'];
}

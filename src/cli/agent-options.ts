// What the commands about an agent have in common: what it is granted, a key of its own, and where its capability is.

import type { Command } from 'commander';
import type { IssuedCapability } from '../operator/capability-file.ts';
import { dateTime } from '../operator/did-state.ts';
import type { Grant } from '../operator/home.ts';
import { type KeptKey, parseKey } from '../operator/kept-keys.ts';
import { addGrantOptions, count, days, type GrantOptions, readDetails, saysGrant, warnOfLifetime } from './grant-options.ts';
import { collect, readNamedFile } from './output.ts';

export interface AgentGrantOptions extends GrantOptions {
  audience?: string[];
  /** Seconds. */
  days?: number;
  maxDepth?: number;
}

export const KEY_HELP =
  'a key that is kept elsewhere, JWK (public or private) or PEM: its public half is registered, nothing of it is copied';

export function addAgentGrantOptions(command: Command): Command {
  const required = command.name() === 'register';
  const audience = ['--audience <name>', 'name of a gateway it is for; may be repeated'] as const;
  if (required) command.requiredOption(...audience, collect);
  else command.option(...audience, collect);
  return addGrantOptions(command)
    .option('--days <n>', 'days that the capability holds (default: 30, or as before)', days)
    .option('--max-depth <n>', 'how deep the agent may delegate (default: 0, or as before)', count);
}

/** What the options say, and nothing that they do not. */
export async function givenGrant(options: AgentGrantOptions): Promise<Partial<Grant>> {
  const { audience, days: lifetimeSeconds, maxDepth } = options;
  warnOfLifetime(lifetimeSeconds);
  return {
    ...(audience !== undefined && { audience }),
    ...(saysGrant(options) && { details: await readDetails(options) }),
    ...(lifetimeSeconds !== undefined && { lifetimeSeconds }),
    ...(maxDepth !== undefined && { maxDepth }),
  };
}

export async function readKeyOption(file: string | undefined): Promise<KeptKey | undefined> {
  return file === undefined ? undefined : parseKey((await readNamedFile(file)).toString('utf8'), file);
}

export function capabilityLines({ file, expires }: IssuedCapability): string[] {
  return [`capability  ${file}, until ${dateTime(expires * 1000)}`];
}

export function capabilityView({ file, expires }: IssuedCapability) {
  return { capability: file, capabilityExpires: dateTime(expires * 1000) };
}

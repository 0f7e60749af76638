// An agent of the home, with its log as it stands in the vault.

import { readdir } from 'node:fs/promises';
import { type AgentFile, type AgentFiles, assertName, findAgentFile, type HomeFiles } from './home.ts';
import type { OpenOperator } from './open-operator.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import { type OwnLog, openLog, publish } from './own-log.ts';

export interface OpenAgent {
  readonly files: AgentFiles;
  readonly agent: AgentFile;
  readonly log: OwnLog;
}

/** @throws {OperatorError} when the home has no such agent, or its registration did not get to its end */
export async function openAgent(name: string, { vault, author }: OpenOperator, tools: OperatorTools): Promise<OpenAgent> {
  const files = tools.files.agent(name);
  const agent = await readAgentFile(name, tools.files);
  if (!agent.registered)
    throw new OperatorError(`the registration of ${name} was cut short: run \`hermesbridge agent register ${name} …\` again`);
  const own = await openLog({ kind: 'agent', did: agent.did, file: files.log }, vault, tools);
  const log = own.published < own.lines.length ? await publish(own, author, vault) : own;
  return { files, agent, log };
}

/** @throws {OperatorError} */
export async function readAgentFile(name: string, home: HomeFiles): Promise<AgentFile> {
  assertName(name);
  const agent = await findAgentFile(home.agent(name));
  if (agent !== undefined) return agent;
  throw new OperatorError(`${home.directory} holds no agent "${name}": see \`hermesbridge agent list\``);
}

/** @throws {OperatorError} */
export function assertActive({ agent, log }: OpenAgent): void {
  if (log.log.deactivated) throw new OperatorError(`${agent.did} is deactivated for good: register another agent`);
}

/** Names of the agents that the home holds. */
export async function agentNames({ agents }: HomeFiles): Promise<string[]> {
  try {
    return (await readdir(agents)).toSorted();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

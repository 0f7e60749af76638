// What the vault has registered of an operator, as far as it is asked for.

import { readOperatorFile } from './home.ts';
import type { OperatorTools } from './operator-tools.ts';
import type { Registration } from './vault-client.ts';

export interface ListedAgents {
  readonly agents: readonly Registration[];
  /** Whether there are more than were asked for. */
  readonly more: boolean;
}

/** @param options `operator` is a DID; the home's own by default. @throws {OperatorError} */
export async function listAgents(
  options: { operator: string | undefined; limit: number },
  tools: OperatorTools,
): Promise<ListedAgents> {
  const own = await readOperatorFile(tools.files);
  const vault = await tools.vaultAt(own.vault, own.vaultCa);
  const agents: Registration[] = [];
  for await (const agent of vault.agentsOf(options.operator ?? own.did)) {
    if (agents.length === options.limit) return { agents, more: true };
    agents.push(agent);
  }
  return { agents, more: false };
}

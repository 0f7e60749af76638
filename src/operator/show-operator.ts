// The operator of a home, for looking at: nothing is changed, neither here nor in the vault.

import { keysOf, type PublishedKey } from './did-state.ts';
import { type OperatorFile, readOperatorFile } from './home.ts';
import { agentNames } from './open-agent.ts';
import { lastState } from './open-operator.ts';
import type { OperatorTools } from './operator-tools.ts';
import { readLog } from './own-log.ts';

export interface ShownOperator extends OperatorFile {
  readonly versionId: string;
  /** Versions that the vault does not have. */
  readonly unpublished: number;
  readonly keys: readonly PublishedKey[];
  /** How many the home holds. */
  readonly agents: number;
}

/** @throws {OperatorError} when the vault cannot be asked, or tells another story than the home */
export async function showOperator(tools: OperatorTools): Promise<ShownOperator> {
  const operator = await readOperatorFile(tools.files);
  const vault = await tools.vaultAt(operator.vault, operator.vaultCa);
  const own = await readLog({ kind: 'operator', did: operator.did, file: tools.files.log }, vault, tools);
  const unpublished = own.lines.length - own.published;
  const agents = (await agentNames(tools.files)).length;
  return { ...operator, versionId: own.log.versionId, unpublished, keys: keysOf(lastState(own)), agents };
}

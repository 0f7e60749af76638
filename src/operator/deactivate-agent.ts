// The end of an agent: the last entry of its log. No key holds under it any more, and none can be added.

import { withoutKeys } from './did-state.ts';
import { alone } from './home.ts';
import { openAgent } from './open-agent.ts';
import { lastState, openOperator } from './open-operator.ts';
import type { OperatorTools } from './operator-tools.ts';
import { addVersion } from './own-log.ts';

/** Deactivated again is deactivated still. @throws {OperatorError} */
export async function deactivateAgent(name: string, tools: OperatorTools): Promise<{ did: string; versionId: string }> {
  return alone(tools.files, async () => {
    const opened = await openOperator(tools);
    const { agent, log } = await openAgent(name, opened, tools);
    const state = withoutKeys(lastState(log));
    const last = log.log.deactivated ? log : await addVersion(log, { state, deactivate: true }, { ...opened, tools });
    return { did: agent.did, versionId: last.log.versionIds.at(-1) ?? '' };
  });
}

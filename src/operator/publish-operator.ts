// The operator's log, brought to the vault.

import { alone } from './home.ts';
import { openOperator } from './open-operator.ts';
import type { OperatorTools } from './operator-tools.ts';

/** @returns `published` is false when the vault had all of it already. @throws {OperatorError} */
export async function publishOperator(tools: OperatorTools): Promise<{ did: string; versionId: string; published: boolean }> {
  return alone(tools.files, async () => {
    const { log, wasPublished } = await openOperator(tools);
    return { did: log.did, versionId: log.log.versionIds.at(-1) ?? '', published: !wasPublished };
  });
}

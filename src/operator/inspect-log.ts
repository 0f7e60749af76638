// A log as the vault serves it, verified here, for looking at: of an agent or operator of this home, or of anyone in the vault.

import { UnknownDid } from '../vault/did-document.ts';
import { locationOfDidWebvh } from '../vault/did-location.ts';
import { InvalidLog, type VerifiedLog } from '../vault/webvh/verified-log.ts';
import { type AgentFile, assertName, findAgentFile, readOperatorFile } from './home.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import { linesOf, readLog } from './own-log.ts';
import type { VaultClient } from './vault-client.ts';

export interface InspectedLog {
  readonly lines: readonly string[];
  readonly log: VerifiedLog;
  /** How many of the lines the vault has. */
  readonly published: number;
  /** `undefined` for one that the home does not hold. */
  readonly agent: AgentFile | undefined;
}

/** @param named a name of an agent of the operator, or a DID in its vault. @throws {OperatorError} */
export async function inspectLog(named: string, tools: OperatorTools): Promise<InspectedLog> {
  const operator = await readOperatorFile(tools.files);
  const vault = await tools.vaultAt(operator.vault, operator.vaultCa);
  if (named.startsWith('did:')) return readServed(named, named, pathOf(named, operator.vault), vault, tools);
  assertName(named);
  const files = tools.files.agent(named);
  const agent = await findAgentFile(files);
  if (agent === undefined) return readServed(named, undefined, `/agents/${operator.name}/${named}/did.jsonl`, vault, tools);
  // What this home has published cannot be taken back by whoever serves it.
  const { lines, log, published } = await readLog({ kind: 'agent', did: agent.did, file: files.log }, vault, tools);
  return { lines, log, published, agent };
}

async function readServed(
  named: string,
  did: string | undefined,
  path: string,
  vault: VaultClient,
  tools: OperatorTools,
): Promise<InspectedLog> {
  const served = await vault.readLog(path);
  if (served === undefined) throw new OperatorError(`the vault has no log of ${named}: see \`hermesbridge agent list\``);
  const log = await tools.verifyLog({ did, ...served, now: tools.clock() }).catch((error: unknown) => {
    if (error instanceof InvalidLog)
      throw new OperatorError(`the log of ${named} that the vault serves does not verify: ${error.message}`);
    throw error;
  });
  const lines = linesOf(served.log);
  return { lines, log, published: lines.length, agent: undefined };
}

function pathOf(did: string, vault: string): string {
  try {
    const { origin, path } = locationOfDidWebvh(did);
    if (origin === vault) return path;
  } catch (error) {
    if (!(error instanceof UnknownDid)) throw error;
    throw new OperatorError(`${did.slice(0, 200)}: ${error.message}`);
  }
  throw new OperatorError(`${did} is not in this operator's vault, ${vault}: use \`hermesbridge did resolve\``);
}

// A new agent: its key, the first entry of its log with the operator as controller, and its root token. Each step is on disk before
// the next, so that a run that was cut short can be repeated and goes on from there.

import { join } from 'node:path';
import { generatePrivateKey } from '../crypto/private-key.ts';
import type { Algorithm } from '../crypto/public-key.ts';
import { firstEntry } from '../vault/webvh/author-log.ts';
import { deriveUpdateKey } from '../vault/webvh/update-key.ts';
import { type IssuedCapability, issueCapability, keyFile } from './capability-file.ts';
import { agentState, dateTime, keysOf } from './did-state.ts';
import { makeDirectory, removeDurably, writeDurably } from './durable-file.ts';
import { type AgentFile, type AgentFiles, alone, assertName, findAgentFile, type Grant, writeJson } from './home.ts';
import { locationAt } from './init-operator.ts';
import { findKey, type KeptKey, writeKey } from './kept-keys.ts';
import { lastState, type OpenOperator, openOperator } from './open-operator.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import { openLog, publish, textOf } from './own-log.ts';
import { VaultRefusal } from './vault-problem.ts';

export interface RegisterOptions {
  readonly name: string;
  readonly grant: Grant;
  readonly algorithm: Algorithm;
  /** A key that is kept elsewhere, instead of a new one. */
  readonly key: KeptKey | undefined;
  /** Absolute; the agent's folder in the home by default. */
  readonly directory: string | undefined;
}

export interface RegisteredAgent {
  readonly agent: AgentFile;
  readonly versionId: string;
  readonly keyId: string;
  /** `undefined` for a key that is kept elsewhere. */
  readonly keyFile: string | undefined;
  readonly capability: IssuedCapability;
}

/** Not worth keeping the entry for: the vault has judged it, and will judge it so again. */
const FINAL = new Set([400, 409, 413, 422]);

/** @throws {OperatorError} */
export async function registerAgent(options: RegisterOptions, tools: OperatorTools): Promise<RegisteredAgent> {
  const { name, grant } = options;
  assertName(name);
  return alone(tools.files, async () => {
    const opened = await openOperator(tools);
    const files = tools.files.agent(name);
    const started = await findAgentFile(files);
    if (started?.registered)
      throw new OperatorError(
        `${name} is registered already, as ${started.did}: \`agent renew\` issues its capability again, \`agent rotate\` makes another key`,
      );
    const agent: AgentFile = { ...(started ?? (await begin(options, files, opened, tools))), grant };
    if (options.directory !== undefined && options.directory !== agent.directory)
      throw new OperatorError(`the registration of ${name} was begun with --out ${agent.directory}: run it again with that one`);
    const place = { kind: 'agent', did: agent.did, file: files.log } as const;
    const own = await openLog(place, opened.vault, tools);
    const state = lastState(own);
    const [published] = keysOf(state);
    if (published?.key === undefined)
      throw new OperatorError(`${files.log} has no key: move ${files.directory} away and run this again`);
    if (options.key !== undefined && options.key.publicKey.jkt !== published.key.jkt)
      throw new OperatorError(`the registration of ${name} was begun with another --key: run it again with that one`);
    const log = await publish(own, opened.author, opened.vault).catch(async (error: unknown) => {
      if (error instanceof VaultRefusal && FINAL.has(error.status)) {
        await removeDurably(files.agent);
        await removeDurably(files.log);
      }
      throw error;
    });
    const { author, operator } = opened;
    const capability = await issueCapability(agent, published.key, { operator: operator.did, author, now: tools.clock() });
    await writeJson(files.agent, { ...agent, registered: true });
    const versionId = log.log.versionIds.at(-1) ?? '';
    return { agent, versionId, keyId: published.id, keyFile: agent.holdsKey ? keyFile(agent) : undefined, capability };
  });
}

/** Everything up to the point where the DID is known, and with it what there is to publish. */
async function begin(
  { name, algorithm, key: external, directory }: RegisterOptions,
  files: AgentFiles,
  { operator, seed, vault }: OpenOperator,
  { clock, onProgress }: OperatorTools,
): Promise<AgentFile> {
  const location = locationAt(operator.vault, `agents:${operator.name}:${name}`);
  const path = `/agents/${operator.name}/${name}/did.jsonl`;
  if ((await vault.readLog(path)) !== undefined)
    throw new OperatorError(
      `the vault has an agent ${name} of this operator that this home does not hold: choose another name, or rebuild the home with \`operator recover\``,
    );
  const out = directory ?? files.directory;
  await makeDirectory(files.directory);
  await makeDirectory(out);
  const key = external ?? (await ownKey(join(out, 'key.jwk'), algorithm, onProgress));
  const now = clock();
  const { did, line } = firstEntry({
    location,
    state: (made) => agentState(made, operator.did, key.publicKey),
    updateKey: deriveUpdateKey(seed, location, 1),
    nextUpdateKey: deriveUpdateKey(seed, location, 2).publicKey,
    now,
  });
  await writeDurably(files.log, textOf([line]));
  const holdsKey = external === undefined;
  const agent = { name, did, createdAt: dateTime(now), directory: out, holdsKey, registered: false };
  await writeJson(files.agent, agent);
  return agent;
}

async function ownKey(file: string, algorithm: Algorithm, onProgress: (line: string) => void): Promise<KeptKey> {
  const found = await findKey(file);
  if (found?.private !== undefined) {
    onProgress(`uses the key that is in ${file}`);
    return found;
  }
  if (found !== undefined) throw new OperatorError(`${file} holds no private key: move it away, or name another --out`);
  const made = generatePrivateKey(algorithm);
  const key = { publicKey: made.publicKey, private: made };
  await writeKey(file, key);
  return key;
}

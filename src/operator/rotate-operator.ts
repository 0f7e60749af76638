// A new signing key for the operator. The old one holds until the overlap ends, and roots that it signed fall with it: every
// capability that this home issued is issued again under the new key before the rotation counts as done.

import { setTimeout as sleep } from 'node:timers/promises';
import { generatePrivateKey } from '../crypto/private-key.ts';
import type { Algorithm } from '../crypto/public-key.ts';
import { issueCapability, keyInUse } from './capability-file.ts';
import { dropExpired, expireKeys, findHolding, keysOf, nextKeyNumber, type PublishedKey, withKey } from './did-state.ts';
import { removeDurably } from './durable-file.ts';
import { alone } from './home.ts';
import { findKey, type KeptKey, writeKey } from './kept-keys.ts';
import { agentNames, openAgent } from './open-agent.ts';
import { authorOf, lastState, type OpenOperator, openOperator } from './open-operator.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import { addVersion, type OwnLog, statesOf } from './own-log.ts';

export interface OperatorRotation {
  readonly did: string;
  readonly versionId: string;
  readonly key: PublishedKey;
  /** Keys that still hold, each with its end. */
  readonly old: readonly PublishedKey[];
  readonly reissued: readonly string[];
  /** Agents whose root could not be issued again, and why. */
  readonly left: readonly { readonly agent: string; readonly why: string }[];
}

/** @param options `algorithm` is that of the old key by default. @throws {OperatorError} */
export async function rotateOperator(
  { overlapSeconds, algorithm }: { overlapSeconds: number; algorithm: Algorithm | undefined },
  tools: OperatorTools,
): Promise<OperatorRotation> {
  const { files, clock, onProgress, settleMillis } = tools;
  return alone(files, async () => {
    const opened = await openOperator(tools);
    const pending = await pendingKey(files.pendingKey, algorithm ?? opened.author.key.algorithm);
    let { log } = opened;
    if (findHolding(lastState(log), pending.publicKey, clock()) === undefined) {
      const now = clock();
      const kept = dropExpired(expireKeys(lastState(log), now + overlapSeconds * 1000), now);
      const number = nextKeyNumber(statesOf(log));
      const state = withKey(kept, pending.publicKey, { number, purposes: ['assertionMethod', 'capabilityInvocation'] });
      log = await addVersion(log, { state }, { ...opened, tools });
      onProgress(`published the new key as version ${log.lines.length} of ${log.did}`);
      await sleep(settleMillis);
    }
    const { reissued, left } = await reissueAll({ ...opened, log }, pending, tools);
    await writeKey(files.signingKey, pending);
    await removeDurably(files.pendingKey);
    return { ...summary(log, pending, clock()), reissued, left };
  });
}

/** The key of a run that was cut short, which may be published already, or a new one. */
export async function pendingKey(file: string, algorithm: Algorithm): Promise<KeptKey> {
  const found = await findKey(file);
  if (found !== undefined) return found;
  const made = generatePrivateKey(algorithm);
  const key = { publicKey: made.publicKey, private: made };
  await writeKey(file, key);
  return key;
}

export function summary(log: OwnLog, key: KeptKey, now: number): Pick<OperatorRotation, 'did' | 'versionId' | 'key' | 'old'> {
  const state = lastState(log);
  const published = findHolding(state, key.publicKey, now);
  if (published === undefined) throw new OperatorError(`the new key is not in the document of ${log.did}`);
  const old = keysOf(state).filter(({ id, expires }) => id !== published.id && (expires === undefined || now < expires));
  return { did: log.did, versionId: log.log.versionIds.at(-1) ?? '', key: published, old };
}

export async function reissueAll(
  opened: OpenOperator,
  key: KeptKey,
  tools: OperatorTools,
): Promise<Pick<OperatorRotation, 'reissued' | 'left'>> {
  const author = authorOf(lastState(opened.log), key, tools.clock());
  if (author === undefined) throw new OperatorError(`the new key is not in the document of ${opened.log.did}`);
  const reissued: string[] = [];
  const left: { agent: string; why: string }[] = [];
  for (const name of await agentNames(tools.files)) {
    try {
      const { agent, log } = await openAgent(name, { ...opened, author }, tools);
      if (log.log.deactivated) continue;
      const inUse = await keyInUse(agent, lastState(log), tools.clock());
      await issueCapability(agent, inUse, { operator: opened.operator.did, author, now: tools.clock() });
      reissued.push(name);
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      left.push({ agent: name, why: error.message });
    }
  }
  return { reissued, left };
}

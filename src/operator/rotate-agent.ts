// A new key for an agent, without a request that fails: the new key is published while the old one holds on, the sidecar gets the new
// key with a new root, and when the overlap is over the old key is dropped.

import { setTimeout as sleep } from 'node:timers/promises';
import { generatePrivateKey } from '../crypto/private-key.ts';
import type { Algorithm } from '../crypto/public-key.ts';
import { grantOf, type IssuedCapability, issueCapability, keyFile, keyInUse } from './capability-file.ts';
import { dropExpired, expireKeys, findHolding, keysOf, nextKeyNumber, type PublishedKey, withKey } from './did-state.ts';
import { removeDurably } from './durable-file.ts';
import { type AgentFile, alone, type Grant, writeJson } from './home.ts';
import { findKey, type KeptKey, writeKey } from './kept-keys.ts';
import { assertActive, type OpenAgent, openAgent } from './open-agent.ts';
import { lastState, type OpenOperator, openOperator } from './open-operator.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import { addVersion, type OwnLog, statesOf } from './own-log.ts';
import { summary } from './rotate-operator.ts';

export interface RotateOptions {
  readonly name: string;
  /** How long the old key holds beside the new one; 0 drops it at once, and with it whatever a rotation under way left. */
  readonly overlapSeconds: number;
  /** That of the old key by default. */
  readonly algorithm: Algorithm | undefined;
  /** For an agent whose key is kept elsewhere: its new one, without which an algorithm must be named. */
  readonly key: KeptKey | undefined;
  /** In place of what was granted before. */
  readonly grant: Partial<Grant>;
}

export interface AgentRotation {
  readonly did: string;
  readonly versionId: string;
  readonly key: PublishedKey;
  /** Keys that still hold, each with its end. */
  readonly old: readonly PublishedKey[];
  /** `undefined` when a rotation was under way, and nothing new was made. */
  readonly capability: IssuedCapability | undefined;
  readonly keyFile: string | undefined;
}

/** Everything but the end: `finishRotation` drops the old key when it holds no more. @throws {OperatorError} */
export async function rotateAgent(options: RotateOptions, tools: OperatorTools): Promise<AgentRotation> {
  return alone(tools.files, async () => {
    const opened = await openOperator(tools);
    const found = await openAgent(options.name, opened, tools);
    assertActive(found);
    const underWay = await findUnderWay(found, options, tools);
    if (underWay === undefined) await assertKeyNamed(found, options);
    const agent = await withGrant(found, options.grant);
    grantOf(agent);
    if (underWay !== undefined) return underWay;
    const pending = await nextKey(found, options);
    const log = await publishKey(found, pending, opened, options.overlapSeconds, tools);
    const { author, operator } = opened;
    const capability = await issueCapability(agent, pending.publicKey, { operator: operator.did, author, now: tools.clock() });
    // The sidecar keeps the old pair while the two files do not fit together.
    const kept = pending.private !== undefined;
    if (kept) await writeKey(keyFile(agent), pending);
    if (kept !== agent.holdsKey) await writeJson(found.files.agent, { ...agent, holdsKey: kept });
    await removeDurably(found.files.pendingKey);
    return { ...summary(log, pending, tools.clock()), capability, keyFile: kept ? keyFile(agent) : undefined };
  });
}

/** Drops the keys that hold no more. @throws {OperatorError} while one of them still does */
export async function finishRotation(
  name: string,
  tools: OperatorTools,
): Promise<{ did: string; versionId: string; dropped: string[] }> {
  return alone(tools.files, async () => {
    const opened = await openOperator(tools);
    const found = await openAgent(name, opened, tools);
    assertActive(found);
    const now = tools.clock();
    const state = lastState(found.log);
    const rest = dropExpired(state, now);
    const left = new Set(keysOf(rest).map(({ id }) => id));
    const dropped = keysOf(state).flatMap(({ id }) => (left.has(id) ? [] : [id]));
    const log = dropped.length === 0 ? found.log : await addVersion(found.log, { state: rest }, { ...opened, tools });
    return { did: found.agent.did, versionId: log.log.versionIds.at(-1) ?? '', dropped };
  });
}

/** When the last of the agent's old keys ends, milliseconds since the epoch; `undefined` when none has an end. @throws {OperatorError} */
export async function overlapEnd(name: string, tools: OperatorTools): Promise<number | undefined> {
  return alone(tools.files, async () => {
    const found = await openAgent(name, await openOperator(tools), tools);
    const ends = keysOf(lastState(found.log)).flatMap(({ expires }) => expires ?? []);
    return ends.length === 0 ? undefined : Math.max(...ends);
  });
}

/** The same key, another root: renewed before it expires, or granted differently. @throws {OperatorError} */
export async function renewAgent(
  { name, grant }: Pick<RotateOptions, 'name' | 'grant'>,
  tools: OperatorTools,
): Promise<{ agent: AgentFile; capability: IssuedCapability }> {
  return alone(tools.files, async () => {
    const { operator, author, ...opened } = await openOperator(tools);
    const found = await openAgent(name, { operator, author, ...opened }, tools);
    assertActive(found);
    const agent = await withGrant(found, grant);
    grantOf(agent);
    const key = await keyInUse(agent, lastState(found.log), tools.clock());
    return { agent, capability: await issueCapability(agent, key, { operator: operator.did, author, now: tools.clock() }) };
  });
}

/** A rotation whose new key is in use while the old one still holds: there is nothing to make, only to wait. */
async function findUnderWay(
  { agent, files, log }: OpenAgent,
  { overlapSeconds, key }: RotateOptions,
  { clock }: OperatorTools,
): Promise<AgentRotation | undefined> {
  if (overlapSeconds === 0 || key !== undefined || (await findKey(files.pendingKey)) !== undefined) return undefined;
  const now = clock();
  const holding = keysOf(lastState(log)).filter(({ expires }) => expires === undefined || now < expires);
  const current = holding.find(({ expires }) => expires === undefined);
  const old = holding.filter(({ expires }) => expires !== undefined);
  if (current === undefined || old.length === 0) return undefined;
  const versionId = log.log.versionIds.at(-1) ?? '';
  return {
    did: agent.did,
    versionId,
    key: current,
    old,
    capability: undefined,
    keyFile: agent.holdsKey ? keyFile(agent) : undefined,
  };
}

/** Before anything is changed. @throws {OperatorError} */
async function assertKeyNamed({ agent, files }: OpenAgent, { algorithm, key }: RotateOptions): Promise<void> {
  // One of a home that was rebuilt has no grant: where its key was kept is not known, and the new one is made here.
  const keptElsewhere = !agent.holdsKey && agent.grant !== undefined;
  if (!keptElsewhere || key !== undefined || algorithm !== undefined || (await findKey(files.pendingKey)) !== undefined) return;
  throw new OperatorError(
    `the key of ${agent.name} is kept elsewhere: name its new one with --key; to have one made here instead, name its --algorithm`,
  );
}

async function nextKey({ agent, files, log }: OpenAgent, { algorithm, key }: RotateOptions): Promise<KeptKey> {
  const pending = await findKey(files.pendingKey);
  if (pending !== undefined) {
    if (key !== undefined && key.publicKey.jkt !== pending.publicKey.jkt)
      throw new OperatorError(
        `a rotation to another key was begun: finish it first with \`hermesbridge agent rotate ${agent.name}\``,
      );
    return pending;
  }
  // Of a key that is kept elsewhere only the public half is written down.
  const next =
    key === undefined
      ? generated(algorithm ?? keysOf(lastState(log)).at(-1)?.key?.algorithms[0] ?? 'Ed25519')
      : { ...key, private: undefined };
  await writeKey(files.pendingKey, next);
  return next;
}

function generated(algorithm: Algorithm): KeptKey {
  const made = generatePrivateKey(algorithm);
  return { publicKey: made.publicKey, private: made };
}

async function publishKey(
  { log }: OpenAgent,
  { publicKey }: KeptKey,
  opened: OpenOperator,
  overlapSeconds: number,
  tools: OperatorTools,
): Promise<OwnLog> {
  const now = tools.clock();
  if (findHolding(lastState(log), publicKey, now) !== undefined) return log;
  const kept = dropExpired(expireKeys(lastState(log), now + overlapSeconds * 1000), now);
  const state = withKey(kept, publicKey, { number: nextKeyNumber(statesOf(log)), purposes: ['capabilityInvocation'] });
  const next = await addVersion(log, { state }, { ...opened, tools });
  tools.onProgress(`published the new key as version ${next.lines.length} of ${next.did}`);
  if (overlapSeconds > 0) await sleep(Math.min(tools.settleMillis, overlapSeconds * 500));
  return next;
}

async function withGrant({ agent, files }: OpenAgent, given: Partial<Grant>): Promise<AgentFile> {
  if (Object.keys(given).length === 0) return agent;
  const merged = { lifetimeSeconds: 30 * 86_400, maxDepth: 0, ...agent.grant, ...given };
  const { audience, details } = merged;
  if (audience === undefined)
    throw new OperatorError(`what ${agent.name} may do is not known in this home: name the gateway with --audience too`);
  if (details === undefined)
    throw new OperatorError(`what ${agent.name} may do is not known in this home: say it with --model, --action … too`);
  const changed = { ...agent, grant: { ...merged, audience, details } };
  await writeJson(files.agent, changed);
  return changed;
}

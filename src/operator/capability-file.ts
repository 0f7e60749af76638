// The root token of an agent, issued again whenever one of the keys that it names changes.

import { join } from 'node:path';
import type { Algorithm, PublicKey } from '../crypto/public-key.ts';
import { issueRootToken } from '../token/issue-root.ts';
import { type DidState, findHolding, keysOf } from './did-state.ts';
import { writeDurably } from './durable-file.ts';
import type { AgentFile, Grant } from './home.ts';
import { findKey } from './kept-keys.ts';
import { OperatorError } from './operator-error.ts';
import type { Author } from './sign-write.ts';

export interface IssuedCapability {
  readonly file: string;
  /** Seconds since the epoch. */
  readonly expires: number;
}

export function keyFile({ directory }: AgentFile): string {
  return join(directory, 'key.jwk');
}

export function capabilityFile({ directory }: AgentFile): string {
  return join(directory, 'capability');
}

/** @param now milliseconds since the epoch. @throws {OperatorError} when it is not known what to grant */
export async function issueCapability(
  agent: AgentFile,
  key: PublicKey,
  { operator, author, now }: { operator: string; author: Author; now: number },
): Promise<IssuedCapability> {
  const { audience, details, lifetimeSeconds, maxDepth } = grantOf(agent);
  const issuedAt = Math.floor(now / 1000);
  const token = await issueRootToken({
    operatorKey: author.key,
    operator,
    operatorKeyId: author.keyId,
    agent: agent.did,
    agentKey: key,
    agentAlgorithm: algorithmOf(key),
    audience,
    details,
    issuedAt,
    lifetimeSeconds,
    maxDepth,
  });
  const file = capabilityFile(agent);
  await writeDurably(file, `${token}\n`);
  return { file, expires: issuedAt + lifetimeSeconds };
}

/** @throws {OperatorError} */
export function grantOf({ name, grant }: AgentFile): Grant {
  if (grant !== undefined) return grant;
  throw new OperatorError(
    `what ${name} may do is not known in this home: say it with --audience GATEWAY and --model, --action … (see \`hermesbridge agent renew --help\`)`,
  );
}

/** The key that the agent signs with. @throws {OperatorError} when it does not hold */
export async function keyInUse(agent: AgentFile, state: DidState, now: number): Promise<PublicKey> {
  if (agent.holdsKey) {
    const held = await findKey(keyFile(agent));
    if (held !== undefined && findHolding(state, held.publicKey, now)) return held.publicKey;
    throw new OperatorError(
      `${keyFile(agent)} is ${held ? 'no key of the agent any more' : 'not there'}: put it back, or make another with \`hermesbridge agent rotate ${agent.name}\``,
    );
  }
  const holding = keysOf(state).filter(
    ({ key, expires, purposes }) => key && expires === undefined && purposes.includes('capabilityInvocation'),
  );
  const key = holding.at(-1)?.key;
  if (key === undefined)
    throw new OperatorError(`${agent.did} has no key that holds: make one with \`hermesbridge agent rotate ${agent.name}\``);
  return key;
}

function algorithmOf({ algorithms }: PublicKey): Algorithm {
  const [algorithm] = algorithms;
  if (algorithm === undefined) throw new OperatorError('the key has no algorithm');
  return algorithm;
}

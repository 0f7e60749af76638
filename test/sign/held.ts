// A capability as an agent's sidecar holds it, issued by the program's own means, and a clock that tests move.

import { pino } from 'pino';
import { AgentChains, type ChainSettings } from '../../src/sign/agent-chains.ts';
import { type HeldChain, holdChain } from '../../src/sign/held-chain.ts';
import type { AuthorizationDetails } from '../../src/token/authorization-details.ts';
import { issueRootToken } from '../../src/token/issue-root.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { keyOf } from '../keys.ts';

/** Milliseconds since the epoch, a whole second. */
export const START = Date.UTC(2026, 0, 1);
export const MINUTE = 60_000;
export const DETAILS: AuthorizationDetails = {
  type: 'llm_access',
  actions: ['chat', 'embed'],
  models: ['openai/gpt-5*'],
  max: { output_tokens: 4096 },
};

export interface RootChanges {
  readonly maxDepth?: number;
  readonly lifetimeSeconds?: number;
  readonly agent?: string;
}

export async function rootOf({ maxDepth = 3, lifetimeSeconds = 86_400, agent = 'agent' }: RootChanges = {}): Promise<HeldChain> {
  const [operatorKey, key] = [keyOf('operator'), keyOf(agent)];
  const operator = didKeyOf(operatorKey.publicKey);
  const token = await issueRootToken({
    operatorKey,
    operator,
    operatorKeyId: `${operator}#${operator.slice('did:key:'.length)}`,
    agent: didKeyOf(key.publicKey),
    agentKey: key.publicKey,
    agentAlgorithm: key.algorithm,
    audience: ['gateway.example', 'other.example'],
    details: DETAILS,
    issuedAt: START / 1000,
    lifetimeSeconds,
    maxDepth,
  });
  return holdChain(key, [token]);
}

export interface Sidecar {
  readonly chains: AgentChains;
  readonly clock: { now: number };
  /** Messages of the log. */
  readonly said: { readonly level: number; readonly msg: string }[];
}

export function sidecarOf(bound: HeldChain, changes: Partial<Omit<ChainSettings, 'clock' | 'log'>> = {}): Sidecar {
  const clock = { now: START };
  const said: Sidecar['said'] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void said.push(JSON.parse(line)) });
  const chains = new AgentChains(bound, {
    session: { lifetimeMinutes: 60 },
    task: { header: 'x-agent-task', lifetimeMinutes: 15, required: true },
    tasks: {},
    ...changes,
    clock: () => clock.now,
    log,
  });
  return { chains, clock, said };
}

export function claimsOf({ leaf }: HeldChain) {
  return leaf.untrustedClaims;
}

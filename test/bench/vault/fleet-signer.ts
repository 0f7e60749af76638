// The requests of many agents, in the load generator's signing thread: each is signed with the key of its agent, which presents a root
// token that the operator issued to it, the same one each time.

import { issueRootToken } from '../../../src/token/issue-root.ts';
import { GATEWAY_NAME } from '../credentials.ts';
import type { FleetOrder } from '../load-protocol.ts';
import { type RequestToSend, signedRequest } from '../signed-request.ts';
import { type Fleet, makeFleet } from './fleet.ts';

const TOKEN_SECONDS = 86_400;
const tokens = new Map<number, string>();
let known: { readonly seed: string; readonly fleet: Fleet } | undefined;

/** @returns a maker of the request at a place of the order; all tokens have been issued, since a signature does not live as long */
export async function fleetSigner(request: RequestToSend, order: FleetOrder): Promise<(at: number) => Buffer> {
  const { agents, lifetimeSeconds } = order;
  const fleet = fleetOf(order);
  for (const number of agents) if (!tokens.has(number)) tokens.set(number, await issueToken(fleet, number));
  return (at) => {
    const number = agents[at] ?? 0;
    return signedRequest(request, { key: fleet.agentKey(number), chain: [tokens.get(number) ?? ''] }, lifetimeSeconds);
  };
}

/** There is one fleet in a run. */
function fleetOf({ fleet: settings }: FleetOrder): Fleet {
  const seed = Buffer.from(settings.seed).toString('base64url');
  if (known !== undefined && known.seed !== seed) throw new Error('another fleet than before');
  known ??= { seed, fleet: makeFleet(settings) };
  return known.fleet;
}

function issueToken({ operator, agentKey, agent }: Fleet, number: number): Promise<string> {
  const { publicKey } = agentKey(number);
  return issueRootToken({
    operatorKey: operator.key,
    operator: operator.did,
    operatorKeyId: operator.keyId,
    agent: agent(number).did,
    agentKey: publicKey,
    agentAlgorithm: 'Ed25519',
    audience: [GATEWAY_NAME],
    details: { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'], tools: [] },
    issuedAt: Math.floor(Date.now() / 1000),
    lifetimeSeconds: TOKEN_SECONDS,
    maxDepth: 0,
  });
}

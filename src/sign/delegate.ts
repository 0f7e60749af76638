// Passes a part of what this agent may do on to another agent (profile section 3): a link to that agent's DID and key, minted with
// a key that this sidecar holds and without asking anyone. Asked for over a local socket, never over the way that LLM calls take.

import { z } from 'zod';
import { importPublicJwk, KeyError, type PublicKey } from '../crypto/public-key.ts';
import { type AuthorizationDetails, authorizationDetailsSchema } from '../token/authorization-details.ts';
import { findChainFault, readChainForm } from '../token/chain-form.ts';
import { listed } from '../token/edge.ts';
import { mintLink } from '../token/mint-link.ts';
import { findBroader } from '../token/narrower.ts';
import { did, MAX_DEPTH, TokenError } from '../token/token-form.ts';
import { UnknownDid } from '../vault/did-document.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import { TASK_NAME } from './configuration.ts';
import type { HeldChain } from './held-chain.ts';

const audience = z.string().min(1).max(253);

export const delegationSchema = z.strictObject({
  /** The other agent. */
  to: did,
  /** Its public key with the one algorithm it is used with. */
  key: z.looseObject({ alg: z.string() }),
  details: authorizationDetailsSchema,
  /** As long as the session, or the task, where it is left out; never longer. */
  lifetimeSeconds: z
    .int()
    .min(1)
    .max(90 * 86_400)
    .optional(),
  /** How deep the whole chain may go, this link included. */
  maxDepth: z.int().min(1).max(MAX_DEPTH).optional(),
  audience: z.union([audience, z.array(audience).min(1).max(16)]).optional(),
  task: z.string().regex(TASK_NAME, 'must be 1 to 128 visible ASCII characters').optional(),
});
export type DelegationRequest = z.infer<typeof delegationSchema>;

export interface Delegation {
  /** Compact tokens, root first; the last is bound to the other agent's key. */
  readonly chain: readonly string[];
  /** RFC 3339. */
  readonly expires: string;
}

export interface DelegationSettings {
  /** The chain that the link goes below, with when it ends at the latest; `undefined` where no chain leaves room for one. */
  readonly above: HeldChain | undefined;
  readonly tasks: Readonly<Record<string, AuthorizationDetails>>;
  readonly taskLifetimeSeconds: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** What a delegation is refused for, by the last part of the problem's type. */
export type RefusalCode = 'invalid-key' | 'not-another-agent' | 'broader' | 'too-deep' | 'expired' | 'not-delegable';

/** The message says what to ask for instead, and repeats nothing of the request but names of members. */
export class DelegationRefused extends Error {
  override readonly name = 'DelegationRefused';
  readonly code: RefusalCode;
  /** Path of the member that is at fault. */
  readonly field: string | undefined;

  constructor(code: RefusalCode, message: string, field?: string) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

/** @throws {DelegationRefused} */
export async function delegate(request: DelegationRequest, settings: DelegationSettings): Promise<Delegation> {
  const { above, now } = settings;
  if (above === undefined) throw new DelegationRefused('too-deep', 'The capability leaves no room for a link (del_max_depth).');
  // A link lives for whole seconds, and none may outlive what it is made in.
  if (above.expiresAt - now < 1000)
    throw new DelegationRefused('expired', "The sidecar's capability has expired: issue a new one.");
  const claims = above.leaf.untrustedClaims;
  if (request.to === claims.client_id)
    throw new DelegationRefused('not-another-agent', 'This is the agent itself: a delegation is for another agent.', 'to');
  const key = readKey(request);
  const algorithm = key.algorithms[0];
  if (algorithm === undefined) throw new DelegationRefused('invalid-key', 'The key has no algorithm.', 'key.alg');
  assertNarrower(request, settings, claims.authorization_details[0]);
  if (request.maxDepth !== undefined && (request.maxDepth > claims.del_max_depth || request.maxDepth <= claims.del_depth))
    throw new DelegationRefused('too-deep', `It must be from ${claims.del_depth + 1} to ${claims.del_max_depth}.`, 'maxDepth');
  try {
    const link = await mintLink({
      parent: above.leaf.compact,
      parentKey: above.key,
      agent: request.to,
      key,
      algorithm,
      details: request.details,
      issuedAt: Math.floor(now / 1000),
      lifetimeSeconds: lifetimeOf(request, settings, above),
      task: request.task,
      maxDepth: request.maxDepth,
      ...(request.audience !== undefined && { audience: listed(request.audience) }),
    });
    const chain = [...above.chain, link] as const;
    const [root = '', ...links] = chain;
    const form = readChainForm([root, ...links]);
    const fault = findChainFault(form);
    if (fault !== undefined) throw new TokenError(`the link ${fault.why}`);
    const { exp } = (form.at(-1) ?? form[0]).untrustedClaims;
    return { chain, expires: new Date(exp * 1000).toISOString() };
  } catch (error) {
    if (error instanceof TokenError)
      throw new DelegationRefused('not-delegable', `No gateway would accept it: ${error.message}.`);
    throw error;
  }
}

/** Whether it is a current key of that DID only a resolver can say: did:key and did:jwk say it here, the others at the gateway. */
function readKey({ to, key: jwk }: DelegationRequest): PublicKey {
  try {
    const key = importPublicJwk(jwk);
    if (!/^did:(?:key|jwk):/.test(to)) return key;
    if (resolveSelfDescribing(to).verificationMethods.some((method) => method.key.jkt === key.jkt)) return key;
  } catch (error) {
    if (error instanceof KeyError) throw new DelegationRefused('invalid-key', `No public key: ${error.message}.`, 'key');
    if (error instanceof UnknownDid) throw new DelegationRefused('invalid-key', `No DID: ${error.message}.`, 'to');
    throw error;
  }
  throw new DelegationRefused('invalid-key', 'It is not the key of the DID in "to".', 'key');
}

function assertNarrower(
  { details, audience, task }: DelegationRequest,
  { tasks, above }: DelegationSettings,
  most: AuthorizationDetails,
) {
  const broader = findBroader(details, most);
  if (broader !== undefined) throw broaderBy(broader, 'this agent may do');
  const given = above?.leaf.untrustedClaims;
  const named = task ?? given?.task;
  const ofTask = named !== undefined && Object.hasOwn(tasks, named) ? tasks[named] : undefined;
  const beyond = ofTask && findBroader(details, ofTask);
  if (beyond !== undefined) throw broaderBy(beyond, 'the task may do');
  if (audience !== undefined && !listed(audience).every((name) => listed(given?.aud ?? []).includes(name)))
    throw new DelegationRefused('broader', 'It names a gateway that the capability is not for.', 'audience');
  if (given?.task !== undefined && task !== undefined && task !== given.task)
    throw new DelegationRefused('broader', 'This agent works for one task, and this is another.', 'task');
}

function broaderBy(member: string, than: string): DelegationRefused {
  return new DelegationRefused(
    'broader',
    `It is broader than what ${than}: repeat its limit, or name a narrower one.`,
    `details.${member}`,
  );
}

function lifetimeOf({ lifetimeSeconds, task }: DelegationRequest, settings: DelegationSettings, above: HeldChain): number {
  const left = Math.floor((above.expiresAt - settings.now) / 1000);
  // A link that opens a task lives no longer than a task.
  const opensTask = task !== undefined && above.leaf.untrustedClaims.task === undefined;
  return Math.min(lifetimeSeconds ?? left, left, opensTask ? settings.taskLifetimeSeconds : left);
}

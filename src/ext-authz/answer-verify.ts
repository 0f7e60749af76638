// The gateway's answer: decide, write the record, and only then reply (profile sections 4, 7 and 8).

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { writeRecord } from '../audit/record.ts';
import type { VerifiedChain } from '../checks/chain/check-chain.ts';
import type { Checks } from '../checks/checks.ts';
import type { NonceToKeep } from '../checks/nonce/check-nonce.ts';
import { decide, reconsider } from '../decide.ts';
import { type Clearance, type Decision, indeterminate, refuse } from '../decision.ts';
import { Note } from '../note.ts';
import type { Outcome } from '../outcome.ts';
import { type HeaderFields, type InboundRequest, ownCopy } from '../request.ts';
import { writeStreamChain } from '../streams/stream-chain.ts';
import type { Answer } from './authorization-service.ts';
import { encodeAllow, encodeDeny, metadataStruct } from './build-check-response.ts';
import { problem } from './problem.ts';

export interface VerifySettings {
  /** Read anew for each request, so that a reload takes effect between two requests and never within one. */
  readonly checks: () => Checks;
  readonly appendRecord: (record: string, nonce: NonceToKeep | undefined) => Promise<void>;
  /** Told of each chain whose holder made a request that was not seen before, whatever becomes of it; it may not throw. */
  readonly noteSighting?: ((chain: VerifiedChain, tokens: readonly string[]) => void) | undefined;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly log: Logger;
}

export function makeVerifyAnswer({ checks, appendRecord, noteSighting, clock, log }: VerifySettings): Answer {
  return async (parsed, check) => {
    const request = parsed.denied ? undefined : parsed.proof;
    let decision = await conclude(parsed, checks());
    if (check.givenUp) decision = late(decision);
    const reached = decision.effect === 'allow' ? decision.clearance : decision.reached;
    // With the nonce, and not before: neither a stranger nor who repeats what an agent once sent makes a sighting.
    if (noteSighting && reached.nonce && reached.chain && reached.form) noteSighting(reached.chain, reached.form.untrustedTokens);
    check.id ??= reached.nonce?.decisionId ?? randomUUID();
    const decisionId = check.id;
    const now = clock();
    const record = () => appendRecord(writeRecord(decision, request, decisionId, now), nonceToKeep(reached));
    const permitted = decision;
    try {
      await record();
    } catch (error) {
      // It may be written all the same, and must not be the last word of a request that is answered with 503.
      decision = late(permitted, error);
      if (decision !== permitted) record().catch(() => {});
      throw error;
    }
    if (check.givenUp) decision = late(permitted);
    else if (permitted.effect === 'allow' && request) decision = reconsider(permitted, request, checks());
    // A second record, which denies what the first allowed: nothing of it reached the provider.
    if (decision !== permitted) await record();
    if (decision.effect === 'deny') {
      const { reason, detail, cause } = decision;
      if (reason === 'indeterminate') log.error({ decisionId, reason, err: cause }, 'no conclusion: denied');
      else
        log.info({ decisionId, reason, agent: reached.signature && reached.identity?.agent, cause: messageOf(cause) }, 'denied');
      return encodeDeny(problem(reason, detail, decisionId, now));
    }
    const { clearance } = decision;
    return encodeAllow({
      set: traceparent(clearance.form.request.fields, decisionId),
      remove: headersToRemove(clearance.form.request.fields),
      metadata: Buffer.concat([chainMetadata(clearance), metadataStruct({ decision_id: decisionId })]),
    });
  };
}

/** What becomes of a permit of which the caller was told that there is no conclusion. */
function late(decision: Decision, cause: unknown = new Error('the answer came too late')): Decision {
  return decision.effect === 'allow' ? { ...indeterminate(cause), reached: decision.clearance } : decision;
}

function messageOf(cause: unknown): string | undefined {
  return cause instanceof Error ? cause.message : undefined;
}

async function conclude(parsed: Outcome<InboundRequest>, checks: Checks): Promise<Decision> {
  if (parsed.denied) return refuse(parsed, {});
  try {
    return await decide(parsed.proof, checks);
  } catch (error) {
    return indeterminate(error);
  }
}

function nonceToKeep({ signature, nonce }: Partial<Clearance>): NonceToKeep | undefined {
  // Also of a repeated check: the record of the first one may not have reached the disk.
  if (signature === undefined || nonce === undefined) return undefined;
  return { entry: nonce.entry, jkt: signature.jkt, retainUntil: nonce.retainUntil };
}

/** What says who asked, or lets a client in somewhere else, stays here (profile section 7). */
const REMOVED = new Set([
  'content-digest',
  'baggage',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  // Azure OpenAI: names a second model for a tool, which no check would have seen.
  'x-ms-oai-image-generation-deployment',
  // Each names another account under the provider's key.
  'openai-organization',
  'openai-project',
  'x-goog-user-project',
]);
const OF_THE_PROFILE = /^(?:agent-|x-agent-|signature)/;
/** By the words of its name, since nobody can list what clients, proxies and identity providers call theirs. */
const CREDENTIAL =
  /(?:^|-)(?:authorization|authentication|authenticated|token|jwt|assertion|oidc|dpop|credentials?|secret|password|passwd|cert|cookie2?|(?:api|access|auth|secret|subscription|functions?)-?key)(?:-|$)/;

function headersToRemove(fields: HeaderFields): string[] {
  const names: string[] = [];
  for (const name of fields.keys()) if (isRemoved(name)) names.push(name);
  return names;
}

// Clients of one kind send the same headers every time; the bound is for those that do not.
const judged = new Map<string, boolean>();
const MOST_JUDGED = 1000;

function isRemoved(name: string): boolean {
  let removed = judged.get(name);
  if (removed === undefined) {
    removed = REMOVED.has(name) || OF_THE_PROFILE.test(name) || CREDENTIAL.test(name);
    if (judged.size >= MOST_JUDGED) judged.clear();
    judged.set(ownCopy(name), removed);
  }
  return removed;
}

/** Injected where the agent is in no trace of its own, so that the provider's logs can be matched to the record. */
function traceparent(fields: HeaderFields, decisionId: string): [string, string][] {
  if (fields.has('traceparent')) return [];
  const traceId = decisionId.replaceAll('-', '');
  return [['traceparent', `00-${traceId}-${traceId.slice(0, 16)}-01`]];
}

// The same for every request of a chain, and the larger part of the reply.
const encodedMetadata = new Note<VerifiedChain, Uint8Array>('metadata');

function chainMetadata({ chain, identity, attestation }: Clearance): Uint8Array {
  let encoded = encodedMetadata.get(chain);
  if (encoded === undefined) {
    const { sid, task, jti } = chain.leaf;
    // No policies are evaluated yet; the operator's chain of capabilities is what permitted.
    const { agent, operator } = identity;
    const members = { agent, operator, sid, task, jti, level: attestation.level, policy: 'capability' };
    // Copied, since a small Buffer keeps the whole slab that it was cut out of.
    encoded = new Uint8Array(metadataStruct({ ...members, chain: writeStreamChain(chain) }));
    encodedMetadata.set(chain, encoded);
  }
  return encoded;
}

// The record of a decision (profile section 8): JSON in JCS form (RFC 8785), so that its bytes can become a leaf of a log.
// Members are written in lexicographic order; a test holds that to `canonicalize`. Prompts and completions are never in it.

import type { VerifiedChain } from '../checks/chain/check-chain.ts';
import { contentDigest } from '../crypto/content-digest.ts';
import { type Decision, NOT_REQUIRED } from '../decision.ts';
import { Note } from '../note.ts';
import { type InboundRequest, singleLine } from '../request.ts';

export const RECORD_VERSION = 1;

/** Longest value kept of what an unauthenticated caller chose. */
const LONGEST = 2048;
/** A body of megabytes may declare a hundred thousand; APIs take 128 or a few more. */
const MOST_TOOLS = 256;

/**
 * @param request absent where nothing could be read
 * @param at milliseconds since the epoch
 * @returns the canonical JSON text; what stands under `claimed` is what the caller said and nobody verified
 */
export function writeRecord(decision: Decision, request: InboundRequest | undefined, decisionId: string, at: number): string {
  const reached = decision.effect === 'allow' ? decision.clearance : decision.reached;
  const { chain, identity, attestation, signature, nonce, restriction } = reached;
  const deciding = decision.effect === 'deny' ? decision.restriction : undefined;
  const access = decision.effect === 'allow' ? decision.clearance.access : (decision.asked ?? decision.reached.access);
  // The chain counts as the agent's only once the request's own signature verified.
  const agent = signature === undefined ? undefined : identity;
  const tokens = chain && tokensOf(chain);
  return JSON.stringify({
    action: access?.action,
    agents: agent && tokens?.agents,
    also: access?.also,
    at: new Date(at).toISOString(),
    body_bytes: request?.body.length,
    claimed: request && agent === undefined ? claimedFields(request) : undefined,
    content_digest: reached.body && request && request.body.length > 0 ? contentDigestOf(request) : undefined,
    decision_id: decisionId,
    detail: decision.effect === 'deny' ? decision.detail : undefined,
    did_versions: agent?.didVersions,
    effect: decision.effect,
    jti: agent && tokens?.jti,
    keyid: signature?.jkt,
    level: attestation?.level,
    method: request && cut(request.method),
    model: access?.model,
    not_required: NOT_REQUIRED,
    operator: agent?.operator,
    path: request && cut(request.path),
    reason: decision.effect === 'deny' ? decision.reason : undefined,
    repeated: nonce?.repeated || undefined,
    restriction: deciding?.id,
    restriction_high_water: restriction?.highWaterMark ?? deciding?.highWaterMark,
    sid: agent && chain?.leaf.sid,
    // Whole, or a part that nobody has verified could push out what was; the form bounds it.
    signature: signature && request && line(request, 'signature'),
    signature_input: signature && request && line(request, 'signature-input'),
    task: agent && chain?.leaf.task,
    token_hashes: agent && tokens?.token_hashes,
    tools: access?.tools.slice(0, MOST_TOOLS),
    tools_omitted: access === undefined || access.tools.length <= MOST_TOOLS ? undefined : access.tools.length - MOST_TOOLS,
    v: RECORD_VERSION,
  });
}

// The same for every request of a chain.
const described = new Note<VerifiedChain, TokenMembers>('record');

interface TokenMembers {
  readonly agents: readonly string[];
  readonly jti: readonly string[];
  readonly token_hashes: readonly string[];
}

/** One entry for each token of the chain, root first: who acts under it, its id and its hash stand at the same place. */
function tokensOf(chain: VerifiedChain): TokenMembers {
  let members = described.get(chain);
  if (members === undefined) {
    members = {
      agents: chain.links.map(({ agent }) => agent),
      jti: chain.links.map(({ jti }) => jti),
      token_hashes: chain.links.map(({ tokenHash }) => tokenHash),
    };
    described.set(chain, members);
  }
  return members;
}

function claimedFields(request: InboundRequest) {
  return { signature: field(request, 'signature'), signature_input: field(request, 'signature-input') };
}

/** The digest as the client sent it, which was verified; made afresh where the field was not needed. */
function contentDigestOf(request: InboundRequest): string {
  return line(request, 'content-digest') ?? contentDigest(request.body);
}

function field(request: InboundRequest, name: string): string | undefined {
  const value = line(request, name);
  return value === undefined ? undefined : cut(value);
}

function line(request: InboundRequest, name: string): string | undefined {
  const value = singleLine(request.fields, name);
  return typeof value === 'string' ? value : undefined;
}

/** Lone surrogates cannot occur: fields hold one character for each byte, and methods and paths are ASCII. */
function cut(value: string): string {
  return value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
}

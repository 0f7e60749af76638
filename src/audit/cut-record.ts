// The record of a response that was cut (profile section 8): JSON in JCS form like a decision's, with the id of the decision that
// had allowed it. Members are written in lexicographic order; a test holds that to `canonicalize`.

import type { CutStream } from '../streams/live-streams.ts';
import { RECORD_VERSION } from './record.ts';

/** @param at milliseconds since the epoch @returns the canonical JSON text */
export function writeCutRecord({ decisionId, chain, reason, restriction }: CutStream, at: number): string {
  const leaf = chain.links.at(-1);
  return JSON.stringify({
    agents: chain.links.map(({ agent }) => agent),
    at: new Date(at).toISOString(),
    decision_id: decisionId,
    effect: 'cut',
    jti: chain.links.map(({ jti }) => jti),
    keyid: leaf?.jkt,
    operator: chain.operator.did,
    reason,
    restriction,
    sid: leaf?.sid,
    task: leaf?.task,
    v: RECORD_VERSION,
  });
}

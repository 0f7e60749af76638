// Makes what checks/ takes apart: the headers of profile section 2 for one request.

import { serializeInnerList } from 'structured-headers';
import {
  ALWAYS_COVERED,
  COVERED_WHEN_PRESENT,
  COVERED_WITH_CONTENT,
  SIGNATURE_TAG,
} from '../checks/signature/signature-input.ts';
import { contentDigest } from '../crypto/content-digest.ts';
import { type PrivateKey, signBytes } from '../crypto/private-key.ts';
import { signatureBase } from '../crypto/signature-base.ts';
import type { HeaderFields } from '../request.ts';

export interface RequestToSign {
  readonly method: string;
  /** Of the gateway, normalised as RFC 9421 section 2.2.3 says. */
  readonly authority: string;
  readonly path: string;
  /** From `?` on; `?` alone where there is no query. */
  readonly query: string;
  readonly fields: HeaderFields;
  readonly body: Uint8Array;
}

export interface SigningCredentials {
  readonly key: PrivateKey;
  /** Compact tokens, root first. */
  readonly chain: readonly string[];
}

export interface SigningMoment {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly lifetimeSeconds: number;
  /** At least 16 random bytes. */
  readonly nonce: Buffer;
}

/** A request that cannot be signed so that the gateway accepts it; the message says why. */
export class UnsignableRequest extends Error {
  override readonly name = 'UnsignableRequest';
}

/**
 * @returns headers to set, each replacing every line of its name
 * @throws {UnsignableRequest}
 */
export function signRequest(
  request: RequestToSign,
  { key, chain }: SigningCredentials,
  moment: SigningMoment,
): [name: string, value: string][] {
  const added: [string, string][] = [['agent-capability', chain.map((token) => `"${token}"`).join(', ')]];
  const hasContent = request.body.length > 0;
  if (hasContent) {
    if (!request.fields.has('content-type')) added.push(['content-type', 'application/octet-stream']);
    added.push(['content-digest', contentDigest(request.body)]);
  }
  const fields = new Map([...request.fields, ...added.map(([name, value]) => [name, [value]] as const)]);
  const components = [
    ...ALWAYS_COVERED.filter((name) => name !== 'agent-capability'),
    ...(hasContent ? COVERED_WITH_CONTENT : []),
    'agent-capability',
    ...COVERED_WHEN_PRESENT.filter((name) => fields.has(name)),
  ];
  const created = Math.floor(moment.now / 1000);
  const parameters = new Map<string, number | string>([
    ['created', created],
    ['expires', created + moment.lifetimeSeconds],
    ['nonce', moment.nonce.toString('base64url')],
    ['keyid', key.publicKey.jkt],
    ['tag', SIGNATURE_TAG],
  ]);
  const signatureParams = serializeInnerList([components.map((name) => [name, new Map()]), parameters]);
  const result = signatureBase({ ...request, fields }, components, signatureParams);
  if ('missing' in result) throw new UnsignableRequest(`the header "${result.missing}" must be a single line`);
  added.push(['signature-input', `cap=${signatureParams}`]);
  added.push(['signature', `cap=:${signBytes(key, result.base).toString('base64')}:`]);
  return added;
}

// The signature of a write to the control API: RFC 9421 like an agent's request, with the operator's key, under a label and a tag of
// its own, so that neither can be taken for the other.

import { serializeInnerList } from 'structured-headers';
import { contentDigest } from '../crypto/content-digest.ts';
import { type PrivateKey, signBytes } from '../crypto/private-key.ts';
import { signatureBase } from '../crypto/signature-base.ts';

/** Who writes: a key that stands under `capabilityInvocation` in the operator's document. */
export interface Author {
  /** DID URL of the key. */
  readonly keyId: string;
  readonly key: PrivateKey;
}

export interface Write {
  readonly method: string;
  /** Host, and port where it is not the scheme's. */
  readonly authority: string;
  readonly path: string;
  readonly body: Buffer;
  readonly idempotencyKey: string;
}

export interface WriteMoment {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** At least 16 random bytes. */
  readonly nonce: Buffer;
}

const LABEL = 'control';
const TAG = 'agent-cap-control';
const LIFETIME_SECONDS = 60;
const COVERED = ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest', 'idempotency-key'];

/** @returns all headers of the request that the signature covers, and the signature's own */
export function signWrite(write: Write, { keyId, key }: Author, { now, nonce }: WriteMoment): Record<string, string> {
  const { method, authority, path, body, idempotencyKey } = write;
  const headers = {
    'content-type': 'application/json',
    'content-digest': contentDigest(body),
    'idempotency-key': idempotencyKey,
  };
  const created = Math.floor(now / 1000);
  const parameters = new Map<string, number | string>([
    ['created', created],
    ['expires', created + LIFETIME_SECONDS],
    ['nonce', nonce.toString('base64url')],
    ['keyid', keyId],
    ['tag', TAG],
  ]);
  const signatureParams = serializeInnerList([COVERED.map((name) => [name, new Map()]), parameters]);
  const fields = new Map(Object.entries(headers).map(([name, value]) => [name, [value]]));
  const result = signatureBase({ method, authority, path, query: '?', fields }, COVERED, signatureParams);
  if ('missing' in result) throw new Error(`a write has no single "${result.missing}"`);
  return {
    ...headers,
    'signature-input': `${LABEL}=${signatureParams}`,
    signature: `${LABEL}=:${signBytes(key, result.base).toString('base64')}:`,
  };
}

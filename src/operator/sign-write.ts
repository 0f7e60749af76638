// The signature of a write to the control API, and of a read of what is not public: RFC 9421 like an agent's request, with the operator's key, under a label and a tag of
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
const TARGET = ['@method', '@authority', '@path', '@query'];

/** @returns all headers of the request that the signature covers, and the signature's own */
export function signWrite(write: Write, author: Author, moment: WriteMoment): Record<string, string> {
  const { body, idempotencyKey, ...target } = write;
  const headers = {
    'content-type': 'application/json',
    'content-digest': contentDigest(body),
    'idempotency-key': idempotencyKey,
  };
  return { ...headers, ...signatureOver({ ...target, query: '?' }, headers, author, moment) };
}

/** The same of a GET of what is not public. @param query with its question mark, which stands alone where there is none */
export function signRead(
  target: Pick<Write, 'authority' | 'path'> & { readonly query: string },
  author: Author,
  moment: WriteMoment,
): Record<string, string> {
  return signatureOver({ ...target, method: 'GET' }, {}, author, moment);
}

interface Target {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
}

function signatureOver(
  target: Target,
  headers: Readonly<Record<string, string>>,
  { keyId, key }: Author,
  { now, nonce }: WriteMoment,
): Record<string, string> {
  const covered = [...TARGET, ...Object.keys(headers)];
  const created = Math.floor(now / 1000);
  const parameters = new Map<string, number | string>([
    ['created', created],
    ['expires', created + LIFETIME_SECONDS],
    ['nonce', nonce.toString('base64url')],
    ['keyid', keyId],
    ['tag', TAG],
  ]);
  const signatureParams = serializeInnerList([covered.map((name) => [name, new Map()]), parameters]);
  const fields = new Map(Object.entries(headers).map(([name, value]) => [name, [value]]));
  const result = signatureBase({ ...target, fields }, covered, signatureParams);
  if ('missing' in result) throw new Error(`a request to the vault has no single "${result.missing}"`);
  return {
    'signature-input': `${LABEL}=${signatureParams}`,
    signature: `${LABEL}=:${signBytes(key, result.base).toString('base64')}:`,
  };
}

// Who writes: an operator, by an RFC 9421 signature under a current capabilityInvocation key of its DID document. Read and verified
// by the same code as the signatures of agents, with a tag of its own, so that neither passes for the other.

import { hash } from 'node:crypto';
import { nonceEntry } from '../checks/nonce/check-nonce.ts';
import { NonceMemory } from '../checks/nonce/nonce-memory.ts';
import {
  readSignatureClaim,
  type SignatureClaim,
  type SignatureProfile,
  type SignedFields,
} from '../checks/signature/signature-input.ts';
import { digestMatches, parseContentDigest } from '../crypto/content-digest.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { signatureBase } from '../crypto/signature-base.ts';
import { parseByteSequences, parseSignatureInput } from '../crypto/structured-fields.ts';
import { verifySignature } from '../crypto/verify-signature.ts';
import { type InboundRequest, repeated, singleLine } from '../request.ts';
import type { DidDocument } from '../vault/did-document.ts';
import type { WriteOnce } from '../vault/registry.ts';
import { Problem, type ProblemCode } from './problem.ts';

export const CONTROL_SIGNATURE: SignatureProfile = {
  tag: 'agent-cap-control',
  alwaysCovered: ['@method', '@authority', '@path', '@query'],
  coveredWithContent: ['content-type', 'content-digest'],
  coveredWhenPresent: ['idempotency-key', 'x-http-method-override', 'x-http-method', 'x-method-override'],
};
const WINDOW = { maxLifetimeSeconds: 60, clockSkewSeconds: 30 };
const NONCES_PER_OPERATOR = 100_000;
/** Visible ASCII. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export interface AuthenticationSettings {
  /** Host of the vault's origin, with a port that is not the default one. */
  readonly authority: string;
  /** DIDs that may write, read anew for each write: a reload may change them. */
  readonly operators: () => readonly string[];
  /** The document in force of an operator that is registered here. */
  readonly documentOf: (did: string) => DidDocument | undefined;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

/** @param introduced the document that an operator posts of itself, unverified, where its key is not in the one in force */
export type AuthenticateWrite = (
  request: InboundRequest,
  introduced: (did: string) => DidDocument | undefined,
) => Promise<WriteOnce>;

export function makeAuthentication(settings: AuthenticationSettings): AuthenticateWrite {
  const { authority, operators, documentOf, clock, monotonic } = settings;
  // What the store keeps with a write outlives the program; here are those of writes that were refused as well.
  const windowMillis = (WINDOW.maxLifetimeSeconds + 2 * WINDOW.clockSkewSeconds) * 1000;
  const start = { forgottenThrough: 0, bornAt: 0 };
  const nonces = new NonceMemory({ perKeyLimit: NONCES_PER_OPERATOR, windowMillis, monotonic, ...start });

  return async (request, introduced) => {
    const idempotencyKey = readIdempotencyKey(request);
    const claim = readClaim(request, clock());
    const author = claim.keyid.split('#', 1)[0] ?? '';
    const key = findKey([() => documentOf(author), () => introduced(author)], claim.keyid, clock());
    // One answer for an operator that is not known, a key that is not, and a signature that does not verify.
    if (key === undefined || !(await verifies(request, claim, key)))
      throw new Problem('signature-invalid', 'Sign with a key under capabilityInvocation of the document in force.');
    if (request.authority !== authority)
      throw new Problem('signature-invalid', 'The request was signed for another host than this vault.');
    if (!bodyIsSigned(request)) throw new Problem('digest-mismatch', 'Content-Digest must hold a digest of the body as sent.');
    if (!operators().includes(author))
      throw new Problem('operator-not-allowed', 'The operator is not listed under control.operators of this vault.');
    const nonceUntil = (claim.expires + WINDOW.clockSkewSeconds) * 1000;
    const verdict = nonces.consume({
      // By key and not by author: whoever introduces a key must not use up what belongs to an operator's own.
      entry: nonceEntry(key.jkt, claim.nonce),
      jkt: key.jkt,
      created: claim.created,
      retainUntil: nonceUntil,
      streamId: '',
      signature: '',
      decisionId: '',
    });
    if (verdict === 'quota') throw new Problem('too-many-requests', 'Too many writes within the lifetime of their signatures.');
    if (verdict !== 'first') throw alreadySeen();
    return { author, nonce: claim.nonce, nonceUntil, idempotencyKey, requestHash: requestHash(request) };
  };
}

export function alreadySeen(): Problem {
  return new Problem(
    'nonce-replayed',
    'Every attempt needs a new nonce and signature; to repeat a write, send an Idempotency-Key.',
  );
}

function readIdempotencyKey({ fields }: InboundRequest): string | undefined {
  const key = singleLine(fields, 'idempotency-key');
  if (key === undefined) return undefined;
  if (key !== repeated && IDEMPOTENCY_KEY.test(key)) return key;
  const errors = [{ field: 'Idempotency-Key', detail: 'must be one line of 1 to 255 visible ASCII characters' }];
  throw new Problem('bad-parameter', 'The idempotency key is not valid.', { errors });
}

function readClaim(request: InboundRequest, now: number): SignatureClaim {
  const signed: SignedFields = {
    request,
    untrustedSignatureInput: parseField(request, 'signature-input', parseSignatureInput),
    untrustedSignature: parseField(request, 'signature', parseByteSequences),
  };
  const outcome = readSignatureClaim(signed, WINDOW, now, CONTROL_SIGNATURE);
  if (!outcome.denied) return outcome.proof;
  throw new Problem(CODES.get(outcome.reason) ?? 'malformed-request', outcome.detail);
}

const CODES: ReadonlyMap<string, ProblemCode> = new Map(
  (['signature-missing', 'signature-input', 'signature-expired', 'clock-skew'] as const).map((code) => [code, code]),
);

function parseField<T>({ fields }: InboundRequest, name: string, parse: (value: string) => T): T | undefined {
  const value = singleLine(fields, name);
  if (value === undefined) return undefined;
  if (value === repeated) throw new Problem('malformed-request', `${name} must be a single field line.`);
  try {
    return parse(value);
  } catch {
    throw new Problem('malformed-request', `${name} is not the structured field that it must be (RFC 9651).`);
  }
}

function findKey(documents: readonly (() => DidDocument | undefined)[], keyid: string, now: number): PublicKey | undefined {
  for (const read of documents) {
    const document = read();
    const key = document && currentKey(document, keyid, now);
    if (key !== undefined) return key;
  }
  return undefined;
}

function currentKey({ verificationMethods }: DidDocument, keyid: string, now: number): PublicKey | undefined {
  return verificationMethods.find(
    ({ id, purposes, expires }) =>
      id === keyid && purposes.includes('capabilityInvocation') && (expires === undefined || now < expires),
  )?.key;
}

async function verifies(request: InboundRequest, claim: SignatureClaim, key: PublicKey): Promise<boolean> {
  const result = signatureBase(request, claim.components, claim.signatureParams);
  if ('missing' in result) return false;
  // An RSA key that names no algorithm is for both PSS hashes.
  for (const algorithm of key.algorithms) {
    if (await verifySignature(key, algorithm, result.base, claim.signature)) return true;
  }
  return false;
}

function bodyIsSigned(request: InboundRequest): boolean {
  if (request.body.length === 0) return true;
  return digestMatches(parseField(request, 'content-digest', parseContentDigest) ?? new Map(), request.body);
}

function requestHash({ method, path, query, body }: InboundRequest): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${method}\n${path}${query}\n`), body]), 'base64url');
}

// Rows 1 and 2 of profile section 4: the capability is there, the fields of the profile parse, sizes are within limits.
// What comes out is parsed and still untrusted.

import { type ContentDigests, parseContentDigest } from '../../crypto/content-digest.ts';
import {
  parseByteSequences,
  parseSignatureInput,
  parseStringList,
  type SignatureInputMember,
} from '../../crypto/structured-fields.ts';
import { denied, type Outcome, passed } from '../../outcome.ts';
import { type InboundRequest, repeated, singleLine } from '../../request.ts';

declare const wellFormed: unique symbol;

/** The fields of the profile, parsed; nothing about them is verified. */
export interface WellFormedRequest {
  readonly [wellFormed]: true;
  readonly request: InboundRequest;
  /** The field's value as covered by the signature. */
  readonly untrustedCapabilityField: string;
  /** Root first, leaf last; each only known to be a string. */
  readonly untrustedTokens: readonly [string, ...string[]];
  readonly untrustedSignatureInput: ReadonlyMap<string, SignatureInputMember> | undefined;
  readonly untrustedSignature: ReadonlyMap<string, Buffer | undefined> | undefined;
  readonly untrustedContentDigest: ContentDigests | undefined;
}

// Profile section 2. The limits of the other fields are ours: far above what the profile needs, far below what costs time.
const LIMITS = {
  capabilityBytes: 24 * 1024,
  tokens: 6,
  fieldBytes: 8 * 1024,
  fields: 100,
  fieldsBytes: 64 * 1024,
  pathBytes: 8 * 1024,
};

/** Row 1, also where the rest of the request cannot be read. */
export const CAPABILITY_MISSING = denied(
  'capability-missing',
  'Send the capability chain in Agent-Capability, or call through the sidecar.',
);

export function checkForm(request: InboundRequest): Outcome<WellFormedRequest> {
  const capability = request.fields.get('agent-capability');
  if (capability === undefined || capability.every((line) => line === '')) {
    return CAPABILITY_MISSING;
  }
  const oversize = findOversize(request);
  if (oversize !== undefined) return denied('malformed', `${oversize} is too large.`);
  if (capability.length > 1) return denied('malformed', 'Agent-Capability must be a single field line.');
  try {
    const untrustedCapabilityField = capability[0] ?? '';
    parseField(request, 'agent-attestation', parseAttestation);
    return passed({
      request,
      untrustedCapabilityField,
      untrustedTokens: parseTokens(untrustedCapabilityField),
      untrustedSignatureInput: parseField(request, 'signature-input', parseSignatureInput),
      untrustedSignature: parseField(request, 'signature', parseByteSequences),
      untrustedContentDigest: parseField(request, 'content-digest', parseContentDigest),
    } as unknown as WellFormedRequest);
  } catch (error) {
    if (error instanceof FormError) return denied('malformed', error.message);
    throw error;
  }
}

class FormError extends Error {
  override readonly name = 'FormError';
}

function findOversize(request: InboundRequest): string | undefined {
  if (request.path.length + request.query.length > LIMITS.pathBytes) return 'The request target';
  let count = 0;
  let bytes = 0;
  for (const [name, lines] of request.fields) {
    const most =
      name === 'agent-capability' ? LIMITS.capabilityBytes : isOfProfile(name) ? LIMITS.fieldBytes : LIMITS.fieldsBytes;
    for (const line of lines) {
      if (line.length > most) return name === 'agent-capability' ? 'Agent-Capability' : 'A header';
      count++;
      bytes += name.length + line.length;
    }
  }
  return count > LIMITS.fields || bytes > LIMITS.fieldsBytes ? 'The header section' : undefined;
}

function isOfProfile(name: string): boolean {
  return name === 'signature' || name === 'signature-input' || name === 'content-digest' || name === 'agent-attestation';
}

function parseField<T>(request: InboundRequest, name: string, parse: (value: string) => T): T | undefined {
  const value = singleLine(request.fields, name);
  if (value === undefined) return undefined;
  if (value === repeated) throw new FormError(`${name} must be a single field line.`);
  try {
    return parse(value);
  } catch {
    throw new FormError(`${name} is not the structured field that it must be (RFC 9651).`);
  }
}

function parseTokens(field: string): readonly [string, ...string[]] {
  let tokens: string[];
  try {
    tokens = parseStringList(field);
  } catch {
    throw new FormError('Agent-Capability is not a List of Strings without parameters (RFC 9651).');
  }
  const [root, ...links] = tokens;
  if (root === undefined || tokens.length > LIMITS.tokens)
    throw new FormError(`Agent-Capability takes 1 to ${LIMITS.tokens} tokens.`);
  return [root, ...links];
}

/** One String; what it says is not looked at before there is a verifier for it. */
function parseAttestation(value: string): void {
  if (parseStringList(value).length !== 1) throw new FormError('Agent-Attestation is not one String.');
}

// Rows 3 and 4 of profile section 4: one signature tagged `agent-cap`, its coverage, its parameters and its time window.
// Still unverified: all of this is what the sender claims to have signed. The vault reads the signatures of its writes here too,
// with a tag and a coverage of its own.

import { z } from 'zod';
import { isSupportedComponent } from '../../crypto/signature-base.ts';
import type { SignatureInputMember } from '../../crypto/structured-fields.ts';
import { type Denied, denied, type Outcome, passed } from '../../outcome.ts';
import type { InboundRequest } from '../../request.ts';
import type { WellFormedRequest } from '../form/check-form.ts';

export const signatureConfiguration = z.strictObject({
  maxLifetimeSeconds: z
    .int()
    .min(1)
    .max(300)
    .default(60)
    .describe('longest time from `created` to `expires` that a signature may ask for'),
  clockSkewSeconds: z.int().min(0).max(60).default(30).describe("how far an agent's clock may be off"),
});
export type SignatureConfiguration = z.infer<typeof signatureConfiguration>;

export const SIGNATURE_TAG = 'agent-cap';
export const ALWAYS_COVERED = ['@method', '@authority', '@path', '@query', 'agent-capability'];
export const COVERED_WITH_CONTENT = ['content-type', 'content-digest'];
/** Beyond the profile's two: a method override that is not covered could turn one signed request into another. */
export const COVERED_WHEN_PRESENT = [
  'agent-attestation',
  'idempotency-key',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
];

/** What is asked of a signature, by what it is for. */
export interface SignatureProfile {
  /** Its `tag`: a signature made for one purpose is none for another. */
  readonly tag: string;
  /** Names of components. */
  readonly alwaysCovered: readonly string[];
  readonly coveredWithContent: readonly string[];
  readonly coveredWhenPresent: readonly string[];
}

const AGENT_CAP: SignatureProfile = {
  tag: SIGNATURE_TAG,
  alwaysCovered: ALWAYS_COVERED,
  coveredWithContent: COVERED_WITH_CONTENT,
  coveredWhenPresent: COVERED_WHEN_PRESENT,
};

const MOST_COMPONENTS = 64;
/** At least 128 bits of base64url; the longest bounds what a nonce costs to keep. */
const NONCE = /^[A-Za-z0-9_-]{22,256}$/;

declare const accepted: unique symbol;

/** A Signature-Input of the required shape and in its time window; not verified. */
export interface ClaimedSignature extends SignatureClaim {
  readonly [accepted]: true;
}

/** The same for any profile. */
export interface SignatureClaim {
  readonly components: readonly string[];
  /** Serialised value of `@signature-params` (RFC 9421 section 2.3). */
  readonly signatureParams: string;
  readonly signature: Buffer;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly expires: number;
  readonly nonce: string;
  readonly keyid: string;
}

/** @param now milliseconds since the epoch */
export function checkSignatureInput(
  wellFormed: WellFormedRequest,
  configuration: SignatureConfiguration,
  now: number,
): Outcome<ClaimedSignature> {
  return readSignatureClaim(wellFormed, configuration, now, AGENT_CAP) as Outcome<ClaimedSignature>;
}

export type SignedFields = Pick<WellFormedRequest, 'request' | 'untrustedSignatureInput' | 'untrustedSignature'>;

/** @param now milliseconds since the epoch */
export function readSignatureClaim(
  wellFormed: SignedFields,
  configuration: SignatureConfiguration,
  now: number,
  profile: SignatureProfile,
): Outcome<SignatureClaim> {
  const found = findTagged(wellFormed.untrustedSignatureInput, profile.tag);
  if ('denied' in found) return found;
  const { label, member } = found;
  if (wellFormed.untrustedSignature?.has(label) !== true)
    return denied('signature-missing', `Signature has no member for the label that Signature-Input tags "${profile.tag}".`);
  const signature = wellFormed.untrustedSignature.get(label);
  if (signature === undefined) return denied('malformed', 'The signature is not a Byte Sequence.');

  const components = readComponents(member);
  if (!Array.isArray(components)) return components;
  const absent = findAbsent(wellFormed.request, components);
  if (absent !== undefined) return absent;
  const uncovered = findUncovered(wellFormed.request, components, profile);
  if (uncovered !== undefined) return denied('signature-input', `The signature must cover "${uncovered}".`);

  const parameters = readParameters(member.parameters, configuration);
  if (parameters.denied) return parameters;
  const { created, expires } = parameters.proof;
  if (created * 1000 > now + configuration.clockSkewSeconds * 1000) {
    return denied('clock-skew', 'The signature was created in the future: set the clock by the Date header.');
  }
  if (now > (expires + configuration.clockSkewSeconds) * 1000)
    return denied('signature-expired', 'The signature has expired: sign the request again.');
  return passed({ components, signatureParams: member.signatureParams, signature, ...parameters.proof });
}

function findTagged(
  input: ReadonlyMap<string, SignatureInputMember> | undefined,
  tag: string,
): { label: string; member: SignatureInputMember } | Denied {
  let found: { label: string; member: SignatureInputMember } | undefined;
  for (const [label, member] of input ?? []) {
    if (member.parameters.get('tag') !== tag) continue;
    if (found !== undefined) return denied('signature-input', `Exactly one signature may be tagged "${tag}".`);
    found = { label, member };
  }
  return found ?? denied('signature-missing', `Send one signature with tag="${tag}" in Signature-Input and Signature.`);
}

function readComponents({ components: names, irregular }: SignatureInputMember): string[] | Denied {
  if (names.length > MOST_COMPONENTS) return denied('malformed', 'The signature covers too many components.');
  if (irregular !== undefined) return denied('malformed', irregular);
  const components: string[] = [];
  for (const name of names) {
    if (name === '@status' || name !== name.toLowerCase())
      return denied('malformed', 'A covered component is not one of a request.');
    if (components.includes(name)) return denied('malformed', 'A component is covered twice.');
    if (!isSupportedComponent(name))
      return denied(
        'signature-input',
        'A covered component is one that this gateway cannot prove: use @method @authority @path @query.',
      );
    components.push(name);
  }
  return components;
}

/** Exactly one field line for each covered field (profile section 2): joining several is where two readers would differ. */
function findAbsent(request: InboundRequest, components: readonly string[]): Denied | undefined {
  for (const name of components) {
    if (name.startsWith('@')) continue;
    const lines = request.fields.get(name);
    if (lines === undefined) return denied('signature-input', 'A covered field is not in the request.');
    if (lines.length > 1 || isJoined(name, lines[0] ?? ''))
      return denied('malformed', 'A covered field must be a single field line.');
  }
  return undefined;
}

const WITHOUT_LIST = /^[^",]*(?:"(?:[^"\\]|\\.)*"[^",]*)*$/;

/** Envoy joins the lines of some fields before anyone sees them: of these, Content-Type is the one that has no list in it. */
function isJoined(name: string, line: string): boolean {
  return name === 'content-type' && line.includes(',') && !WITHOUT_LIST.test(line);
}

function findUncovered(request: InboundRequest, components: readonly string[], profile: SignatureProfile): string | undefined {
  for (const name of profile.alwaysCovered) if (!components.includes(name)) return name;
  if (request.body.length > 0) for (const name of profile.coveredWithContent) if (!components.includes(name)) return name;
  for (const name of profile.coveredWhenPresent) if (request.fields.has(name) && !components.includes(name)) return name;
  return undefined;
}

type SignatureParameters = Pick<SignatureClaim, 'created' | 'expires' | 'nonce' | 'keyid'>;

function readParameters(
  parameters: SignatureInputMember['parameters'],
  { maxLifetimeSeconds }: SignatureConfiguration,
): Outcome<SignatureParameters> {
  // The algorithm is bound to the key by the capability; one that the message names is an attempt to choose it.
  if (parameters.has('alg')) return denied('signature-input', 'Leave out "alg": the algorithm is bound to the key.');
  const [created, expires, nonce, keyid] = ['created', 'expires', 'nonce', 'keyid'].map((name) => parameters.get(name));
  if (!isSeconds(created)) return denied('signature-input', 'The parameter "created" must be an Integer.');
  if (!isSeconds(expires)) return denied('signature-input', 'The parameter "expires" must be an Integer.');
  if (expires < created || expires - created > maxLifetimeSeconds) {
    return denied('signature-input', `"expires" must be at most ${maxLifetimeSeconds} s after "created".`);
  }
  if (typeof nonce !== 'string' || !NONCE.test(nonce)) {
    return denied('signature-input', 'The parameter "nonce" must be 128 bits or more in base64url, at most 256 characters.');
  }
  if (typeof keyid !== 'string') return denied('signature-input', 'The parameter "keyid" must be a String.');
  return passed({ created, expires, nonce, keyid });
}

/** A Date (RFC 9651 section 3.3.7) parses to an object, a Token likewise, and a Decimal to a number that is none of the integers. */
function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

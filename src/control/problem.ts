// What a caller of the control API is told when it does not get what it asked for: problem+json (RFC 9457) with a stable type.

/** By the last part of their `type`, `urn:hermesbridge:control:NAME`. */
export const PROBLEMS = {
  'malformed-request': { status: 400, title: 'The request cannot be read without doubt' },
  'bad-parameter': { status: 400, title: 'A parameter of the path or query is not valid' },
  'signature-missing': { status: 401, title: 'The request is not signed' },
  'signature-input': { status: 401, title: 'The signature covers too little or its parameters are not acceptable' },
  'signature-expired': { status: 401, title: 'The signature has expired' },
  'clock-skew': { status: 401, title: 'The signature was created in the future' },
  'signature-invalid': { status: 401, title: 'The signature is not by a current key of an operator of this vault' },
  'digest-mismatch': { status: 401, title: 'The body is not the body that was signed' },
  'nonce-replayed': { status: 401, title: 'The request was seen before' },
  'operator-not-allowed': { status: 403, title: 'The operator may not do this at this vault' },
  'not-controller': { status: 403, title: 'The operator does not control the DID' },
  'not-found': { status: 404, title: 'There is nothing here' },
  'not-registered': { status: 404, title: 'The DID is not registered here' },
  'session-not-seen': { status: 404, title: 'No such session was seen' },
  'sightings-off': { status: 404, title: 'No sightings are kept here' },
  'directory-off': { status: 404, title: 'This vault publishes no directory of keys' },
  'method-not-allowed': { status: 405, title: 'The method is not one of this resource' },
  timeout: { status: 408, title: 'The request did not arrive in time' },
  'already-registered': { status: 409, title: 'The DID or its place is taken' },
  'key-already-registered': { status: 409, title: 'A key belongs to another DID' },
  'stale-version': { status: 409, title: 'The entry does not follow the newest version' },
  deactivated: { status: 409, title: 'The DID is deactivated for good' },
  'content-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body is of another media type than is taken here' },
  misdirected: { status: 421, title: 'This is not the host that was asked for' },
  'invalid-body': { status: 422, title: 'The body does not have the form that it must have' },
  'not-admitted': { status: 422, title: 'The vault does not admit the entry' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key belongs to another request' },
  'too-many-requests': { status: 429, title: 'More than is taken in this time' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  internal: { status: 500, title: 'The vault has a defect' },
  unavailable: { status: 503, title: 'The vault cannot do this now' },
} as const satisfies Readonly<Record<string, { readonly status: number; readonly title: string }>>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Of every operation that an operator signs. */
export const SIGNED_PROBLEMS: readonly ProblemCode[] = [
  'signature-missing',
  'signature-input',
  'signature-expired',
  'clock-skew',
  'signature-invalid',
  'digest-mismatch',
  'nonce-replayed',
  'operator-not-allowed',
];

export interface FieldError {
  /** Path of the member or parameter: `entry.state.verificationMethod[0]`. */
  readonly field: string;
  readonly detail: string;
}

/** What is at fault where a problem does not say more. */
const FIELDS: Readonly<Partial<Record<ProblemCode, string>>> = {
  'signature-missing': 'Signature-Input',
  'signature-input': 'Signature-Input',
  'signature-expired': 'Signature-Input',
  'clock-skew': 'Signature-Input',
  'signature-invalid': 'Signature',
  'digest-mismatch': 'Content-Digest',
  'nonce-replayed': 'Signature-Input',
  'operator-not-allowed': 'Signature-Input',
  'not-found': 'path',
  'not-registered': 'did',
  deactivated: 'did',
  'already-registered': 'entry.state.id',
  'key-already-registered': 'entry.state.verificationMethod',
  'stale-version': 'entry.versionId',
  'content-too-large': 'body',
  'unsupported-media-type': 'Content-Type',
  misdirected: 'Host',
  'idempotency-key-reused': 'Idempotency-Key',
};

function fieldOf(code: ProblemCode): FieldError[] {
  const field = FIELDS[code];
  return field === undefined ? [] : [{ field, detail: PROBLEMS[code].title }];
}

/** Ends a request. The detail is for the caller: free of credentials and of what the caller sent. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    {
      errors = [],
      headers = {},
      cause,
    }: { errors?: readonly FieldError[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, cause === undefined ? undefined : { cause });
    this.code = code;
    this.errors = errors.length > 0 ? errors : fieldOf(code);
    this.headers = headers;
  }
}

export interface ProblemReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** @param instance names the request in the log */
export function problemReply({ code, message, errors, headers }: Problem, instance: string): ProblemReply {
  const { status, title } = PROBLEMS[code];
  const body = {
    type: `urn:hermesbridge:control:${code}`,
    title,
    status,
    detail: message,
    instance: `urn:uuid:${instance}`,
    ...(errors.length > 0 && { errors: errors.slice(0, MOST_ERRORS).map(printable) }),
  };
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(status === 401 && { 'www-authenticate': `AgentCap error="${code}"`, 'accept-signature': ACCEPT_SIGNATURE }),
      ...(status === 503 && { 'retry-after': '1' }),
      ...(status === 429 && { 'retry-after': '60' }),
      ...headers,
    },
    body: JSON.stringify(body),
  };
}

/** RFC 9421 section 5.1: what the signature of a write has to look like. */
const ACCEPT_SIGNATURE =
  'control=("@method" "@authority" "@path" "@query" "content-type" "content-digest");created;expires;nonce;keyid;tag="agent-cap-control"';
const MOST_ERRORS = 50;

/** Names of members are the caller's choice: nothing of them but plain text goes back, and not much of it. */
function printable({ field, detail }: FieldError): FieldError {
  return {
    field: field.replace(/[^A-Za-z0-9_.:#[\]-]/g, '?').slice(0, 200),
    detail: detail.replace(/[^\x20-\x7e\u00a0-\ud7ff]/g, '?').slice(0, 500),
  };
}

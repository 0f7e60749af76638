// Every reason a request can be denied for: its status, what it means and what an operator does about it.
// Profile section 4. docs/reasons.md is written from this table, and a test holds the two together.

export type DenyStatus = 400 | 401 | 403 | 429 | 503;

export interface ReasonEntry {
  readonly status: DenyStatus;
  readonly title: string;
  /** What the operator who reads the alert does. */
  readonly remedy: string;
}

const entries = {
  'capability-missing': {
    status: 403,
    title: 'The request carries no capability',
    remedy:
      'Point the agent at its sidecar instead of the gateway: the sidecar adds Agent-Capability. A caller that is no agent has no business here.',
  },
  malformed: {
    status: 400,
    title: 'The request cannot be read without doubt',
    remedy:
      'Read the detail: a header of the profile does not parse, is repeated, is too large, or the body did not arrive whole. If every request fails, look for a proxy that rewrites headers between sidecar and gateway.',
  },
  'signature-missing': {
    status: 401,
    title: 'The request carries no agent-cap signature',
    remedy:
      'Sign the request as section 2 of the profile says (tag "agent-cap"), or send it through the sidecar. The Accept-Signature header of the answer lists what to cover.',
  },
  'signature-input': {
    status: 401,
    title: 'The signature covers too little or its parameters are not acceptable',
    remedy:
      'Compare the Signature-Input of the record with section 2 of the profile: every required component, created, expires, nonce, keyid and tag, and no alg.',
  },
  'signature-expired': {
    status: 401,
    title: 'The signature has expired',
    remedy: 'The agent must sign each attempt afresh. If fresh signatures expire, compare the clocks of agent and gateway.',
  },
  'clock-skew': {
    status: 401,
    title: 'The signature was created in the future',
    remedy: "Set the agent's clock: the Date header of the answer is the gateway's time.",
  },
  'signature-key': {
    status: 401,
    title: 'The signature names another key than the capability',
    remedy:
      "The keyid must be the thumbprint of the leaf token's cnf.jwk. The agent signs with a key for which it holds no capability, or presents the capability of another.",
  },
  'chain-invalid': {
    status: 401,
    title: 'The capability chain does not hold',
    remedy:
      'Run `hermesbridge capability inspect` on the token: signed by a trusted operator, for this gateway, within its times, in the closed form of section 3.',
  },
  'identity-unknown': {
    status: 401,
    title: 'The agent or operator is not known by the key it uses',
    remedy:
      'Run `hermesbridge did` on the client_id: the cnf.jwk must be its current key, and the operator must be its controller or be allowed to vouch for it (trust.operators[].vouchesForAgents).',
  },
  'identity-unavailable': {
    status: 503,
    title: 'The DID of the agent or its operator cannot be resolved now',
    remedy:
      "The log line with this decision id says what failed: the DID's host is down, slow, or not to be reached under `resolution` (address ranges, CA, limits). Nothing was cached that may still be used.",
  },
  'signature-invalid': {
    status: 401,
    title: 'The signature does not verify',
    remedy:
      'Something changed the request after it was signed (method, authority, path, query or a covered header), or another key signed. `hermesbridge verify` explains a captured request step by step.',
  },
  'digest-mismatch': {
    status: 401,
    title: 'The body is not the body that was signed',
    remedy:
      'Look for a proxy between agent and gateway that rewrites or recompresses bodies. Only sha-256 and sha-512 digests count.',
  },
  'nonce-replayed': {
    status: 401,
    title: 'The request was seen before',
    remedy:
      'Every attempt needs a new nonce. A retry without a new signature is a replay: retries belong before the sidecar, not between sidecar and gateway. If the agent did not retry, someone captured its traffic.',
  },
  'nonce-quota': {
    status: 429,
    title: 'The key has used up its share of nonces',
    remedy:
      'One key sent more signed requests within their lifetime than nonce.perKeyLimit allows, or all keys below one root more than four times as many. Raise the limit if the load is real; otherwise stop the agent.',
  },
  revoked: {
    status: 401,
    title: 'Something in the capability chain was revoked',
    remedy:
      'Meant: the record names the restriction under `restriction`, and `hermesbridge restrictions list` shows who made it, when and why. A revocation is for good: issue a new capability, to a new key if it was a key that was revoked.',
  },
  'revocation-stale': {
    status: 503,
    title: 'What is known of revocations is too old',
    remedy:
      'The gateway has not heard of its feed of restrictions (verify.restrictions.feed) for longer than maxStaleSeconds, or has not read all of it yet. The log says why: the vault is down, not to be reached, or serves a feed that was taken back.',
  },
  'attestation-required': {
    status: 403,
    title: "The agent's key is not attested as highly as the capability demands",
    remedy:
      'The capability asks for an attestation level that this gateway has not verified for the key. Issue a capability with a lower `attestation`, or attest the key.',
  },
  'capability-insufficient': {
    status: 403,
    title: 'The capability does not allow this request',
    remedy:
      'Read the detail: the action, model, tool or limit is outside the capability or the operator ceiling, or could not be determined. Issue another capability only if the agent ought to do this.',
  },
  'budget-exhausted': {
    status: 403,
    title: 'The capability has a budget that does not cover this request',
    remedy:
      'This version keeps no accounts, so a capability with a budget permits nothing. Issue one without `budget`, or with limits under `max`.',
  },
  'local-secret': {
    status: 401,
    title: 'The local caller did not present the local secret',
    remedy: "Sidecar only: set the SDK's API key to the sidecar's local secret (sign.localSecret).",
  },
  indeterminate: {
    status: 503,
    title: 'No conclusion was reached',
    remedy:
      'The gateway could not decide and therefore denied. The log line with this decision id has the cause: a full disk, a missed deadline, a misconfigured Envoy, or a defect to report.',
  },
} as const satisfies Record<string, ReasonEntry>;

export type Reason = keyof typeof entries;

export const REASONS: Readonly<Record<Reason, ReasonEntry>> = entries;

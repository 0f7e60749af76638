// What a denied caller is told (profile section 4): problem+json (RFC 9457) with an `error` member as the SDKs read it.

import { ALWAYS_COVERED } from '../checks/signature/signature-input.ts';
import { type DenyStatus, REASONS, type Reason } from '../reason.ts';
import type { DenyReply } from './build-check-response.ts';

const ERROR_TYPES: Readonly<Record<DenyStatus, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
  503: 'api_error',
};

/** RFC 9421 section 5.1: what a signature here has to look like. */
const ACCEPT_SIGNATURE = `cap=(${[...ALWAYS_COVERED, 'content-type', 'content-digest'].map((name) => `"${name}"`).join(' ')});created;expires;nonce;keyid;tag="agent-cap"`;

/**
 * @param detail for the caller; free of credentials and of what the caller sent
 * @param now milliseconds since the epoch
 */
export function problem(reason: Reason, detail: string, decisionId: string, now: number): DenyReply {
  const { status, title } = REASONS[reason];
  const headers: [string, string][] = [
    ['content-type', 'application/problem+json'],
    ['cache-control', 'no-store'],
  ];
  // The SDKs retry on some statuses by themselves; the same request would be denied again.
  if (status === 401 || status === 403) headers.push(['x-should-retry', 'false']);
  if (status === 401) headers.push(['www-authenticate', `AgentCap error="${reason}"`]);
  if (reason === 'signature-missing') headers.push(['accept-signature', ACCEPT_SIGNATURE]);
  if (status === 503 || status === 429) headers.push(['retry-after', '1']);
  if (reason === 'clock-skew') headers.push(['date', new Date(now).toUTCString()]);
  const body = JSON.stringify({
    type: `urn:hermesbridge:reason:${reason}`,
    title,
    status,
    detail,
    instance: decisionId,
    error: { type: ERROR_TYPES[status], code: reason, message: detail },
  });
  return { status, headers, body };
}

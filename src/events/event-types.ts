// The names of the security events that are told and understood here (CAEP 1.0, RISC 1.0, SSF 1.0).

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

export const SESSION_REVOKED = `${CAEP}session-revoked`;
export const CREDENTIAL_CHANGE = `${CAEP}credential-change`;
export const TOKEN_CLAIMS_CHANGE = `${CAEP}token-claims-change`;
export const ACCOUNT_DISABLED = `${RISC}account-disabled`;
export const ACCOUNT_PURGED = `${RISC}account-purged`;
export const CREDENTIAL_COMPROMISE = `${RISC}credential-compromise`;
/** Of before CAEP: all sessions of an account. */
export const SESSIONS_REVOKED = `${RISC}sessions-revoked`;
export const VERIFICATION = `${SSF}verification`;

/** Those that a restriction may be told as. */
export const TOLD_EVENTS = [SESSION_REVOKED, CREDENTIAL_CHANGE, TOKEN_CLAIMS_CHANGE, ACCOUNT_DISABLED] as const;
export type ToldEvent = (typeof TOLD_EVENTS)[number];

/** `typ` of a security event token (RFC 8417 section 2.3). */
export const EVENT_TYPE = 'secevent+jwt';
export const EVENT_MEDIA_TYPE = 'application/secevent+jwt';
/** Push over HTTP (RFC 8935), as SSF names it. */
export const PUSH_DELIVERY = 'urn:ietf:rfc:8935';

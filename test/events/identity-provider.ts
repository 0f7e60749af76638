// An identity provider that transmits security events, made with jose alone: what it sends owes nothing to the code under test.

import { randomUUID } from 'node:crypto';
import { CompactSign, exportJWK, generateKeyPair, type JWK } from 'jose';

export const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
export const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

export interface Said {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  /** By the last part of its URI, or as it is. */
  readonly type?: string;
  readonly payload?: Record<string, unknown>;
  readonly subject?: unknown;
}

export class IdentityProvider {
  readonly issuer: string;
  readonly audience: string;
  readonly alg: string;
  #key: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'] | undefined;
  #jwk: JWK = {};

  constructor(issuer: string, audience = 'https://vault.test', alg = 'RS256') {
    this.issuer = issuer;
    this.audience = audience;
    this.alg = alg;
  }

  async start(kid = 'key-1'): Promise<this> {
    const { privateKey, publicKey } = await generateKeyPair(this.alg, { extractable: true });
    this.#key = privateKey;
    this.#jwk = { ...(await exportJWK(publicKey)), kid, alg: this.alg, use: 'sig' };
    return this;
  }

  get jwk(): JWK {
    return this.#jwk;
  }

  get jwks(): string {
    return JSON.stringify({ keys: [this.#jwk] });
  }

  claims({ type = `${RISC}account-disabled`, payload = {}, subject, claims = {} }: Said): Record<string, unknown> {
    return {
      iss: this.issuer,
      aud: this.audience,
      iat: Math.floor(Date.now() / 1000),
      jti: randomUUID(),
      ...(subject !== undefined && { sub_id: subject }),
      events: { [type]: payload },
      ...claims,
    };
  }

  async event(said: Said): Promise<string> {
    return this.sign(JSON.stringify(this.claims(said)), said.header);
  }

  async sign(payload: string, header: Record<string, unknown> = {}): Promise<string> {
    if (this.#key === undefined) throw new Error('not started');
    return new CompactSign(Buffer.from(payload))
      .setProtectedHeader({ alg: this.alg, typ: 'secevent+jwt', kid: this.#jwk.kid ?? '', ...header })
      .sign(this.#key);
  }
}

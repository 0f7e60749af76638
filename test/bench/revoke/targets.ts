// Whom the bench revokes: a link below the agent that nobody revokes, and a link to another agent below that one. The link is named
// by its session, its agent, its token or its key; whichever is revoked, both must fall and the agent above must not.

import { generatePrivateKey, readPrivateKey } from '../../../src/crypto/private-key.ts';
import type { RestrictionTarget } from '../../../src/restrictions/restriction.ts';
import type { SigningCredentials } from '../../../src/sign/sign-request.ts';
import { readLinkForm } from '../../../src/token/link-token.ts';
import { mintLink } from '../../../src/token/mint-link.ts';
import { didKeyOf } from '../../../src/vault/did-key.ts';
import { type BenchCredentials, DETAILS } from '../credentials.ts';

export const KINDS = ['session', 'agent', 'token', 'key'] as const;
export type Kind = (typeof KINDS)[number];

export interface Target {
  readonly what: RestrictionTarget;
  readonly own: SigningCredentials;
  readonly descendant: SigningCredentials;
}

const LIFETIME_SECONDS = 3600;

/** The agent above, whom nobody revokes. */
export function rootOf({ agentKey, capability }: BenchCredentials): SigningCredentials {
  return { key: readPrivateKey(agentKey), chain: [capability] };
}

/** @param sid new for each target */
export async function makeTarget(root: SigningCredentials, kind: Kind, sid: string): Promise<Target> {
  const [above = ''] = root.chain;
  const agent = didKeyOf(root.key.publicKey);
  const own = await linkBelow(root, sid, kind === 'agent' ? undefined : agent);
  const descendant = await linkBelow(own.credentials, sid, undefined);
  const values: Record<Kind, string> = {
    session: sid,
    agent: own.agent,
    token: readLinkForm(own.credentials.chain.at(-1) ?? above).untrustedClaims.jti,
    key: own.credentials.key.publicKey.jkt,
  };
  return { what: { kind, value: values[kind] }, own: own.credentials, descendant: descendant.credentials };
}

/** @param agent a new one where none is given */
async function linkBelow({ key: parentKey, chain }: SigningCredentials, sid: string, agent: string | undefined) {
  const key = generatePrivateKey('Ed25519');
  const named = agent ?? didKeyOf(key.publicKey);
  const link = await mintLink({
    parent: chain.at(-1) ?? '',
    parentKey,
    agent: named,
    key: key.publicKey,
    algorithm: key.algorithm,
    details: DETAILS,
    issuedAt: Math.floor(Date.now() / 1000),
    lifetimeSeconds: LIFETIME_SECONDS,
    sid,
  });
  return { agent: named, credentials: { key, chain: [...chain, link] } };
}

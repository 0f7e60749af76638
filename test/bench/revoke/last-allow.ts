// From the acknowledgement of a revocation to the last request that is allowed anywhere all the same, under a steady load of others.

import type { SigningCredentials } from '../../../src/sign/sign-request.ts';
import { readRootForm } from '../../../src/token/capability-token.ts';
import { mintLink } from '../../../src/token/mint-link.ts';
import { type RevokeWorld, send } from './revoke-world.ts';

export interface Allowed {
  /** For each revocation, from its acknowledgement until the last request that was allowed had been sent; negative for none after it. */
  readonly lastAllowMillis: readonly number[];
  readonly background: { readonly requests: number; readonly perSecond: number };
}

const PROBE_MILLIS = 2;
const AFTER_MILLIS = 60;

/** @param credentials of an agent that may open sessions, each of which is revoked in turn */
export async function measureLastAllow(
  world: RevokeWorld,
  { did, credentials }: { readonly did: string; readonly credentials: SigningCredentials },
  { revocations, perSecond }: { readonly revocations: number; readonly perSecond: number },
): Promise<Allowed> {
  const gateway = (at: number) => world.gateways[at % world.gateways.length] ?? '';
  let requests = 0;
  const startedAt = performance.now();
  const background = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) / 1000) * perSecond) - requests;
    for (let at = 0; at < due; at++) void ask(gateway(requests++), credentials);
  }, 5);
  const lastAllowMillis: number[] = [];
  for (let round = 0; round < revocations; round++) {
    const sid = `session-${round}`;
    const session = await openSession(did, credentials, sid);
    let lastAllowAt = 0;
    let ended = false;
    const probes: Promise<void>[] = [];
    const probing = (async () => {
      for (let at = 0; !ended; at++) {
        const sentAt = performance.now();
        const asking = ask(gateway(at), session).then((status) => {
          if (status === 200) lastAllowAt = Math.max(lastAllowAt, sentAt);
        });
        probes.push(asking);
        await new Promise((resolve) => setTimeout(resolve, PROBE_MILLIS));
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, AFTER_MILLIS));
    const acknowledgedAt = await world.revoke({ kind: 'session', value: sid });
    await new Promise((resolve) => setTimeout(resolve, AFTER_MILLIS));
    ended = true;
    await probing;
    await Promise.all(probes);
    lastAllowMillis.push(lastAllowAt - acknowledgedAt);
  }
  clearInterval(background);
  return { lastAllowMillis, background: { requests, perSecond: (requests / (performance.now() - startedAt)) * 1000 } };
}

/** The status of a stream whose rest is not wanted. */
async function ask(gateway: string, credentials: SigningCredentials): Promise<number | undefined> {
  try {
    const [response, sent] = await send(gateway, credentials, false);
    response.on('error', () => {});
    sent.on('error', () => {});
    response.resume();
    return response.statusCode;
  } catch {
    return undefined;
  }
}

async function openSession(agent: string, { key, chain }: SigningCredentials, sid: string): Promise<SigningCredentials> {
  const [root = ''] = chain;
  const { untrustedClaims } = readRootForm(root);
  const link = await mintLink({
    parent: root,
    parentKey: key,
    agent,
    key: key.publicKey,
    algorithm: key.algorithm,
    details: untrustedClaims.authorization_details[0],
    issuedAt: Math.floor(Date.now() / 1000),
    lifetimeSeconds: 600,
    sid,
  });
  return { key, chain: [root, link] };
}

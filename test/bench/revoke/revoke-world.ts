// A vault and the gateways that take restrictions from it, with agents that sign by themselves and an operator who revokes. Everything is
// asked for at one of `gateways` in turn: with more of them than one, what is measured is whoever is last.

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { openPlace } from '../../../src/cli/restriction-place.ts';
import { readPrivateKey } from '../../../src/crypto/private-key.ts';
import { homeFiles } from '../../../src/operator/home.ts';
import { homeAuthor } from '../../../src/operator/restriction-author.ts';
import type { RestrictionTarget } from '../../../src/restrictions/restriction.ts';
import { signRestriction } from '../../../src/restrictions/sign-restriction.ts';
import { type SigningCredentials, signRequest } from '../../../src/sign/sign-request.ts';
import { type RegisteredWorld, startRegisteredWorld } from '../../e2e/registered-world.ts';

export interface RevokeWorld {
  /** Origins. */
  readonly gateways: readonly string[];
  /** A new agent of the operator. */
  agent(name: string, ...grant: readonly string[]): Promise<{ readonly did: string; readonly credentials: SigningCredentials }>;
  /** @returns the monotonic time at which it was acknowledged as in force at every gateway */
  revoke(target: RestrictionTarget): Promise<number>;
  records: RegisteredWorld['records'];
  stop(): Promise<void>;
}

const EVENTS = 2000;
const PAUSE_MILLIS = 50;
const PATH = '/openai/v1/chat/completions';

export async function startRevokeWorld(): Promise<RevokeWorld> {
  const world = await startRegisteredWorld({ text: 'x'.repeat(EVENTS), chunks: EVENTS, pauseMs: PAUSE_MILLIS });
  const reach = { home: world.home, vaultCa: world.trustedCaFile, resolve: new Map([['service.test', '127.0.0.1']]) };
  const { author } = await homeAuthor(homeFiles(world.home), Date.now());
  const place = await openPlace(reach);
  return {
    gateways: [world.gatewayUrl],
    agent: async (name, ...grant) => {
      const registered = await world.operator('agent', 'register', name, '--audience', 'gateway.local', ...grant);
      const chain = (await readFile(String(registered.capability), 'utf8')).trim().split(/\s+/);
      const key = readPrivateKey(await readFile(String(registered.keyFile), 'utf8'));
      return { did: String(registered.did), credentials: { key, chain } };
    },
    revoke: async (target) => {
      const at = Math.floor(Date.now() / 1000);
      const { sequence } = await place.add(signRestriction({ effect: 'revoke', target, at, reason: 'bench' }, author), undefined);
      while (!(await place.acknowledged?.(sequence, 5))?.acknowledged);
      return performance.now();
    },
    records: world.records,
    stop: async () => {
      await place.close();
      await world.stop();
    },
  };
}

/** Sends a chat, signed now. @throws when the gateway closes the connection before it answers */
export function send(
  gateway: string,
  credentials: SigningCredentials,
  stream: boolean,
): Promise<[IncomingMessage, ClientRequest]> {
  const body = Buffer.from(JSON.stringify({ model: 'gpt-5-mini', messages: [{ role: 'user', content: 'hi' }], stream }));
  const { host: authority } = new URL(gateway);
  const toSign = {
    method: 'POST',
    authority,
    path: PATH,
    query: '?',
    fields: new Map([['content-type', ['application/json']]]),
    body,
  };
  const headers = signRequest(toSign, credentials, { now: Date.now(), lifetimeSeconds: 60, nonce: randomBytes(16) });
  return new Promise((resolve, reject) => {
    const sent = request(`${gateway}${PATH}`, {
      method: 'POST',
      agent: false,
      headers: {
        host: authority,
        'content-type': 'application/json',
        'content-length': body.length,
        ...Object.fromEntries(headers),
      },
    });
    sent.once('response', (response) => resolve([response, sent]));
    sent.once('error', reject);
    sent.end(body);
  });
}

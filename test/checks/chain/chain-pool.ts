// Valid chains of every length and kind, and the gate that judges them: the checks of rows 5 and 6 as the gateway makes them.

import { randomBytes } from 'node:crypto';
import { chainConfiguration, makeChainCheck } from '../../../src/checks/chain/check-chain.ts';
import type { WellFormedRequest } from '../../../src/checks/form/check-form.ts';
import { makeIdentityCheck } from '../../../src/checks/identity/check-identity.ts';
import type { ClaimedSignature } from '../../../src/checks/signature/signature-input.ts';
import type { PrivateKey } from '../../../src/crypto/private-key.ts';
import type { AuthorizationDetails } from '../../../src/token/authorization-details.ts';
import { trustConfiguration, trustOperators } from '../../../src/trust/operators.ts';
import { didKeyOf } from '../../../src/vault/did-key.ts';
import { selfDescribingResolver } from '../../../src/vault/resolver.ts';
import { keyOf } from '../../keys.ts';
import { type Claims, linkBelow, type MadeToken, signToken } from '../../link.ts';
import { narrowed, type Pick } from '../../token/any-details.ts';

/** Seconds since the epoch at which every chain is judged. */
export const NOW = 1_767_225_600;
export const GATEWAY = 'gateway.example';
export const AGENTS = ['agent', 'second', 'third', 'fourth', 'fifth', 'sixth'];
export const didOf = (name: string) => didKeyOf(keyOf(name).publicKey);
export const DAY = 86_400;

export type Chain = readonly [MadeToken, MadeToken, ...MadeToken[]];

/** A root of the operator's for the first agent, as broad as its details say. */
export function makeRoot(details: Claims, claims: Claims = {}, signer: PrivateKey = keyOf('operator')): MadeToken {
  const operator = didOf('operator');
  const key = keyOf('agent');
  const said = {
    iss: operator,
    sub: operator,
    client_id: didOf('agent'),
    aud: [GATEWAY, 'second.example', 'third.example'],
    iat: NOW - 600,
    exp: NOW + DAY,
    jti: randomBytes(16).toString('base64url'),
    cnf: { jwk: { ...key.publicKey.jwk, alg: 'Ed25519' } },
    del_depth: 0,
    del_max_depth: 5,
    authorization_details: [details],
    ...claims,
  };
  const kid = `${operator}#${operator.slice('did:key:'.length)}`;
  return { compact: signToken({ alg: 'Ed25519', typ: 'agent-cap+jwt', kid }, JSON.stringify(said), signer), claims: said, key };
}

/** A root and `length` links, each narrower, shorter, or another's, at random. */
export function makeChain(length: number, details: Claims, pick: Pick): Chain {
  const root = makeRoot(details);
  const first = below(root, 0, length, pick);
  const chain: [MadeToken, MadeToken, ...MadeToken[]] = [root, first];
  for (let at = 1; at < length; at++) chain.push(below(chain.at(-1) ?? first, at, length, pick));
  return chain;
}

function below(parent: MadeToken, at: number, length: number, pick: Pick): MadeToken {
  const { claims } = parent;
  const passedOn = pick(2) === 1;
  const agents = AGENTS.map(didOf);
  const agent = passedOn ? (AGENTS[agents.indexOf(String(claims.client_id)) + 1] ?? 'sixth') : undefined;
  const iat = Number(claims.iat) + pick(10);
  const sid = claims.sid ?? (pick(3) === 1 ? `session-${pick(100)}` : undefined);
  const task = claims.task ?? (pick(3) === 1 ? `task-${pick(100)}` : undefined);
  const most = [claims.exp, sid === claims.sid ? claims.exp : iat + DAY / 2, task === claims.task ? claims.exp : iat + 900];
  const [parents] = claims.authorization_details as [AuthorizationDetails];
  const said = {
    ...(agent && { client_id: didOf(agent) }),
    iat,
    exp: Math.min(...most.map(Number)) - pick(10),
    aud: pick(3) === 1 ? GATEWAY : claims.aud,
    del_max_depth: Math.max(length, Number(claims.del_max_depth) - pick(2)),
    authorization_details: [narrowed(parents, pick)],
    ...(sid !== undefined && { sid }),
    ...(task !== undefined && { task }),
  };
  return linkBelow(parent, { key: keyOf(agent ?? `session ${at}`), claims: said });
}

const operators = trustOperators(trustConfiguration.parse({ operators: [{ did: didOf('operator'), vouchesForAgents: true }] }));

/** @returns a judge of chains: `undefined` when the chain and its agents hold, else the reason */
export function makeJudge(): (tokens: readonly string[], keyid: string) => Promise<string | undefined> {
  const resolver = selfDescribingResolver();
  const check = makeChainCheck({
    operators,
    resolver,
    gatewayNames: [GATEWAY],
    clockSkewSeconds: 30,
    configuration: chainConfiguration.parse({ cacheEntries: 50 }),
  });
  const identity = makeIdentityCheck(resolver);
  return async (tokens, keyid) => {
    const wellFormed = { untrustedTokens: tokens } as unknown as WellFormedRequest;
    const chain = await check(wellFormed, { keyid } as unknown as ClaimedSignature, NOW * 1000);
    if (chain.denied) return chain.reason;
    const known = await identity(chain.proof, NOW * 1000);
    return known.denied ? known.reason : undefined;
  };
}

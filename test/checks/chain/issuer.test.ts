// Roots of an operator whose DID is a log (docs/threat-model.md C5, E15): its keys come and go, and what was verified under one
// that has gone is verified no more. Real logs, verified by the real worker; the clocks are the test's.

import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { chainConfiguration, makeChainCheck, type VerifiedChain } from '../../../src/checks/chain/check-chain.ts';
import type { WellFormedRequest } from '../../../src/checks/form/check-form.ts';
import type { ClaimedSignature } from '../../../src/checks/signature/signature-input.ts';
import type { PrivateKey } from '../../../src/crypto/private-key.ts';
import type { Outcome } from '../../../src/outcome.ts';
import { issueRootToken } from '../../../src/token/issue-root.ts';
import { trustConfiguration, trustOperators } from '../../../src/trust/operators.ts';
import { UnavailableDid } from '../../../src/vault/did-document.ts';
import { didKeyOf } from '../../../src/vault/did-key.ts';
import { Resolver } from '../../../src/vault/resolver.ts';
import type { SeenLog } from '../../../src/vault/seen-logs.ts';
import { LogVerifier } from '../../../src/vault/webvh/log-verifier.ts';
import { makeWebvhSource } from '../../../src/vault/webvh-source.ts';
import { keyOf } from '../../keys.ts';
import { didOf, type Entry, first, NOW, next, textOf } from '../../vault/webvh/log-maker.ts';

const verifier = LogVerifier.start({ timeLimitMillis: 20_000 });
afterAll(() => verifier.close());

const agent = keyOf('agent');
const LOCATION = 'vault.example%3A8443:operators:acme';

/** The operator's document with these keys, by number; some with the time at which they run out. */
function keysState(did: string, keys: Readonly<Record<number, { expires?: string }>>) {
  const methods = Object.entries(keys).map(([number, { expires }]) => ({
    id: `${did}#key-${number}`,
    type: 'JsonWebKey',
    controller: did,
    publicKeyJwk: keyOf(`issuer ${number}`).publicKey.jwk,
    ...(expires !== undefined && { expires }),
  }));
  return { verificationMethod: methods, assertionMethod: methods.map(({ id }) => id) };
}

const DRAFT = `did:webvh:{SCID}:${LOCATION}`;
const start = first({ location: LOCATION, state: keysState(DRAFT, { 1: {} }) });
const did = didOf(start);
const grow = (log: readonly Entry[], keys: Parameters<typeof keysState>[1], parameters = {}) => {
  const last = log.at(-1);
  if (last === undefined) throw new Error('an empty log');
  return [...log, next(last, { state: keysState(did, keys), parameters })];
};

function root(number: number, by: PrivateKey = keyOf(`issuer ${number}`), kid = `${did}#key-${number}`): Promise<string> {
  return issueRootToken({
    operatorKey: by,
    operator: did,
    operatorKeyId: kid,
    agent: didKeyOf(agent.publicKey),
    agentKey: agent.publicKey,
    agentAlgorithm: 'Ed25519',
    audience: ['gateway.example'],
    details: { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'] },
    issuedAt: NOW / 1000,
    lifetimeSeconds: 86_400,
    maxDepth: 0,
  });
}

interface Gateway {
  log: readonly Entry[];
  down: boolean;
  /** Milliseconds since the epoch, of the wall clock and of the one that is never set. */
  now: number;
  monotonic: number;
  asked: number;
  readonly resolver: Resolver;
  ask(token: string): Promise<Outcome<VerifiedChain>>;
}

function makeGateway({ cacheEntries = 10, trusted = did } = {}): Gateway {
  const seen = new Map<string, SeenLog>();
  const source = makeWebvhSource({
    readLog: () => {
      gateway.asked++;
      if (gateway.down) throw new UnavailableDid('host is down');
      return { log: textOf(gateway.log), witness: undefined };
    },
    verify: (request) => verifier.verify(request),
    seen: { find: (scid) => seen.get(scid), remember: async (scid, log) => void seen.set(scid, log) },
    clock: () => gateway.now,
    onRollback: () => {},
  });
  const resolver = new Resolver({
    sources: { webvh: source },
    ttlSeconds: 300,
    maxStaleSeconds: 600,
    cacheEntries,
    monotonic: () => gateway.monotonic,
    onRefreshError: () => {},
  });
  const check = makeChainCheck({
    operators: trustOperators(trustConfiguration.parse({ operators: [{ did: trusted }] })),
    resolver,
    gatewayNames: ['gateway.example'],
    clockSkewSeconds: 30,
    configuration: chainConfiguration.parse({ cacheEntries: 100 }),
  });
  const gateway: Gateway = {
    log: [start],
    down: false,
    now: NOW,
    monotonic: 0,
    asked: 0,
    resolver,
    ask: (token) => {
      // As far as the check looks at them.
      const wellFormed = { untrustedCapabilityField: `"${token}"`, untrustedTokens: [token] } as unknown as WellFormedRequest;
      return check(wellFormed, { keyid: agent.publicKey.jkt } as ClaimedSignature, gateway.now);
    },
  };
  return gateway;
}

const REFUSED = {
  denied: true,
  reason: 'chain-invalid',
  detail: 'The root token does not verify under a key of an operator that this gateway trusts.',
};
const UNAVAILABLE = {
  denied: true,
  reason: 'identity-unavailable',
  detail: 'The DID of the operator cannot be resolved now.',
  cause: new UnavailableDid('host is down'),
};
const accepted = (operatorVersion: string | undefined) => ({ denied: false, proof: { operatorVersion } });

let gateway: Gateway;
beforeEach(() => {
  gateway = makeGateway();
});

describe('the key that issued', () => {
  test('stands in the log: the chain names the version, and is kept', async () => {
    const token = await root(1);
    const outcome = await gateway.ask(token);
    expect(outcome).toMatchObject(accepted(start.versionId));
    const again = await gateway.ask(token);
    expect(!again.denied && !outcome.denied && again.proof === outcome.proof).toBe(true);
    expect(gateway.asked).toBe(1);
  });

  test('may be named by its fragment alone', async () => {
    expect(await gateway.ask(await root(1, undefined, '#key-1'))).toMatchObject(accepted(start.versionId));
  });

  test.each<[string, () => Promise<string>]>([
    ['of a stranger under the name of one that holds', () => root(1, keyOf('stranger'))],
    ['that was never published', () => root(9)],
    ['of another operator', () => root(1, keyOf('issuer 1'), `${did.replace('acme', 'other')}#key-1`)],
  ])('%s is refused', async (_, token) => {
    expect(await gateway.ask(await token())).toEqual(REFUSED);
  });

  test('for requests and not for tokens is refused', async () => {
    const { assertionMethod, ...state } = keysState(DRAFT, { 1: {} });
    const other = first({ location: LOCATION, state: { ...state, capabilityInvocation: assertionMethod } });
    const asking = makeGateway({ trusted: didOf(other) });
    asking.log = [other];
    const token = await issueRootToken({
      operatorKey: keyOf('issuer 1'),
      operator: didOf(other),
      operatorKeyId: `${didOf(other)}#key-1`,
      agent: didKeyOf(agent.publicKey),
      agentKey: agent.publicKey,
      agentAlgorithm: 'Ed25519',
      audience: ['gateway.example'],
      details: { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'] },
      issuedAt: NOW / 1000,
      lifetimeSeconds: 86_400,
      maxDepth: 0,
    });
    expect(await asking.ask(token)).toEqual(REFUSED);
    expect(asking.asked).toBe(1);
  });
});

describe('a rotation', () => {
  test('with an overlap: both keys hold, then the old one has run out although its chain is kept', async () => {
    const [old, young] = [await root(1), await root(2)];
    expect(await gateway.ask(old)).toMatchObject(accepted(start.versionId));
    gateway.log = grow([start], { 1: { expires: new Date(NOW + 60_000).toISOString() }, 2: {} });
    gateway.resolver.changed(did);
    const version = gateway.log[1]?.versionId;
    expect(await gateway.ask(old)).toMatchObject(accepted(version));
    expect(await gateway.ask(young)).toMatchObject(accepted(version));
    gateway.now += 59_999;
    expect(await gateway.ask(old)).toMatchObject(accepted(version));
    gateway.now += 1;
    expect(await gateway.ask(old)).toEqual(REFUSED);
    expect(await gateway.ask(young)).toMatchObject(accepted(version));
    expect(gateway.asked).toBe(2);
  });

  test('that drops a key: its roots are refused at once, although their chain was kept', async () => {
    const [old, young] = [await root(1), await root(2)];
    expect((await gateway.ask(old)).denied).toBe(false);
    expect((await gateway.ask(old)).denied).toBe(false);
    gateway.log = grow([start], { 2: {} });
    gateway.resolver.changed(did);
    expect(await gateway.ask(old)).toEqual(REFUSED);
    expect(await gateway.ask(young)).toMatchObject(accepted(gateway.log[1]?.versionId));
    expect(await gateway.ask(old)).toEqual(REFUSED);
  });

  test('that nobody told of is in force when the document has grown old', async () => {
    const old = await root(1);
    expect((await gateway.ask(old)).denied).toBe(false);
    gateway.log = grow([start], { 2: {} });
    gateway.monotonic += 200_000;
    expect((await gateway.ask(old)).denied).toBe(false);
    gateway.monotonic += 100_001;
    expect(await gateway.ask(old)).toEqual(REFUSED);
  });

  test('of a moment ago: the first root by the new key finds it, and drops the old one', async () => {
    const [old, young] = [await root(1), await root(2)];
    expect((await gateway.ask(old)).denied).toBe(false);
    gateway.log = grow([start], { 2: {} });
    gateway.monotonic += 1001;
    expect(await gateway.ask(young)).toMatchObject(accepted(gateway.log[1]?.versionId));
    expect(gateway.asked).toBe(2);
    expect(await gateway.ask(old)).toEqual(REFUSED);
  });

  test('cannot be brought on by roots under made-up keys more than once a second', async () => {
    for (let time = 0; time < 40; time++) {
      expect(await gateway.ask(await root(100 + time))).toEqual(REFUSED);
      gateway.monotonic += 100;
    }
    expect(gateway.asked).toBeLessThanOrEqual(5);
  });

  test('a log that is taken back to before it is not believed', async () => {
    const [old, young] = [await root(1), await root(2)];
    gateway.log = grow([start], { 2: {} });
    expect((await gateway.ask(young)).denied).toBe(false);
    gateway.log = [start];
    gateway.resolver.changed(did);
    expect(await gateway.ask(old)).toMatchObject(REFUSED);
    expect(await gateway.ask(young)).toMatchObject(REFUSED);
  });

  test('a deactivated operator issues nothing any more', async () => {
    const old = await root(1);
    expect((await gateway.ask(old)).denied).toBe(false);
    gateway.log = grow([start], { 1: {} }, { deactivated: true, nextKeyHashes: [] });
    gateway.resolver.changed(did);
    expect(await gateway.ask(old)).toEqual(REFUSED);
  });
});

describe('a log that cannot be had', () => {
  test('at first: 503 and not 401, for it may yet turn out well', async () => {
    const token = await root(1);
    gateway.down = true;
    expect(await gateway.ask(token)).toEqual(UNAVAILABLE);
    gateway.down = false;
    gateway.monotonic += 2001;
    expect((await gateway.ask(token)).denied).toBe(false);
  });

  test('later: what was found serves until it is too old, and no longer; nothing is left rejected', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      const token = await root(1);
      expect((await gateway.ask(token)).denied).toBe(false);
      gateway.down = true;
      gateway.monotonic += 500_000;
      expect((await gateway.ask(token)).denied).toBe(false);
      expect((await gateway.ask(token)).denied).toBe(false);
      gateway.monotonic += 100_001;
      expect(await gateway.ask(token)).toEqual(UNAVAILABLE);
      expect(await gateway.ask(token)).toEqual(UNAVAILABLE);
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      process.off('unhandledRejection', note);
    }
    expect(unhandled).toEqual([]);
  });

  test('after the vault said that it grew: the old document is no comfort', async () => {
    const token = await root(1);
    expect((await gateway.ask(token)).denied).toBe(false);
    gateway.down = true;
    gateway.resolver.changed(did);
    expect(await gateway.ask(token)).toEqual(UNAVAILABLE);
  });
});

test('a gateway that keeps no documents verifies each time, and comes to an end', async () => {
  const forgetful = makeGateway({ cacheEntries: 0 });
  const token = await root(1);
  for (let time = 0; time < 3; time++) expect((await forgetful.ask(token)).denied).toBe(false);
  expect(await forgetful.ask(await root(9))).toEqual(REFUSED);
  expect(forgetful.asked).toBeLessThanOrEqual(10);
});

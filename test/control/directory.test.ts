// The directory of keys for Web Bot Auth, verified by other people's code.

import { createPublicKey, hash, type JsonWebKey } from 'node:crypto';
import { createVerifier, httpbis } from 'http-message-signatures';
import { calculateJwkThumbprint, importJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generatePrivateKey } from '../../src/crypto/private-key.ts';
import { fresh, HOST, Operator, ORIGIN } from './operator.ts';
import { type Answer, startVault, startWith, type World } from './vault-world.ts';

const PATH = '/.well-known/http-message-signatures-directory';
const acme = new Operator('acme');
const key = generatePrivateKey('Ed25519');
let world: World;

beforeAll(async () => {
  world = await startVault({ operators: [acme], key });
  expect((await world.register(acme, acme.log)).status).toBe(201);
});
afterAll(() => world.stop());

async function verifies({ status, headers }: Answer, path: string): Promise<boolean | null> {
  const publicKey = createPublicKey({ key: JSON.parse(JSON.stringify(key.publicKey.jwk)), format: 'jwk' });
  const verify = createVerifier(publicKey as unknown as string, 'ed25519');
  return httpbis.verifyMessage(
    {
      keyLookup: async ({ keyid }) => (keyid === key.publicKey.jkt ? { id: keyid, algs: ['ed25519'], verify } : null),
      requiredParams: ['created', 'expires', 'keyid', 'tag'],
      requiredFields: ['@authority', '@query', 'content-digest'],
    },
    { status, headers: headers as Record<string, string> },
    { method: 'GET', url: `${ORIGIN}${path}`, headers: { host: HOST } },
  );
}

describe('of one agent', () => {
  const agentKey = generatePrivateKey('ES256');
  const log = acme.agent('reader', [agentKey]);
  const path = `${PATH}?agent=${encodeURIComponent(log.did)}`;

  beforeAll(async () => {
    expect((await world.register(acme, log)).status).toBe(201);
  });

  test('it is a signed JWK Set of the current keys', async () => {
    const answer = await world.ask(path);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/http-message-signatures-directory+json');
    expect(answer.headers['content-digest']).toBe(`sha-256=:${hash('sha256', answer.text, 'base64')}:`);
    expect(answer.headers['signature-input']).toContain('tag="http-message-signatures-directory"');
    expect(await verifies(answer, path)).toBe(true);
    const [published, ...more] = JSON.parse(answer.text).keys as (JsonWebKey & { kid: string; nbf: number })[];
    expect(more).toEqual([]);
    expect(published).toMatchObject({ kid: agentKey.publicKey.jkt, use: 'sig', controller: log.did });
    expect(published?.nbf).toBe(Date.parse(JSON.parse(log.lines[0] ?? '').versionTime) / 1000);
    expect(await calculateJwkThumbprint(published as never)).toBe(published?.kid);
    await importJWK(published as never, 'ES256');
  });

  test('its signature holds for nothing else', async () => {
    const answer = await world.ask(path);
    expect(await verifies(answer, PATH)).toBe(false);
    expect(await verifies({ ...answer, headers: { ...answer.headers, 'content-digest': 'sha-256=:AAAA:' } }, path)).toBe(false);
    expect((await world.ask({ path, headers: { host: 'other.example' } })).status).toBe(421);
  });

  test('a key shows when it came and when it goes, and an expired or dropped one is not shown', async () => {
    const second = generatePrivateKey('Ed25519');
    const id = `${log.did}#key-2`;
    const expires = (millis: number) => new Date(Math.floor(Date.now() / 1000) * 1000 + millis).toISOString().replace('.000', '');
    const rotated = acme.next(log, {
      state: ({ verificationMethod, ...state }) => ({
        ...state,
        verificationMethod: [
          { ...(verificationMethod as object[])[0], expires: expires(30_000) },
          { id, type: 'JsonWebKey', controller: log.did, publicKeyJwk: second.publicKey.jwk },
        ],
        capabilityInvocation: [`${log.did}#key-1`, id],
      }),
    });
    expect((await world.append(acme, rotated)).status).toBe(201);
    const times = rotated.lines.map((line) => Date.parse(JSON.parse(line).versionTime) / 1000);
    const { keys } = JSON.parse((await world.ask(path)).text);
    expect(keys.map(({ kid, nbf }: { kid: string; nbf: number }) => [kid, nbf])).toEqual([
      [agentKey.publicKey.jkt, times[0]],
      [second.publicKey.jkt, times[1]],
    ]);
    expect(keys[0].exp).toBeGreaterThan(Date.now() / 1000);
    expect(keys[1].exp).toBeUndefined();
    world.pass(31_000);
    const later = JSON.parse((await world.ask(path)).text).keys;
    expect(later.map(({ kid }: { kid: string }) => kid)).toEqual([second.publicKey.jkt]);
    expect((await world.append(acme, acme.end(rotated))).status).toBe(201);
    expect(JSON.parse((await world.ask(path)).text)).toEqual({ keys: [] });
  });

  test('an operator has none, and neither has who is not registered', async () => {
    for (const did of [acme.did, acme.agent(fresh('nobody')).did]) {
      expect((await world.ask(`${PATH}?agent=${encodeURIComponent(did)}`)).body.type).toBe(
        'urn:hermesbridge:control:not-registered',
      );
    }
  });
});

test('of all agents, it comes in signed pages that name the next one', async () => {
  const own = await startVault({ operators: [acme], key });
  try {
    expect((await own.register(acme, acme.log)).status).toBe(201);
    const keys = Array.from({ length: 5 }, () => generatePrivateKey('Ed25519'));
    for (const one of keys) expect((await own.register(acme, acme.agent(fresh('agent'), [one]))).status).toBe(201);
    const found: string[] = [];
    for (let path: string | undefined = `${PATH}?limit=2`; path !== undefined; ) {
      const answer = await own.ask(path);
      expect(await verifies(answer, path)).toBe(true);
      found.push(...JSON.parse(answer.text).keys.map(({ kid }: { kid: string }) => kid));
      const link: string | undefined = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers.link ?? ''))?.[1];
      expect(answer.headers.link === undefined).toBe(link === undefined);
      path = link;
    }
    // What it is signed with stands in it, on the first page.
    const [one, two, ...rest] = keys.map(({ publicKey }) => publicKey.jkt);
    expect(found).toEqual([one, two, key.publicKey.jkt, ...rest]);
  } finally {
    await own.stop();
  }
});

test('a key that is not of Ed25519 does not sign it', async () => {
  await expect(startVault({ operators: [acme], key: generatePrivateKey('ES256') })).rejects.toThrow('control.key');
});

test('without a key of the vault there is none, and the answer says how to have one', async () => {
  const own = await startWith(acme);
  try {
    const { status, body } = await own.ask(PATH);
    expect([status, body.type]).toEqual([404, 'urn:hermesbridge:control:directory-off']);
    expect(body.detail).toContain('control.key');
  } finally {
    await own.stop();
  }
});

// Logs that the operator writes, held against the verifier that gateways use and against the library by itself.

import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { PrivateKey } from '../../../src/crypto/private-key.ts';
import { AuthorError, firstEntry, nextEntry } from '../../../src/vault/webvh/author-log.ts';
import { LogVerifier } from '../../../src/vault/webvh/log-verifier.ts';
import { commitmentTo, keyOfMultikey, multikeyOf } from '../../../src/vault/webvh/multikey.ts';
import { deriveUpdateKey } from '../../../src/vault/webvh/update-key.ts';
import type { VerifiedLog } from '../../../src/vault/webvh/verified-log.ts';
import { keyOf } from '../../keys.ts';
import { libraryAccepts } from './library.ts';
import { commitment, LOCATION, multikey, NOW, START } from './log-maker.ts';

const verifier = LogVerifier.start();
afterAll(() => verifier.close());

const SEED = Buffer.alloc(32, 7);
const key = (version: number): PrivateKey => deriveUpdateKey(SEED, LOCATION, version);

function begin(changes: Partial<Parameters<typeof firstEntry>[0]> = {}) {
  return firstEntry({
    location: LOCATION,
    state: (did) => ({ id: did, controller: did }),
    updateKey: key(1),
    nextUpdateKey: key(2).publicKey,
    now: START,
    ...changes,
  });
}

function read(lines: readonly string[], did?: string): Promise<VerifiedLog> {
  return verifier.verify({ did, log: lines.map((line) => `${line}\n`).join(''), witness: undefined, now: NOW });
}

function keysFor(version: number) {
  return { updateKey: key(version), nextUpdateKey: key(version + 1).publicKey };
}

describe('the first entry', () => {
  test('verifies, with pre-rotation in force and portable', async () => {
    const { did, line, versionId } = begin({ ttl: 300 });
    expect(did).toMatch(/^did:webvh:Qm\w{44}:vault\.example%3A8443:agents:acme:reader$/);
    const log = await read([line], did);
    expect(log).toMatchObject({ did, versionId, created: START, deactivated: false, state: { id: did, controller: did } });
    expect(log.parameters).toMatchObject({
      portable: true,
      updateKeys: [multikey(key(1))],
      nextKeyHashes: [commitment(key(2))],
      ttl: 300,
      witnessed: false,
    });
    expect(await libraryAccepts([JSON.parse(line)])).toBe(true);
  });

  test('is the same for the same input, so that what was cut short can be repeated', () => {
    expect(begin()).toEqual(begin());
    expect(begin({ now: START + 999 })).toEqual(begin());
    expect(begin({ now: START + 1000 }).did).not.toBe(begin().did);
  });

  test('verifies whatever else stands in the document', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          // Names that cannot be spelled without an escape are refused by whoever reads JSON strictly.
          fc.string({ unit: 'grapheme' }).filter((name) => !JSON.stringify(name).includes('\\') && name !== '__proto__'),
          fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }),
          { maxKeys: 5 },
        ),
        async (others) => {
          const nested = JSON.parse(JSON.stringify(others), (_, value) =>
            typeof value === 'object' && value !== null && !Array.isArray(value)
              ? Object.fromEntries(
                  Object.entries(value).filter(([name]) => !JSON.stringify(name).includes('\\') && name !== '__proto__'),
                )
              : value,
          ) as object;
          const { did, line } = begin({ state: (made) => ({ ...nested, id: made }) });
          const log = await read([line], did);
          expect(log.state).toEqual({ ...nested, id: did });
          expect(await libraryAccepts([JSON.parse(line)])).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([
    ['localhost%3A8443:agents:a'],
    ['127.0.0.1%3A8443:agents:a'],
    ['vault.example:8443/agents'],
    ['vault.example%3A443:agents:a'],
    ['Vault.example'],
    ['vault.example:..'],
    [''],
  ])('is not written for %s', (location) => {
    expect(() => begin({ location })).toThrow(AuthorError);
  });

  test('is not written for a document of another DID, a ttl that is none, or a key that cannot sign it', () => {
    expect(() => begin({ state: () => ({ id: 'did:webvh:other' }) })).toThrow('not of the DID');
    expect(() => begin({ state: () => ({}) })).toThrow(AuthorError);
    for (const ttl of [0, -1, 1.5, 2 ** 31 + 1]) expect(() => begin({ ttl })).toThrow(AuthorError);
    expect(() => begin({ updateKey: keyOf('p', 'ES256') })).toThrow('Ed25519');
    expect(() => begin({ nextUpdateKey: keyOf('p', 'ES256').publicKey })).toThrow('Ed25519');
  });
});

describe('the next entries', () => {
  test('verify, each under the key that the one before committed to', async () => {
    const { did, line } = begin();
    const lines = [line];
    for (let version = 2; version <= 12; version++) {
      const log = await read(lines, did);
      const entry = nextEntry({ log, state: { id: did, version }, ...keysFor(version), now: START + version * 60_000 });
      lines.push(entry.line);
      expect(entry).toMatchObject({ did, versionId: (await read(lines, did)).versionId });
    }
    const log = await read(lines, did);
    expect(log.versionIds).toHaveLength(12);
    expect(log.state).toEqual({ id: did, version: 12 });
    expect(log.parameters).toMatchObject({
      updateKeys: [multikey(key(12))],
      nextKeyHashes: [commitment(key(13))],
      portable: true,
    });
    expect(await libraryAccepts(lines.map((one) => JSON.parse(one)))).toBe(true);
  });

  test('are a second later than the one before where the clock is not', async () => {
    const { did, line } = begin();
    const log = await read([line]);
    for (const now of [START - 60_000, START, START + 999]) {
      const entry = nextEntry({ log, state: { id: did }, ...keysFor(2), now });
      expect((await read([line, entry.line])).versionTime).toBe(START + 1000);
    }
  });

  test('may change the ttl', async () => {
    const { did, line } = begin({ ttl: 60 });
    const entry = nextEntry({ log: await read([line]), state: { id: did }, ...keysFor(2), now: NOW, ttl: 5 });
    expect((await read([line, entry.line])).parameters.ttl).toBe(5);
  });

  test('are not written with a key that was not committed to: that of another version, another place, another seed', async () => {
    const { did, line } = begin();
    const log = await read([line]);
    for (const updateKey of [
      key(1),
      key(3),
      deriveUpdateKey(SEED, `${LOCATION}2`, 2),
      deriveUpdateKey(Buffer.alloc(32), LOCATION, 2),
    ]) {
      expect(() => nextEntry({ log, state: { id: did }, ...keysFor(2), updateKey, now: NOW })).toThrow('did not commit');
    }
  });

  test('follow the last version only', async () => {
    const { did, line } = begin();
    const second = nextEntry({ log: await read([line]), state: { id: did }, ...keysFor(2), now: NOW });
    const log = await verifier.verify({
      did,
      log: `${line}\n${second.line}\n`,
      witness: undefined,
      now: NOW,
      select: { versionNumber: 1 },
    });
    expect(() => nextEntry({ log, state: { id: did }, ...keysFor(2), now: NOW })).toThrow('last version only');
  });
});

describe('the entry that deactivates', () => {
  test('is one, and ends the log', async () => {
    const { did, line } = begin();
    const log = await read([line]);
    const end = nextEntry({ log, state: { id: did }, ...keysFor(2), now: START + 60_000, deactivate: true });
    const ended = await read([line, end.line], did);
    expect(ended).toMatchObject({ deactivated: true, versionId: end.versionId, state: { id: did } });
    expect(ended.parameters.nextKeyHashes).toEqual([]);
    expect(await libraryAccepts([line, end.line].map((one) => JSON.parse(one)))).toBe(true);
    expect(() => nextEntry({ log: ended, state: { id: did }, ...keysFor(3), now: NOW })).toThrow('is deactivated');
  });
});

describe('update keys', () => {
  test('are HKDF-SHA256 of the seed, with place and version as info', () => {
    const info = `hermesbridge did:webvh update key\n${LOCATION}\n2`;
    const extracted = createHmac('sha256', Buffer.alloc(32)).update(SEED).digest();
    const secret = createHmac('sha256', extracted).update(info).update(Buffer.of(1)).digest();
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secret]);
    const expected = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' });
    expect(key(2).publicKey.jwk.x).toBe(expected.x);
    expect(key(2).algorithm).toBe('Ed25519');
  });

  test('differ by place, version and seed, and nothing can be moved from one to another', () => {
    const keys = [
      key(1),
      key(2),
      deriveUpdateKey(SEED, `${LOCATION}x`, 1),
      deriveUpdateKey(Buffer.alloc(32), LOCATION, 1),
      key(11),
    ];
    expect(new Set(keys.map(({ publicKey }) => publicKey.jkt)).size).toBe(5);
    expect(() => deriveUpdateKey(SEED, `${LOCATION}\n1`, 1)).toThrow('no such entry');
    for (const version of [0, -1, 1.5, Number.NaN])
      expect(() => deriveUpdateKey(SEED, LOCATION, version)).toThrow('no such entry');
    expect(() => deriveUpdateKey(Buffer.alloc(31), LOCATION, 1)).toThrow('32 bytes');
  });
});

describe('Multikeys', () => {
  test('are read as they are written, and committed to by the hash of their text', () => {
    const text = multikeyOf(key(1).publicKey);
    expect(text).toBe(multikey(key(1)));
    expect(keyOfMultikey(text).jkt).toBe(key(1).publicKey.jkt);
    expect(commitmentTo(text)).toBe(commitment(key(1)));
    expect(() => keyOfMultikey(multikeyOf(keyOf('p', 'ES256').publicKey))).toThrow('Ed25519');
  });

  test('the commitment of the specification’s test suite', () => {
    expect(commitmentTo('z6MknGc3ocHs3zdPiJbnaaqDi58NGb4pk1Sp9WxWufuXSdxf')).toBe(
      'Qmf2V5jB2UwPcFL5bvmKed7VvY3CSQ1RXyDdtip7ufpQ3R',
    );
  });
});

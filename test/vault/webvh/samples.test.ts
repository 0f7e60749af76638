// What the project once published verifies for good.

import { afterAll, describe, expect, test } from 'vitest';
import { readDidDocument } from '../../../src/vault/read-did-document.ts';
import { firstEntry } from '../../../src/vault/webvh/author-log.ts';
import { LogVerifier } from '../../../src/vault/webvh/log-verifier.ts';
import { deriveUpdateKey } from '../../../src/vault/webvh/update-key.ts';
import { NOW, START } from './log-maker.ts';
import { readSample, SAMPLES } from './samples.ts';

const verifier = LogVerifier.start();
afterAll(() => verifier.close());

const now = NOW + 30 * 86_400_000;

describe.each(SAMPLES)('$name', (sample) => {
  const { did, versionId, deactivated } = sample;
  const { log, witness } = readSample(sample);

  test('verifies', async () => {
    expect(await verifier.verify({ did, log, witness, now })).toMatchObject({ did, versionId, deactivated });
  });
});

test('the witnessed one does not verify without its witnesses', async () => {
  const { log } = readSample({ name: 'witnessed' });
  await expect(verifier.verify({ did: undefined, log, witness: undefined, now })).rejects.toThrow('threshold');
});

test('during the overlap of a rotation both keys hold, the old one until a time that is said', async () => {
  const [, rotated] = SAMPLES;
  if (rotated === undefined) throw new Error('no such sample');
  const { log } = readSample(rotated);
  const document = async (versionNumber: number) => {
    const { did, state } = await verifier.verify({ did: rotated.did, log, witness: undefined, now, select: { versionNumber } });
    return readDidDocument(did, state).verificationMethods.map(({ id, expires }) => [id.slice(did.length), expires]);
  };
  expect(await document(1)).toEqual([['#key-3', undefined]]);
  expect(await document(2)).toEqual([
    ['#key-3', Date.parse('2025-06-02T01:00:00Z')],
    ['#key-4', undefined],
  ]);
  expect(await document(3)).toEqual([['#key-4', undefined]]);
});

test('the first one is written today as it was then: the recovery seed is good for its log', () => {
  const [registered] = SAMPLES;
  const { log } = readSample({ name: 'registered' });
  const { state } = JSON.parse(log) as { state: { verificationMethod: { publicKeyJwk: object }[] } };
  const location = 'vault.example%3A8443:agents:acme:one';
  const seed = Buffer.alloc(32, 7);
  const entry = firstEntry({
    location,
    state: (did) => JSON.parse(JSON.stringify(state).replaceAll(registered?.did ?? '', did)) as object,
    updateKey: deriveUpdateKey(seed, location, 1),
    nextUpdateKey: deriveUpdateKey(seed, location, 2).publicKey,
    now: START,
  });
  expect(`${entry.line}\n`).toBe(log);
});

// A log with witnesses: its proofs come with the entry, are verified with it, and are served beside it.

import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { base58 } from '@scure/base';
import canonicalize from 'canonicalize';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fresh, Operator, type WrittenLog } from './operator.ts';
import { startWith, type World } from './vault-world.ts';

const acme = new Operator('acme');
const witness = generateKeyPairSync('ed25519');
const raw = Buffer.from(String(witness.publicKey.export({ format: 'jwk' }).x), 'base64url');
const multikey = `z${base58.encode(Buffer.concat([Buffer.of(0xed, 0x01), raw]))}`;
const parameters = { witness: { threshold: 1, witnesses: [{ id: `did:key:${multikey}` }] } };
let world: World;

beforeAll(async () => {
  world = await startWith(acme);
});
afterAll(() => world.stop());

/** did-witness.json up to the last entry (did:webvh 1.0, "The Witness Proofs File"). */
function witnessed(log: WrittenLog): string {
  const { versionId } = JSON.parse(log.lines.at(-1) ?? '');
  const options = {
    type: 'DataIntegrityProof',
    cryptosuite: 'eddsa-jcs-2022',
    verificationMethod: `did:key:${multikey}#${multikey}`,
    created: new Date(Date.now() - 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
    proofPurpose: 'assertionMethod',
  };
  const hash = (value: object) =>
    createHash('sha256')
      .update(canonicalize(value) ?? '')
      .digest();
  const proofValue = `z${base58.encode(sign(null, Buffer.concat([hash(options), hash({ versionId })]), witness.privateKey))}`;
  return JSON.stringify([{ versionId, proof: [{ ...options, proofValue }] }]);
}

const post = (path: string, log: WrittenLog, proofs?: string) =>
  world.post(acme, path, JSON.stringify({ entry: log.lines.at(-1), ...(proofs && { witness: proofs }) }));

test('is admitted with the proofs of its witnesses only, and serves them', async () => {
  const log = acme.agent(fresh('agent'), undefined, { parameters });
  const without = await post('/v1/agents', log);
  expect([without.status, without.body.errors[0].field]).toEqual([422, 'entry']);
  const proofs = witnessed(log);
  expect((await post('/v1/agents', log, proofs.replace('"z', '"z2'))).status).toBe(422);
  expect((await post('/v1/agents', log, proofs)).status).toBe(201);
  const file = `/${log.location.split(':').slice(1).join('/')}/did-witness.json`;
  const served = await world.ask(file);
  expect([served.text, served.headers['content-type']]).toEqual([proofs, 'application/json']);
  expect((await world.ask({ path: file, headers: { 'if-none-match': String(served.headers.etag) } })).status).toBe(304);

  const next = acme.next(log);
  const versions = `/v1/agents/${encodeURIComponent(log.did)}/versions`;
  expect((await post(versions, next)).status).toBe(422);
  expect((await world.ask(file)).text).toBe(proofs);
  const later = witnessed(next);
  expect((await post(versions, next, later)).status).toBe(201);
  expect((await world.ask(file)).text).toBe(later);
});

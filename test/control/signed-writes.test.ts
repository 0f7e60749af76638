// Writes are signed by the operator, once each: what is missing, wrong, old or repeated is refused, and changes nothing.

import { hash } from 'node:crypto';
import { createSigner, httpbis } from 'http-message-signatures';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generatePrivateKey } from '../../src/crypto/private-key.ts';
import { bodyOf, fresh, HOST, Operator, ORIGIN, type SignatureChanges } from './operator.ts';
import { startVault, startWith, type World } from './vault-world.ts';

const acme = new Operator('acme');
const rival = new Operator('rival');
let world: World;

beforeAll(async () => {
  world = await startWith(acme, rival);
});
afterAll(() => world.stop());

const seconds = () => Math.floor(Date.now() / 1000);
const newBody = () => bodyOf(acme.agent(fresh('agent')));

describe('a signature', () => {
  test.each<[string, () => SignatureChanges, code: string]>([
    ['by another key', () => ({ key: generatePrivateKey('Ed25519') }), 'signature-invalid'],
    ['by the key of another operator', () => ({ key: rival.key }), 'signature-invalid'],
    ['of an operator that is not known', () => ({ keyid: `${acme.did}x#key-1` }), 'signature-invalid'],
    ['by a key that is not known', () => ({ keyid: `${acme.did}#key-9` }), 'signature-invalid'],
    ['that names the DID alone', () => ({ keyid: acme.did }), 'signature-invalid'],
    ['for another host', () => ({ authority: 'other.example' }), 'signature-invalid'],
    ['with the tag of agents', () => ({ tag: 'agent-cap' }), 'signature-missing'],
    ['that has expired', () => ({ created: seconds() - 120 }), 'signature-expired'],
    ['made in the future', () => ({ created: seconds() + 120 }), 'clock-skew'],
    ['that holds for too long', () => ({ expires: seconds() + 300 }), 'signature-input'],
    ['with a short nonce', () => ({ nonce: 'c2hvcnQ' }), 'signature-input'],
    ['that names its algorithm', () => ({ more: ';alg="ed25519"' }), 'signature-input'],
    [
      'without the method',
      () => ({ covered: ['@authority', '@path', '@query', 'content-type', 'content-digest'] }),
      'signature-input',
    ],
    [
      'without the query',
      () => ({ covered: ['@method', '@authority', '@path', 'content-type', 'content-digest'] }),
      'signature-input',
    ],
    ['without the digest', () => ({ covered: ['@method', '@authority', '@path', '@query', 'content-type'] }), 'signature-input'],
    [
      'without the idempotency key',
      () => ({ idempotencyKey: 'k', covered: ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest'] }),
      'signature-input',
    ],
  ])('%s is refused', async (_, changes, code) => {
    const { status, headers, body } = await world.post(acme, '/v1/agents', newBody(), changes());
    expect([status, body.type]).toEqual([401, `urn:hermesbridge:control:${code}`]);
    expect(headers['www-authenticate']).toBe(`AgentCap error="${code}"`);
    expect(headers['accept-signature']).toContain('tag="agent-cap-control"');
  });

  test('that is wrong and one by nobody known are answered alike', async () => {
    const body = newBody();
    const wrong = await world.post(acme, '/v1/agents', body, { key: rival.key });
    const unknown = await world.post(acme, '/v1/agents', body, { keyid: 'did:web:nobody.example#key-1' });
    expect({ ...unknown.body, instance: '' }).toEqual({ ...wrong.body, instance: '' });
  });

  test('is needed', async () => {
    const headers = { 'content-type': 'application/json' };
    const { status, body } = await world.ask({ method: 'POST', path: '/v1/agents', headers, body: newBody() });
    expect([status, body.type]).toEqual([401, 'urn:hermesbridge:control:signature-missing']);
  });

  test('that is no structured field is malformed, and so are two lines of it', async () => {
    const body = newBody();
    const signed = acme.sign('/v1/agents', body);
    const broken = await world.ask({ method: 'POST', path: '/v1/agents', body, headers: { ...signed, 'signature-input': '(' } });
    expect([broken.status, broken.body.type]).toEqual([400, 'urn:hermesbridge:control:malformed-request']);
    const twice = { ...signed, signature: [signed.signature ?? '', signed.signature ?? ''] };
    expect((await world.ask({ method: 'POST', path: '/v1/agents', body, headers: twice })).status).toBe(400);
  });

  test.each<[string, (headers: Record<string, string>) => Record<string, string>, path?: string]>([
    ['the body', (headers) => headers],
    ['the path', (headers) => headers, '/v1/operators'],
    ['the idempotency key', (headers) => ({ ...headers, 'idempotency-key': 'other' })],
    ['the digest', (headers) => ({ ...headers, 'content-digest': `sha-256=:${hash('sha256', 'x', 'base64')}:` })],
  ])('does not hold with %s changed', async (what, change, path = '/v1/agents') => {
    const body = newBody();
    const headers = change(acme.sign('/v1/agents', body, { idempotencyKey: 'kept' }));
    const { status } = await world.ask({ method: 'POST', path, headers, body: what === 'the body' ? newBody() : body });
    expect(status).toBe(401);
  });

  test('made by the package http-message-signatures is taken', async () => {
    const body = newBody();
    const fields = ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest'];
    const { headers } = await httpbis.signMessage(
      {
        key: createSigner(acme.key.keyObject as unknown as string, 'ed25519', acme.keyid),
        fields,
        params: ['created', 'expires', 'nonce', 'keyid', 'tag'],
        paramValues: { expires: new Date(Date.now() + 50_000), nonce: fresh('nonce-of-22-characters'), tag: 'agent-cap-control' },
      },
      {
        method: 'POST',
        url: `${ORIGIN}/v1/agents`,
        headers: {
          host: HOST,
          'content-type': 'application/json',
          'content-digest': `sha-256=:${hash('sha256', body, 'base64')}:`,
        },
      },
    );
    const { status } = await world.ask({ method: 'POST', path: '/v1/agents', headers: headers as Record<string, string>, body });
    expect(status).toBe(201);
  });

  test('is taken once, whether the write was kept or not', async () => {
    for (const body of [newBody(), '{"entry":"not one"}']) {
      const headers = acme.sign('/v1/agents', body);
      const first = await world.ask({ method: 'POST', path: '/v1/agents', headers, body });
      expect([201, 422]).toContain(first.status);
      const again = await world.ask({ method: 'POST', path: '/v1/agents', headers, body });
      expect([again.status, again.body.type]).toEqual([401, 'urn:hermesbridge:control:nonce-replayed']);
    }
  });

  test('expires with the clock of the vault', async () => {
    const own = await startVault({ operators: [acme] });
    try {
      const body = bodyOf(acme.log);
      const headers = acme.sign('/v1/operators', body);
      own.pass(120_000);
      const { body: problem } = await own.ask({ method: 'POST', path: '/v1/operators', headers, body });
      expect(problem.type).toBe('urn:hermesbridge:control:signature-expired');
    } finally {
      await own.stop();
    }
  });

  test('never shows up in an answer or in the log', async () => {
    const body = newBody();
    const headers = acme.sign('/v1/agents', body, { key: rival.key, idempotencyKey: 'secret-key-of-mine' });
    const { text } = await world.ask({ method: 'POST', path: '/v1/agents', headers, body });
    for (const part of [headers.signature?.slice(10, 40) ?? '', 'secret-key-of-mine', body.slice(40, 80)]) {
      expect(text).not.toContain(part);
      expect(world.logged.join('')).not.toContain(part);
    }
  });
});

describe('an idempotency key', () => {
  test('gets the same answer for the same request, signed anew', async () => {
    const body = newBody();
    const first = await world.post(acme, '/v1/agents', body, { idempotencyKey: 'one' });
    expect(first.headers['idempotency-replayed']).toBeUndefined();
    const again = await world.post(acme, '/v1/agents', body, { idempotencyKey: 'one' });
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.text).toBe(first.text);
    expect(again.headers.location).toBe(first.headers.location);
    expect(again.headers['idempotency-replayed']).toBe('true');
  });

  test('of requests that come together makes one registration', async () => {
    const body = newBody();
    const before = world.store.lastSequence();
    const answers = await Promise.all(
      [1, 2, 3, 4].map(() => world.post(acme, '/v1/agents', body, { idempotencyKey: 'together' })),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(world.store.lastSequence()).toBe(before + 1);
  });

  test('is refused for another request', async () => {
    expect((await world.post(acme, '/v1/agents', newBody(), { idempotencyKey: 'two' })).status).toBe(201);
    const { status, body } = await world.post(acme, '/v1/agents', newBody(), { idempotencyKey: 'two' });
    expect([status, body.type]).toEqual([422, 'urn:hermesbridge:control:idempotency-key-reused']);
  });

  test('is one of its operator', async () => {
    expect((await world.post(acme, '/v1/agents', newBody(), { idempotencyKey: 'mine' })).status).toBe(201);
    const theirs = bodyOf(rival.agent(fresh('agent')));
    expect((await world.post(rival, '/v1/agents', theirs, { idempotencyKey: 'mine' })).status).toBe(201);
  });

  test('of a write that was refused is free for the next', async () => {
    const refused = await world.post(acme, '/v1/agents', '{"entry":"not one"}', { idempotencyKey: 'three' });
    expect(refused.status).toBe(422);
    expect((await world.post(acme, '/v1/agents', newBody(), { idempotencyKey: 'three' })).status).toBe(201);
  });

  test.each([
    ['empty', ''],
    ['too long', 'a'.repeat(256)],
    ['of two words', 'a b'],
  ])('that is %s is refused', async (_, idempotencyKey) => {
    const { status, body } = await world.post(acme, '/v1/agents', newBody(), { idempotencyKey });
    expect([status, body.errors[0].field]).toEqual([400, 'Idempotency-Key']);
  });
});

// What the vault does not admit: each with the name of the field, and nothing of it kept (docs/threat-model.md group E, G27).

import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bodyOf, fresh, Operator, SPELLED_HOST, stateOf } from './operator.ts';
import { startWith, type World } from './vault-world.ts';

const acme = new Operator('acme');
let world: World;

beforeAll(async () => {
  world = await startWith(acme);
});
afterAll(() => world.stop());

type Json = Record<string, unknown>;

const withJwk = (change: (jwk: Json) => Json) => (state: Json) => {
  const [method] = state.verificationMethod as { publicKeyJwk: Json }[];
  return { ...state, verificationMethod: [{ ...method, publicKeyJwk: change(method?.publicKeyJwk ?? {}) }] };
};
const zeros = Buffer.alloc(32);
const rsa = (bits: number) => generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ format: 'jwk' });
const KEY = 'entry.state.verificationMethod[0].publicKeyJwk';

describe('a document', () => {
  test.each<[string, (state: Json) => Json, field: string]>([
    ['a small-order key', withJwk((jwk) => ({ ...jwk, x: Buffer.of(1, ...zeros.subarray(1)).toString('base64url') })), KEY],
    ['a key in a second spelling', withJwk((jwk) => ({ ...jwk, x: Buffer.alloc(32, 0xff).toString('base64url') })), KEY],
    [
      'a key off its curve',
      withJwk(() => ({ kty: 'EC', crv: 'P-256', x: zeros.toString('base64url'), y: zeros.toString('base64url') })),
      KEY,
    ],
    ['weak RSA', withJwk(() => rsa(2048) as Json), KEY],
    ['a key of another kind', withJwk((jwk) => ({ ...jwk, crv: 'X25519' })), KEY],
    ['a private member', withJwk((jwk) => ({ ...jwk, d: 'AAAA' })), `${KEY}.d`],
    [
      'a private key beside the document',
      (state) => ({ ...state, secretKeyMultibase: 'z3u2' }),
      'entry.state.secretKeyMultibase',
    ],
    ['no capabilityInvocation', ({ capabilityInvocation: _, ...state }) => state, 'entry.state.capabilityInvocation'],
    ['only a key that has expired', (state) => expired(state), 'entry.state.capabilityInvocation'],
    [
      'a purpose without a key',
      (state) => ({ ...state, capabilityInvocation: ['#other'] }),
      'entry.state.capabilityInvocation[0]',
    ],
    ['a controller that is no DID', (state) => ({ ...state, controller: 'acme' }), 'entry.state.controller'],
    ['a controller with a line break', (state) => ({ ...state, controller: ['did:web:a\r\nX: y'] }), 'entry.state.controller'],
    [
      'a key with a name of line breaks',
      (state) => renamed(state, '#key\r\nSet-Cookie: a=b'),
      'entry.state.capabilityInvocation[0]',
    ],
  ])('with %s is refused', async (_, change, field) => {
    const log = acme.agent(fresh('agent'), undefined, { state: change });
    const { status, body } = await world.register(acme, log);
    expect([status, body.type]).toEqual([422, 'urn:hermesbridge:control:not-admitted']);
    expect(body.errors.map((error: { field: string }) => error.field)).toContain(field);
    expect((await world.ask(`/v1/agents/${encodeURIComponent(log.did)}`)).status).toBe(404);
  });

  test('names all that is wrong at once', async () => {
    const both = (state: Json) => ({ ...withJwk((jwk) => ({ ...jwk, x: 'short' }))(state), controller: 7 });
    const { body } = await world.register(acme, acme.agent(fresh('agent'), undefined, { state: both }));
    expect(body.errors.map((error: { field: string }) => error.field)).toEqual(
      expect.arrayContaining(['entry.state.controller', `${KEY}`]),
    );
  });

  test('of an operator must have a key to sign with, or it could not write any more', async () => {
    const next = acme.next(acme.log, { state: ({ capabilityInvocation: _, ...state }) => state });
    expect((await world.append(acme, next)).body.errors[0].field).toBe('entry.state.capabilityInvocation');
  });

  function expired(state: Json): Json {
    const [method] = state.verificationMethod as Json[];
    return { ...state, verificationMethod: [{ ...method, expires: '2024-01-01T00:00:00Z' }] };
  }

  function renamed(state: Json, fragment: string): Json {
    const [method] = state.verificationMethod as Json[];
    const id = `${state.id}${fragment}`;
    return { ...state, verificationMethod: [{ ...method, id }], capabilityInvocation: [id] };
  }
});

describe('a place', () => {
  const at = (location: string) => acme.first(location, (did) => stateOf(did, [acme.did], [], []), {});

  test.each([
    ['of another host', 'elsewhere.example:agents:acme:x'],
    ['of another port', 'vault.test%3A9443:agents:acme:x'],
    ['of no kind', `${SPELLED_HOST}:things:acme:x`],
    ['deeper down', `${SPELLED_HOST}:agents:acme:x:y`],
    ['with a capital letter', `${SPELLED_HOST}:agents:acme:Reader`],
    ['with a hyphen at its end', `${SPELLED_HOST}:agents:acme:reader-`],
    ['with a name that is too long', `${SPELLED_HOST}:agents:acme:${'a'.repeat(64)}`],
    ['of the other kind', `${SPELLED_HOST}:operators:x`],
  ])('%s is refused', async (_, location) => {
    const { status, body } = await world.post(acme, '/v1/agents', bodyOf(at(location)));
    expect([status, body.errors[0].field]).toEqual([422, 'entry.state.id']);
  });

  test('with line breaks in its name is refused, and they reach no header', async () => {
    const log = acme.agent('reader');
    for (const broken of ['x\\r\\nSet-Cookie: a=b', 'x%0d%0aSet-Cookie:a=b', 'x\\u0000', 'x\\u001b[31m']) {
      const posted = JSON.stringify({ entry: log.lines[0]?.replaceAll(':agents:acme:reader', `:agents:acme:${broken}`) });
      const { status, headers, text, body } = await world.post(acme, '/v1/agents', posted);
      expect([status, body.errors[0].field]).toEqual([422, 'entry.state.id']);
      expect(headers['set-cookie']).toBeUndefined();
      expect(text).not.toContain('Set-Cookie');
    }
    expect(world.logged.join('').replaceAll('\n', '')).not.toMatch(/Set-Cookie|\p{Cc}/u);
  });
});

describe('an entry', () => {
  const post = (entry: unknown, more: object = {}) => world.post(acme, '/v1/agents', JSON.stringify({ entry, ...more }));
  const changed = (change: (line: string) => string) => post(change(acme.agent(fresh('agent')).lines[0] ?? ''));

  test.each<[string, (line: string) => string, field: string]>([
    ['that is no JSON', () => '{]', 'entry'],
    ['that is a list', () => '[]', 'entry'],
    ['of two lines', (line) => `${line}\n${line}`, 'entry'],
    ['with a member twice', (line) => line.replace('{', '{"versionId":"1-x",'), 'entry'],
    ['with __proto__', (line) => line.replace('"state":{', '"state":{"__proto__":{},'), 'entry'],
    ['without a document', (line) => line.replace('"state"', '"stat"'), 'entry.state'],
    ['without a version', (line) => line.replace('"versionId":"1-', '"versionId":"'), 'entry.versionId'],
    ['of a later version', (line) => line.replace('"versionId":"1-', '"versionId":"2-'), 'entry.versionId'],
    ['whose document was changed', (line) => line.replace('"JsonWebKey"', '"JsonWebKey2020"'), 'entry'],
    ['whose proof is gone', (line) => line.replace(/"proof":\[.*\]/, '"proof":[]'), 'entry'],
    ['of an unknown method', (line) => line.replace('did:webvh:1.0', 'did:webvh:0.5'), 'entry'],
  ])('%s is refused', async (_, change, field) => {
    const { status, body } = await changed(change);
    expect([status, body.type, body.errors[0].field]).toEqual([422, 'urn:hermesbridge:control:not-admitted', field]);
  });

  test.each<[string, Json, field: string]>([
    ['that is not portable', { portable: false }, 'entry.parameters.portable'],
    ['without pre-rotation', { nextKeyHashes: [] }, 'entry.parameters.nextKeyHashes'],
    ['that is dead from the start', { nextKeyHashes: [], deactivated: true }, 'entry.parameters.deactivated'],
  ])('%s is refused', async (_, parameters, field) => {
    const { status, body } = await world.register(acme, acme.agent(fresh('agent'), undefined, { parameters }));
    expect([status, body.errors[0].field]).toEqual([422, field]);
  });

  test('that gives up pre-rotation is refused', async () => {
    const log = acme.agent(fresh('agent'));
    expect((await world.register(acme, log)).status).toBe(201);
    const next = acme.next(log, { parameters: { nextKeyHashes: [] } });
    expect((await world.append(acme, next)).body.errors[0].field).toBe('entry.parameters.nextKeyHashes');
  });

  test('that moves the DID away is refused', async () => {
    const log = acme.agent(fresh('agent'));
    expect((await world.register(acme, log)).status).toBe(201);
    const moved = acme.next(log);
    const line = moved.lines[1]?.replaceAll(SPELLED_HOST, 'elsewhere.example') ?? '';
    const { status, body } = await world.append(acme, { ...moved, lines: [...log.lines, line] });
    expect([status, body.errors[0].field]).toEqual([422, 'entry.state.id']);
  });

  test('that no longer names its operator is refused', async () => {
    const log = acme.agent(fresh('agent'));
    expect((await world.register(acme, log)).status).toBe(201);
    const next = acme.next(log, { state: (state) => ({ ...state, controller: ['did:web:other.example'] }) });
    const { status, body } = await world.append(acme, next);
    expect([status, body.errors[0].field]).toEqual([403, 'entry.state.controller']);
  });

  test('that makes the log larger than gateways read is refused, but for one that ends the DID', async () => {
    const large = (state: Json, at: number) => ({ ...state, alsoKnownAs: [`https://${at}.example/${'a'.repeat(30_000)}`] });
    let log = acme.agent(fresh('agent'), undefined, { state: (state) => large(state, 1) });
    expect((await world.register(acme, log)).status).toBe(201);
    log = acme.next(log, { state: (state) => large(state, 2) });
    expect((await world.append(acme, log)).status).toBe(201);
    const { status, body } = await world.append(acme, acme.next(log));
    expect([status, body.errors[0].field]).toEqual([422, 'entry']);
    expect(body.detail).toContain('65536');
    expect((await world.append(acme, acme.end(log))).status).toBe(201);
  });

  test('and the body around it are of one form', async () => {
    const entry = acme.agent(fresh('agent')).lines[0];
    const wrong: [unknown, object, string][] = [
      [undefined, {}, 'entry'],
      [7, {}, 'entry'],
      [entry, { more: 1 }, 'more'],
      [entry, { 'a<b>é': 1 }, 'a?b??'],
      [entry, { witness: 7 }, 'witness'],
    ];
    for (const [value, more, field] of wrong) {
      const { status, body } = await post(value, more);
      expect([status, body.type, body.errors[0].field]).toEqual([422, 'urn:hermesbridge:control:invalid-body', field]);
    }
    expect((await post(entry, { witness: '[{' })).status).toBe(422);
  });

  test('in a body that is ambiguous is not read at all', async () => {
    for (const body of ['{"entry":"a","entry":"b"}', '{', '[', '\ufeff{}', '{"entry":"a"} x']) {
      const { status, body: problem } = await world.post(acme, '/v1/agents', body);
      expect([status, problem.type]).toEqual([400, 'urn:hermesbridge:control:malformed-request']);
    }
    expect((await world.post(acme, '/v1/agents', bodyOf(acme.agent(fresh('fine'))))).status).toBe(201);
  });
});

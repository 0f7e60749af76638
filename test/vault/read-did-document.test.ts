// Documents with keys that hold and keys that do not (docs/threat-model.md E10, E11).

import { base58 } from '@scure/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { generatePrivateKey } from '../../src/crypto/private-key.ts';
import { type DidDocument, UnknownDid } from '../../src/vault/did-document.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { findDocumentProblems, readDidDocument, thumbprintsIn } from '../../src/vault/read-did-document.ts';
import { keyOf } from '../keys.ts';

const DID = 'did:webvh:QmfJkHg95gQdGDCwGPaS3NXjbEUYKWj9fkA5ef3fi3ciW1:vault.example:agents:acme:one';
const OPERATOR = 'did:webvh:QmT7ruwUB3Et3hHCu6k7L2eeNhTGeKkc2NXNTEYVMyhtz1:vault.example:operators:acme';
const key = keyOf('agent').publicKey;
const other = keyOf('other', 'ES256').publicKey;

const method = (changes: object = {}) => ({
  id: `${DID}#key-1`,
  type: 'JsonWebKey',
  controller: DID,
  publicKeyJwk: key.jwk,
  ...changes,
});

const documentWith = (changes: object = {}, methodChanges: object = {}) => ({
  '@context': ['https://www.w3.org/ns/did/v1'],
  id: DID,
  controller: OPERATOR,
  verificationMethod: [method(methodChanges)],
  capabilityInvocation: [`${DID}#key-1`],
  ...changes,
});

function keysIn(document: unknown) {
  return readDidDocument(DID, document).verificationMethods.map(({ id, key, purposes }) => ({
    id: id.slice(DID.length),
    jkt: key.jkt,
    purposes: [...purposes],
  }));
}

const invoking = [{ id: '#key-1', jkt: key.jkt, purposes: ['capabilityInvocation'] }];

describe('what holds', () => {
  test('a document as the vault publishes it', () => {
    const document: DidDocument = readDidDocument(DID, documentWith(), '1-Qm');
    expect(document).toMatchObject({ did: DID, controller: [OPERATOR], versionId: '1-Qm' });
    expect(keysIn(documentWith())).toEqual(invoking);
    expect(findDocumentProblems(DID, documentWith())).toEqual([]);
  });

  test.each<[string, object]>([
    ['a JsonWebKey', {}],
    ['the older name of its type', { type: 'JsonWebKey2020' }],
    ['a Multikey', { type: 'Multikey', publicKeyJwk: undefined, publicKeyMultibase: didKeyOf(key).slice('did:key:'.length) }],
    ['a relative id', { id: '#key-1' }],
    ['members that say nothing here', { purpose: 'authentication', note: 1 }],
  ])('%s', (_, changes) => {
    const document = JSON.parse(JSON.stringify(documentWith({}, changes))) as unknown;
    expect(keysIn(document)).toEqual(invoking);
    expect(findDocumentProblems(DID, document)).toEqual([]);
  });

  test('a relative reference, an embedded method, and each purpose by its own list', () => {
    const document = documentWith({
      capabilityInvocation: ['#key-1'],
      assertionMethod: [`${DID}#key-1`, method({ id: '#key-2', publicKeyJwk: other.jwk })],
      authentication: [method({ id: '#key-3', publicKeyJwk: keyOf('third').publicKey.jwk })],
    });
    expect(keysIn(document)).toEqual([
      { ...invoking[0], purposes: ['capabilityInvocation', 'assertionMethod'] },
      { id: '#key-2', jkt: other.jkt, purposes: ['assertionMethod'] },
    ]);
    expect(findDocumentProblems(DID, document)).toEqual([]);
  });

  test.each<[string, unknown, readonly string[]]>([
    ['one', OPERATOR, [OPERATOR]],
    ['a list', [OPERATOR, DID], [OPERATOR, DID]],
    ['an empty list', [], []],
    ['nobody named', undefined, []],
  ])('controllers: %s', (_, controller, expected) => {
    expect(readDidDocument(DID, documentWith({ controller })).controller).toEqual(expected);
  });

  test('an end to a key', () => {
    const [read] = readDidDocument(DID, documentWith({}, { expires: '2027-01-01T00:00:00Z' })).verificationMethods;
    expect(read?.expires).toBe(Date.parse('2027-01-01T00:00:00Z'));
  });

  test('a document without keys', () => {
    expect(keysIn({ id: DID })).toEqual([]);
    expect(findDocumentProblems(DID, { id: DID })).toEqual([]);
  });
});

describe('a document that is not read at all', () => {
  const many = Array.from({ length: 65 }, (_, at) => method({ id: `#key-${at}` }));
  test.each<[string, unknown, string]>([
    ['of another DID', documentWith({ id: OPERATOR }), 'id: is not the DID'],
    ['without an id', documentWith({ id: undefined }), 'id: is not the DID'],
    ['with a DID URL as its id', documentWith({ id: `${DID}#` }), 'id: is not the DID'],
    ['nothing', undefined, 'id: is not the DID'],
    ['null', null, 'id: is not the DID'],
    ['a list', [documentWith()], 'id: is not the DID'],
    ['text', JSON.stringify(documentWith()), 'id: is not the DID'],
    ['with a controller that is no DID', documentWith({ controller: 'acme' }), 'controller: '],
    ['with a controller that is no text', documentWith({ controller: { id: OPERATOR } }), 'controller: '],
    ['with one that is no DID among controllers', documentWith({ controller: [OPERATOR, 1] }), 'controller: '],
    ['with a null controller', documentWith({ controller: null }), 'controller: '],
    ['with too many controllers', documentWith({ controller: Array(33).fill(OPERATOR) }), 'controller: '],
    ['with methods that are no list', documentWith({ verificationMethod: method() }), 'verificationMethod: is not a list'],
    ['with too many methods', documentWith({ verificationMethod: many }), 'verificationMethod: has more than 64'],
    [
      'with a purpose that is no list',
      documentWith({ capabilityInvocation: `${DID}#key-1` }),
      'capabilityInvocation: is not a list',
    ],
    [
      'with too many of a purpose',
      documentWith({ assertionMethod: Array(129).fill('#key-1') }),
      'assertionMethod: has more than 128',
    ],
    [
      'with two methods of one id',
      documentWith({ verificationMethod: [method(), method({ publicKeyJwk: other.jwk })] }),
      'verificationMethod[1].id: is that of another',
    ],
    [
      'with two spellings of one id',
      documentWith({ verificationMethod: [method(), method({ id: '#key-1', publicKeyJwk: other.jwk })] }),
      'verificationMethod[1].id: is that of another',
    ],
    [
      'with an embedded method of an id that is there',
      documentWith({ assertionMethod: [method({ publicKeyJwk: other.jwk })] }),
      'assertionMethod[0].id: is that of another',
    ],
  ])('%s', (_, document, message) => {
    expect(() => readDidDocument(DID, document)).toThrow(UnknownDid);
    expect(() => readDidDocument(DID, document)).toThrow(message);
    expect(findDocumentProblems(DID, document)[0]).toContain(message);
  });
});

describe('a key that does not hold, in a document that does', () => {
  const x25519 = { kty: 'OKP', crv: 'X25519', x: 'L-V9o0fNYkMVKNqsX7spBzD_9oSvxM_C7ZCZX1jLO3Q' };
  const multikey = (codec: number[], bytes: Buffer) => ({
    type: 'Multikey',
    publicKeyJwk: undefined,
    publicKeyMultibase: `z${base58.encode(Buffer.concat([Buffer.from(codec), bytes]))}`,
  });
  const cases: [string, object, string][] = [
    ['for key agreement', { publicKeyJwk: x25519 }, 'publicKeyJwk: unsupported key type'],
    ['of secp256k1', { publicKeyJwk: { kty: 'EC', crv: 'secp256k1', x: 'a', y: 'b' } }, 'publicKeyJwk: unsupported key type'],
    [
      'of small order',
      { publicKeyJwk: { ...key.jwk, x: Buffer.alloc(32).toString('base64url') } },
      'publicKeyJwk: the key is a small-order point of Ed25519',
    ],
    [
      'not canonical',
      { publicKeyJwk: { ...key.jwk, x: `${'_'.repeat(42)}8` } },
      'publicKeyJwk: the key is not a canonically encoded point',
    ],
    ['off the curve', { publicKeyJwk: { ...other.jwk, y: other.jwk.x } }, 'publicKeyJwk: the key is not a point of P-256'],
    [
      'of weak RSA',
      { publicKeyJwk: { kty: 'RSA', n: Buffer.alloc(256, 0xff).toString('base64url'), e: 'AQAB' } },
      'RSA of 2048 bits is too weak',
    ],
    ['of polymorphic EdDSA', { publicKeyJwk: { ...key.jwk, alg: 'EdDSA' } }, 'publicKeyJwk: "alg"'],
    ['without a key', { publicKeyJwk: undefined }, 'publicKeyJwk: a JWK is an object'],
    ['for encryption', { publicKeyJwk: { ...key.jwk, use: 'enc' } }, 'not for signatures'],
    ['that is given away', { publicKeyJwk: { ...key.jwk, d: key.jwk.x } }, 'publicKeyJwk: has private key material'],
    ['beside its secret', { secretKeyMultibase: 'z' }, 'secretKeyMultibase: has private key material'],
    ['beside its private JWK', { privateKeyJwk: {} }, 'privateKeyJwk: has private key material'],
    ['of an unknown type', { type: 'Ed25519VerificationKey2018', publicKeyBase58: 'x' }, 'type: is not supported'],
    ['without a type', { type: undefined }, 'type: is not supported'],
    [
      'of two materials',
      { publicKeyMultibase: didKeyOf(other).slice('did:key:'.length) },
      'type: has key material of another type',
    ],
    ['of an older material as well', { publicKeyPem: 'x' }, 'type: has key material of another type'],
    ['as a Multikey of small order', multikey([0xed, 1], Buffer.alloc(32)), 'publicKeyMultibase: the key is a small-order point'],
    [
      'as a Multikey of X25519',
      multikey([0xec, 1], Buffer.alloc(32, 9)),
      'publicKeyMultibase: the Multikey of an unsupported key type',
    ],
    [
      'as a Multikey that is no base58',
      { ...multikey([], Buffer.alloc(1)), publicKeyMultibase: 'z0' },
      'publicKeyMultibase: the Multikey is not base58btc',
    ],
    [
      'as a Multikey that is no text',
      { ...multikey([], Buffer.alloc(1)), publicKeyMultibase: 1 },
      'publicKeyMultibase: the Multikey is not a string',
    ],
    ['of another controller', { controller: OPERATOR }, 'controller: is not the DID'],
    ['without a controller', { controller: undefined }, 'controller: is not the DID'],
    ['that ends at no time', { expires: 'soon' }, 'expires: is not a time'],
    ['that ends at a number', { expires: 1 }, 'expires: is not a time'],
    ['that ends at a local time', { expires: '2027-01-01T00:00:00' }, 'expires: is not a time'],
    ['that ends in another zone', { expires: '2027-01-01T00:00:00+02:00' }, 'expires: is not a time'],
    ['that ends on no day', { expires: '2027-02-31T00:00:00Z' }, 'expires: is not a time'],
    ['that is revoked at no time', { revoked: true }, 'revoked: is not a time'],
  ];

  test.each(cases)('%s', (_, changes, message) => {
    const good = { id: '#key-2', jkt: other.jkt, purposes: ['assertionMethod'] };
    const document = {
      ...documentWith({}, changes),
      verificationMethod: [method(changes), method({ id: '#key-2', publicKeyJwk: other.jwk })],
      assertionMethod: ['#key-2'],
    };
    expect(keysIn(document)).toEqual([good]);
    const problems = findDocumentProblems(DID, document);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('verificationMethod[0].');
    expect(problems[0]).toContain(message);
  });

  test('one that is revoked, in the past or the future, is left out and is no mistake', () => {
    for (const revoked of ['2020-01-01T00:00:00Z', '2999-01-01T00:00:00Z']) {
      expect(keysIn(documentWith({}, { revoked }))).toEqual([]);
      expect(findDocumentProblems(DID, documentWith({}, { revoked }))).toEqual([]);
    }
  });

  test('one that stands under neither purpose is not looked at, unless it is given away', () => {
    const document = (changes: object) => ({
      ...documentWith(),
      verificationMethod: [method(), method({ id: '#key-2', ...changes })],
      authentication: ['#key-2'],
      keyAgreement: ['#key-2'],
    });
    for (const changes of [{}, { publicKeyJwk: x25519 }, { type: 'unknown' }, { controller: OPERATOR }]) {
      expect(keysIn(document(changes))).toEqual(invoking);
      expect(findDocumentProblems(DID, document(changes))).toEqual([]);
    }
    expect(findDocumentProblems(DID, document({ publicKeyJwk: { ...x25519, d: x25519.x } }))).toEqual([
      'verificationMethod[1].publicKeyJwk: has private key material',
    ]);
  });

  test('one that is not valid keeps a document from being registered, whatever it is for, and is found among its keys', () => {
    const weak = { kty: 'OKP', crv: 'Ed25519', x: 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' };
    const added = method({ id: '#key-2', publicKeyJwk: weak });
    for (const holder of ['verificationMethod', 'authentication', 'keyAgreement', 'capabilityDelegation']) {
      const document = { ...documentWith(), [holder]: [...(holder === 'verificationMethod' ? [method()] : []), added] };
      expect(keysIn(document)).toEqual(invoking);
      expect(findDocumentProblems(DID, document)).toEqual([expect.stringContaining('small-order')]);
    }
    const good = generatePrivateKey('Ed25519').publicKey;
    const document = {
      ...documentWith(),
      authentication: [method({ id: '#key-2', publicKeyJwk: good.jwk, revoked: '2020-01-01T00:00:00Z' })],
    };
    expect(findDocumentProblems(DID, document)).toEqual([]);
    expect(thumbprintsIn(document)).toContain(good.jkt);
    expect(thumbprintsIn(document)).toHaveLength(2);
  });

  test.each<[string, unknown]>([
    ['a method that is not there', '#key-9'],
    ['a method of another DID', `${OPERATOR}#key-1`],
    ['a method of a DID that begins alike', `${DID}2#key-1`],
    ['the DID itself', DID],
    ['an empty fragment', '#'],
    ['a fragment with white space', '# key-1'],
  ])('a purpose that names %s', (_, reference) => {
    expect(keysIn(documentWith({ capabilityInvocation: [reference] }))).toEqual([]);
    expect(findDocumentProblems(DID, documentWith({ capabilityInvocation: [reference] }))).toEqual([
      'capabilityInvocation[0]: is no verification method of the document',
    ]);
  });

  test.each<[string, unknown]>([
    ['a number', 1],
    ['null', null],
    ['a list', []],
    ['a method without an id', { ...method(), id: undefined }],
    ['a method with the id of another DID', method({ id: `${OPERATOR}#key-7` })],
  ])('a purpose with %s embedded in it', (_, embedded) => {
    expect(keysIn(documentWith({ assertionMethod: [embedded] }))).toEqual(invoking);
    expect(findDocumentProblems(DID, documentWith({ assertionMethod: [embedded] }))).toEqual([
      'assertionMethod[0].id: is not the DID with a fragment',
    ]);
  });
});

describe('anything at all', () => {
  test('is a document, or an UnknownDid, and its problems have a field each', () => {
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.record({
        id: fc.constant(DID),
        verificationMethod: fc.jsonValue(),
        capabilityInvocation: fc.jsonValue(),
        controller: fc.jsonValue(),
      }),
      fc.record({
        id: fc.constant(DID),
        verificationMethod: fc.array(fc.oneof(fc.jsonValue(), fc.constant(method()))),
        assertionMethod: fc.array(fc.oneof(fc.jsonValue(), fc.constant('#key-1'))),
      }),
    );
    fc.assert(
      fc.property(anything, (document) => {
        const problems = findDocumentProblems(DID, document);
        for (const problem of problems) expect(problem).toMatch(/^[\w.[\]]+: [ -~]+$/);
        try {
          readDidDocument(DID, document);
        } catch (error) {
          expect(error).toBeInstanceOf(UnknownDid);
          expect(problems.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

// Logs of did:webvh and DID documents of others: the suite of the Decentralized Identity Foundation through the verifier, and the
// documents of the did:key suite through the reader of documents. identifiers.test.ts has the identifiers themselves.

import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { findDocumentProblems, readDidDocument } from '../../src/vault/read-did-document.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { InvalidLog, type VerifiedLog } from '../../src/vault/webvh/verified-log.ts';
import { describeShared, readShared } from './vectors.ts';

interface Case {
  readonly id: string;
  readonly did: string;
  readonly versionNumber?: number | null;
  readonly log: string | null;
  readonly witness: string | null;
  readonly result?: string | null;
  readonly expect: 'valid' | 'deactivated' | 'invalid' | 'disputed';
  readonly note?: string;
}

describeShared('did:webvh logs', () => {
  const verifier = LogVerifier.start();
  afterAll(() => verifier.close());

  const cases = readShared<readonly Case[]>('did/webvh/cases.json');
  const of = (...verdicts: Case['expect'][]) => cases.filter(({ expect: verdict }) => verdicts.includes(verdict));

  const text = (path: string) => readFileSync(new URL(`../../../shared/vectors/did/webvh/${path}`, import.meta.url), 'utf8');

  function verify({ did, log, witness, versionNumber }: Case): Promise<VerifiedLog> {
    return verifier.verify({
      did,
      log: log === null ? '' : text(log),
      witness: witness === null ? undefined : text(witness),
      now: Date.now(),
      select: typeof versionNumber === 'number' ? { versionNumber } : undefined,
    });
  }

  /** The documents of the suite have services that no log says: each implementation adds others. */
  function withoutServices({ service: _, ...document }: Record<string, unknown>) {
    return document;
  }

  test('there are enough of them', () => {
    expect(of('valid').length).toBeGreaterThanOrEqual(26);
    expect(of('invalid').length).toBeGreaterThanOrEqual(10);
    expect(of('deactivated')).toHaveLength(2);
  });

  test.each(of('valid'))('$id verifies, with the document that its authors had', async (one) => {
    const log = await verify(one);
    expect(log).toMatchObject({ did: one.did, deactivated: false });
    const { didDocument } = readShared<{ didDocument: Record<string, unknown> }>(`did/webvh/${one.result}`);
    // In two of the suite's files the document is that of another version, as their note says.
    const expected = one.note?.includes('compare the document with the state')
      ? (JSON.parse(text(one.log ?? '').split('\n')[(one.versionNumber ?? 0) - 1] ?? '') as { state: typeof didDocument }).state
      : didDocument;
    expect(withoutServices(log.state)).toEqual(withoutServices(expected));
    expect(readDidDocument(one.did, log.state).did).toBe(one.did);
  });

  test.each(of('deactivated'))('$id verifies as deactivated', async (one) => {
    expect(await verify(one)).toMatchObject({ did: one.did, deactivated: true });
  });

  test.each(of('invalid'))('$id is refused', async (one) => {
    await expect(verify(one)).rejects.toThrow(InvalidLog);
  });

  test.each(of('invalid').filter(({ log }) => log !== null))(
    '$id is refused without a DID to hold it against as well',
    async (one) => {
      await expect(
        verifier.verify({
          did: undefined,
          log: text(one.log ?? ''),
          witness: one.witness === null ? undefined : text(one.witness),
          now: Date.now(),
        }),
      ).rejects.toThrow(InvalidLog);
    },
  );

  test.each(of('disputed'))('$id: implementations disagree, so it is only said what happens here', async (one) => {
    const outcome = await verify(one).then(
      () => 'verifies',
      (error: Error) => error,
    );
    expect(outcome === 'verifies' || outcome instanceof InvalidLog).toBe(true);
  });
});

describeShared('DID documents', () => {
  interface Method {
    readonly type: string;
  }
  interface Document {
    readonly id: string;
    readonly verificationMethod: readonly Method[];
  }
  const documentsIn = (file: string): [string, Document][] =>
    Object.entries(
      readShared<Record<string, { didDocument?: Document } | Record<string, Document>>>(`did/key/${file}.json`),
    ).flatMap(([name, value]): [string, Document][] =>
      name === 'didDocument'
        ? Object.entries(value as Record<string, Document>)
        : [[name, (value as { didDocument: Document }).didDocument]],
    );
  const all = ['ed25519-x25519', 'nist-curves', 'rsa', 'secp256k1', 'x25519'].flatMap(documentsIn);
  const readable = all.filter(
    ([did, { verificationMethod }]) => /^did:key:z(?:6Mk|Dn)/.test(did) && verificationMethod[0]?.type === 'JsonWebKey2020',
  );

  test('there are enough of them', () => {
    expect(readable.length).toBeGreaterThanOrEqual(2);
    expect(all.length).toBeGreaterThanOrEqual(15);
  });

  test.each(readable)('%s holds the key that the DID itself is, for both purposes', (did, document) => {
    const [expected] = resolveSelfDescribing(did).verificationMethods;
    const keys = readDidDocument(did, document).verificationMethods;
    expect(keys.map(({ id, key, purposes }) => [id, key.jkt, purposes])).toEqual([
      [expected?.id, expected?.key.jkt, ['capabilityInvocation', 'assertionMethod']],
    ]);
    expect(findDocumentProblems(did, document)).toEqual([]);
  });

  test.each(all.filter((one) => !readable.includes(one)))(
    '%s holds no key that is used here: another type, another curve, too weak, or for key agreement',
    (did, document) => {
      expect(readDidDocument(did, document).verificationMethods).toEqual([]);
      const agreesOnly = !('capabilityInvocation' in document);
      expect(findDocumentProblems(did, document).length > 0).toBe(!agreesOnly);
    },
  );

  test.each(all)('%s is not the document of another DID', (_, document) => {
    expect(() => readDidDocument('did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWq', document)).toThrow('is not the DID');
  });
});

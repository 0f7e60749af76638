// Project Wycheproof, against the functions that verify requests. What our rules refuse beyond it is said test by test.

import { expect, test } from 'vitest';
import { decodeBase64url } from '../../src/crypto/base64url.ts';
import { type Algorithm, importPublicJwk, KeyError, type PublicKey } from '../../src/crypto/public-key.ts';
import { JsonError, parseStrictJson } from '../../src/crypto/strict-json.ts';
import { verifySignature } from '../../src/crypto/verify-signature.ts';
import { describeShared, readShared } from './vectors.ts';

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly msg: string;
  readonly sig: string;
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

interface Group {
  readonly publicKey: Readonly<Record<string, string>>;
  readonly tests: readonly Vector[];
}

const groupsOf = (file: string) => readShared<{ testGroups: readonly Group[] }>(`wycheproof/${file}`).testGroups;
const base64url = (hex: string | undefined) => Buffer.from(hex ?? '', 'hex').toString('base64url');

/** Hexadecimal with the sign byte that ASN.1 asks for, as a coordinate of 32 bytes. */
const coordinate = (hex: string | undefined) => base64url((hex ?? '').replace(/^0+/, '').padStart(64, '0'));

const jwkOf = {
  ed25519: ({ pk }: Group['publicKey']) => ({ kty: 'OKP', crv: 'Ed25519', x: base64url(pk) }),
  p256: ({ wx, wy }: Group['publicKey']) => ({ kty: 'EC', crv: 'P-256', x: coordinate(wx), y: coordinate(wy) }),
  rsa: ({ modulus }: Group['publicKey']) => ({ kty: 'RSA', n: base64url(modulus?.replace(/^(?:00)+/, '')), e: 'AQAB' }),
};

/** Vectors whose verdict differs from ours, and how many were looked at. */
async function compare(file: string, kind: keyof typeof jwkOf, algorithm: Algorithm, expected?: boolean) {
  const differing: string[] = [];
  let looked = 0;
  for (const { publicKey, tests } of groupsOf(file)) {
    const key = importPublicJwk(jwkOf[kind](publicKey));
    for (const { tcId, comment, msg, sig, result } of tests) {
      const verdict = await verifySignature(key, algorithm, Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex'));
      looked++;
      if (verdict !== (expected ?? result === 'valid')) differing.push(`${tcId} ${comment}: ${result}`);
    }
  }
  return { differing, looked };
}

describeShared('Wycheproof', () => {
  test.each([
    ['ed25519_test.json', 'ed25519', 'Ed25519', 76],
    ['ecdsa_secp256r1_sha256_p1363_test.json', 'p256', 'ES256', 131],
    ['rsa_pss_4096_sha512_mgf1_64_test.json', 'rsa', 'PS512', 90],
  ] as const)('%s: every verdict is ours', async (file, kind, algorithm, count) => {
    expect(await compare(file, kind, algorithm)).toEqual({ differing: [], looked: count });
  });

  test('RSA-PSS with SHA-384: no verdict is valid, since the profile has no such algorithm', async () => {
    expect((await compare('rsa_pss_4096_sha384_mgf1_48_test.json', 'rsa', 'PS512', false)).differing).toEqual([]);
    expect((await compare('rsa_pss_4096_sha384_mgf1_48_test.json', 'rsa', 'PS256', false)).differing).toEqual([]);
  });

  test('RSA of 2048 bits: the key itself is refused, since the profile asks for 3072 at least', () => {
    for (const { publicKey } of groupsOf('rsa_pss_2048_sha256_mgf1_32_test.json')) {
      expect(() => importPublicJwk(jwkOf.rsa(publicKey))).toThrow('RSA of 2048 bits is too weak');
    }
  });

  test.each(['ecdsa_secp384r1_sha384_p1363_test.json', 'ecdsa_secp384r1_sha384_test.json'])(
    '%s: the keys are refused, since P-384 is no key of the profile',
    (file) => {
      for (const { publicKey } of groupsOf(file)) {
        const jwk = { kty: 'EC', crv: 'P-384', x: base64url(publicKey.wx), y: base64url(publicKey.wy) };
        expect(() => importPublicJwk(jwk)).toThrow('unsupported key type');
      }
    },
  );
});

interface JwsVector {
  readonly tcId: number;
  readonly comment: string;
  readonly jws: unknown;
  readonly result: 'valid' | 'invalid';
}

interface JwsGroup {
  readonly comment: string;
  readonly public?: Readonly<Record<string, unknown>>;
  readonly private: Readonly<Record<string, unknown>>;
  readonly tests: readonly JwsVector[];
}

/** The gates of a token, one after another: compact and canonical, strict JSON, one of the four algorithms, the key's own one, the signature. */
async function passes(jws: unknown, key: PublicKey): Promise<boolean> {
  const [header, payload, signature, ...more] = typeof jws === 'string' ? jws.split('.') : [];
  const parts = [header, payload, signature].map((part) => (part === undefined ? undefined : decodeBase64url(part)));
  const [head, , signed] = parts;
  if (more.length > 0 || parts.includes(undefined) || head === undefined || signed === undefined) return false;
  let parsed: unknown;
  try {
    parsed = parseStrictJson(head);
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
  if (typeof parsed !== 'object' || parsed === null || !('alg' in parsed) || 'crit' in parsed) return false;
  const algorithm = key.algorithms.find((candidate) => candidate === parsed.alg);
  return algorithm !== undefined && (await verifySignature(key, algorithm, Buffer.from(`${header}.${payload}`), signed));
}

describeShared('Wycheproof JSON Web Signatures', () => {
  const { testGroups } = readShared<{ testGroups: readonly JwsGroup[] }>('wycheproof/json_web_signature_test.json');

  function keyOf({ public: jwk, private: secret }: JwsGroup): PublicKey | 'refused' {
    try {
      return importPublicJwk(jwk ?? secret);
    } catch (error) {
      if (error instanceof KeyError) return 'refused';
      throw error;
    }
  }

  test('nothing that is invalid passes', async () => {
    const passed: string[] = [];
    for (const group of testGroups) {
      const key = keyOf(group);
      for (const { tcId, comment, jws, result } of group.tests) {
        if (key !== 'refused' && result === 'invalid' && (await passes(jws, key))) passed.push(`${tcId} ${comment}`);
      }
    }
    expect(passed).toEqual([]);
  });

  test('the P-256 keys are admitted, so that all of their vectors were looked at', () => {
    const admitted = testGroups.filter((group) => keyOf(group) !== 'refused');
    expect(admitted.map(({ comment }) => comment)).toEqual(['es256', 'SpecialCaseEs256']);
  });

  test('what is valid there is under keys that the profile refuses: symmetric, RSA of 2048 bits, P-521', () => {
    const valid = testGroups.filter(({ tests }) => tests.some(({ result }) => result === 'valid'));
    expect(valid.length).toBeGreaterThan(10);
    for (const group of valid) expect(keyOf(group)).toBe('refused');
  });
});

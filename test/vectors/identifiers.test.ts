// did:key, did:jwk, thumbprints and JSON Web Tokens of others, against the functions that resolve DIDs and read tokens.

import { expect, test } from 'vitest';
import { decodeBase64url } from '../../src/crypto/base64url.ts';
import { importPublicJwk } from '../../src/crypto/public-key.ts';
import { jwkThumbprint, type PublicJwk } from '../../src/crypto/thumbprint.ts';
import { verifySignature } from '../../src/crypto/verify-signature.ts';
import { parseRootToken, TokenError } from '../../src/token/capability-token.ts';
import { UnknownDid } from '../../src/vault/did-document.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { describeShared, readShared } from './vectors.ts';

describeShared('did:key and did:jwk', () => {
  const derived =
    readShared<readonly { did: string; expect: string; why?: string; jwk?: PublicJwk }[]>('did/key-jwk-derived.json');

  test.each(derived.map(({ did, expect: verdict, why = '', jwk }) => [did.slice(0, 40), verdict, why, did, jwk] as const))(
    '%s is %s %s',
    (_, verdict, __, did, jwk) => {
      // `policy`: a key whose use is encryption, which may not sign here.
      if (verdict !== 'valid') expect(() => resolveSelfDescribing(did)).toThrow(UnknownDid);
      else expect(resolveSelfDescribing(did).verificationMethods[0]?.key.jwk).toEqual(jwk);
    },
  );

  const [x25519, p256] = readShared<readonly { did: string; jwk: PublicJwk }[]>('did/jwk/spec-examples.json');

  test('the specification’s did:jwk of a P-256 key', () => {
    const { kty, crv, x, y } = p256?.jwk ?? {};
    expect(resolveSelfDescribing(p256?.did ?? '').verificationMethods[0]?.key.jwk).toEqual({ kty, crv, x, y });
  });

  test('the specification’s did:jwk of an X25519 key is refused, since it cannot sign', () => {
    expect(() => resolveSelfDescribing(x25519?.did ?? '')).toThrow(UnknownDid);
  });

  const didsIn = (file: string) =>
    Object.keys(readShared<Record<string, unknown>>(`did/key/${file}.json`)).filter((name) => name.startsWith('did:'));

  test.each(didsIn('ed25519-x25519'))('%s resolves', (did) => {
    expect(resolveSelfDescribing(did).verificationMethods[0]?.key.algorithms).toEqual(['Ed25519']);
  });

  interface CurveEntry {
    readonly verificationMethod?: { readonly publicKeyJwk?: PublicJwk };
  }
  const curves = Object.entries(readShared<Record<string, CurveEntry>>('did/key/nist-curves.json'));

  test.each(curves.filter(([did]) => did.startsWith('did:key:zDn')))(
    '%s is the P-256 key that its document says',
    (did, entry) => {
      const { jwk } = resolveSelfDescribing(did).verificationMethods[0]?.key ?? {};
      expect(jwk?.crv).toBe('P-256');
      const said = entry.verificationMethod?.publicKeyJwk;
      if (said !== undefined) expect(jwk).toEqual({ kty: said.kty, crv: said.crv, x: said.x, y: said.y });
    },
  );

  test.each([
    ...curves.filter(([did]) => !did.startsWith('did:key:zDn')).map(([did]) => ['P-384 or P-521', did]),
    ...didsIn('secp256k1').map((did) => ['secp256k1', did]),
    ...Object.keys(readShared<{ didDocument: Record<string, unknown> }>('did/key/x25519.json').didDocument).map((did) => [
      'X25519',
      did,
    ]),
    ...didsIn('rsa').map((did) => ['RSA of 2048 bits', did]),
  ])('a key that the profile does not have is refused: %s', (_, did) => {
    expect(() => resolveSelfDescribing(did ?? '')).toThrow(UnknownDid);
  });
});

describeShared('thumbprints', () => {
  const cases = readShared<readonly { name: string; jwk: string; thumbprint: string }[]>(
    'web-bot-auth/jwk-thumbprint-vectors.json',
  );
  test.each(cases.map(({ name, jwk, thumbprint }) => [name, jwk, thumbprint]))('%s', (_, jwk = '', thumbprint) => {
    expect(jwkThumbprint(JSON.parse(jwk) as PublicJwk)).toBe(thumbprint);
  });
});

describeShared('JSON Web Tokens', () => {
  const { cases } = readShared<{ cases: readonly { id: string; token: string; expect: string; why?: string }[] }>(
    'jwt/cases.json',
  );

  test.each(cases.map(({ id, expect: verdict, token }) => [id, verdict, token] as const))(
    '%s (%s as a JWT) is no capability: another type, another header, other claims',
    (_, __, token) => {
      expect(() => parseRootToken(token)).toThrow(TokenError);
    },
  );

  test.each(['padding', 'std-base64-sig', 'leading-space', 'two-parts', 'four-parts'])(
    '%s is refused for its spelling alone',
    (id) => {
      const token = cases.find((one) => one.id === id)?.token ?? '';
      const parts = token.split('.');
      expect(parts.length === 3 && parts.every((part) => decodeBase64url(part) !== undefined)).toBe(false);
    },
  );

  interface Example {
    readonly input: { readonly key: Record<string, unknown> };
    readonly signing: { readonly 'sig-input': string; readonly sig: string };
  }

  test('RFC 8037’s Ed25519 example verifies', async () => {
    const { input, signing } = readShared<Example>('jwt/cookbook/rfc8037-ed25519.json');
    const { d: _, ...jwk } = input.key;
    expect(
      await verifySignature(
        importPublicJwk(jwk),
        'Ed25519',
        Buffer.from(signing['sig-input']),
        Buffer.from(signing.sig, 'base64url'),
      ),
    ).toBe(true);
  });
});

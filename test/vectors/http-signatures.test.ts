// RFC 9421's own examples and cases derived from them, RFC 9530's digests, RFC 9651's fields, against the functions that read requests.

import { expect, test } from 'vitest';
import { digestMatches, parseContentDigest } from '../../src/crypto/content-digest.ts';
import { type Algorithm, importPublicJwk } from '../../src/crypto/public-key.ts';
import { isSupportedComponent, signatureBase } from '../../src/crypto/signature-base.ts';
import { parseByteSequences, parseSignatureInput, parseStringList } from '../../src/crypto/structured-fields.ts';
import { verifySignature } from '../../src/crypto/verify-signature.ts';
import { describeShared, readShared } from './vectors.ts';

interface SignatureCase {
  readonly id: string;
  readonly message: {
    readonly headers: readonly (readonly [string, string])[];
    readonly kind: string;
    readonly method?: string;
    readonly url?: string;
    readonly body?: string;
  };
  readonly label: string;
  readonly keyid: string;
  readonly alg: string;
  readonly signature_base: string | null;
  readonly expect: 'valid' | 'invalid';
  readonly why: string;
}

/** Cases about the age of a signature, its key or its coverage, all of which the profile asks for in rows 3 and 4 and not of the bare signature. */
const OF_POLICY = new Set([
  'ed-body-changed',
  'ed-too-old',
  'ed-created-in-future',
  'ed-expired',
  'ed-no-created',
  'ed-path-authority-not-covered',
  'ed-nothing-covered',
  'ed-alg-param-confusion',
  'ed-unknown-keyid',
  'ed-duplicate-component',
]);

/** Valid, and refused here: a field on two lines is covered, and the profile takes one line for each covered field. */
const TWO_LINES = new Set(['rfc9421-b4-transform-0', 'rfc9421-b4-transform-1']);

function read({ message, label }: SignatureCase) {
  const fields = new Map<string, string[]>();
  for (const [name, value] of message.headers)
    fields.set(name.toLowerCase(), [...(fields.get(name.toLowerCase()) ?? []), value.trim()]);
  const url = new URL(message.url ?? 'https://response.example/');
  const request = { method: message.method ?? '', authority: url.host, path: url.pathname, query: url.search || '?', fields };
  const member = parseSignatureInput(fields.get('signature-input')?.join(', ') ?? '').get(label);
  const signatures = attempt(() => parseByteSequences(fields.get('signature')?.join(', ') ?? ''));
  return { request, member, signature: signatures === 'refused' ? undefined : signatures.get(label) };
}

function attempt<T>(call: () => T): T | 'refused' {
  try {
    return call();
  } catch {
    return 'refused';
  }
}

describeShared('RFC 9421', () => {
  const cases = readShared<readonly SignatureCase[]>('httpsig/cases.json');
  const { keys } = readShared<{ keys: readonly Record<string, string>[] }>('httpsig/keys.jwks.json');
  const algorithms: Readonly<Record<string, Algorithm>> = { ed25519: 'Ed25519', 'ecdsa-p256-sha256': 'ES256' };

  const keyOf = (keyid: string) => {
    const found = keys.find(({ kid }) => kid === keyid) ?? {};
    return Object.fromEntries(Object.entries(found).filter(([name]) => ['kty', 'crv', 'x', 'y', 'n', 'e'].includes(name)));
  };
  const plain = cases.filter(({ message, ...rest }) => {
    const { member } = read({ message, ...rest });
    return (
      message.kind === 'request' && member?.irregular === undefined && member?.components.every(isSupportedComponent) === true
    );
  });

  test('most examples are of requests and of components that the profile has', () => {
    expect(plain.length).toBeGreaterThan(20);
  });

  test.each(plain.filter(({ signature_base }) => signature_base !== null).map((one) => [one.id, one] as const))(
    '%s: the signature base is the published one',
    (_, one) => {
      const { request, member } = read(one);
      const result = signatureBase(request, member?.components ?? [], member?.signatureParams ?? '');
      expect('base' in result && result.base.toString('latin1')).toBe(one.signature_base);
    },
  );

  const verifiable = plain.filter(({ alg, id }) => alg in algorithms && !OF_POLICY.has(id) && !TWO_LINES.has(id));
  test.each(verifiable.map((one) => [one.id, one.expect, one] as const))('%s is %s', async (_, __, one) => {
    const { request, member, signature } = read(one);
    const result = signatureBase(request, member?.components ?? [], member?.signatureParams ?? '');
    const key = importPublicJwk(keyOf(one.keyid));
    const verdict =
      'base' in result &&
      signature !== undefined &&
      (await verifySignature(key, algorithms[one.alg] ?? 'PS512', result.base, signature));
    expect(verdict).toBe(one.expect === 'valid');
  });

  test.each(cases.filter(({ id }) => TWO_LINES.has(id)).map((one) => [one.id, one] as const))(
    '%s is refused, since it covers a field on two lines, and verifies with the two joined',
    async (_, one) => {
      const { request, member, signature } = read(one);
      const { components = [], signatureParams = '' } = member ?? {};
      expect(signatureBase(request, components, signatureParams)).toEqual({ missing: 'accept' });
      const fields = new Map([...request.fields].map(([name, lines]) => [name, [lines.join(', ')]]));
      const result = signatureBase({ ...request, fields }, components, signatureParams);
      const key = importPublicJwk(keyOf(one.keyid));
      expect('base' in result && signature && (await verifySignature(key, 'Ed25519', result.base, signature))).toBe(true);
    },
  );

  test.each(cases.filter(({ id }) => OF_POLICY.has(id)).map((one) => [one.id, one] as const))(
    '%s would verify or not, but is the profile’s to deny: it has no tag, and parameters or coverage that row 3 refuses',
    (_, one) => {
      expect(one.expect).toBe('invalid');
      expect(read(one).member?.parameters.get('tag')).not.toBe('agent-cap');
    },
  );

  test.each(['test-key-rsa', 'test-key-rsa-pss'])(
    '%s has 2048 bits, so that the profile refuses it with all that it signed',
    (keyid) => {
      expect(() => importPublicJwk(keyOf(keyid))).toThrow('RSA of 2048 bits is too weak');
    },
  );

  test('test-shared-secret is symmetric, and so no key of the profile', () => {
    expect(() => importPublicJwk(keyOf('test-shared-secret'))).toThrow();
  });
});

describeShared('RFC 9530', () => {
  const cases =
    readShared<readonly { body: string; header: string; expect: string; why?: string }[]>('httpsig/content-digest.json');

  test.each(
    cases.map(({ header, expect: verdict, why = '', body }) => [header.slice(0, 60), verdict, why, header, body] as const),
  )('%s is %s %s', (_, verdict, __, header, body) => {
    let matches: boolean;
    try {
      matches = digestMatches(parseContentDigest(header), Buffer.from(body));
    } catch {
      matches = false;
    }
    expect(matches).toBe(verdict === 'valid');
  });
});

interface FieldCase {
  readonly name: string;
  readonly raw: readonly string[];
  readonly header_type: string;
  readonly expected?: readonly unknown[];
  readonly must_fail?: boolean;
  readonly can_fail?: boolean;
}

describeShared('RFC 9651', () => {
  const casesOf = (file: string) =>
    readShared<readonly FieldCase[]>(`structured-fields/${file}.json`)
      .filter(({ can_fail }) => can_fail !== true)
      .map((one) => [one.name, one.must_fail === true ? 'refused' : 'read', one] as const);

  test.each(casesOf('string'))('a String, %s: %s', (_, __, { raw, must_fail, expected }) => {
    const [value] = (expected ?? []) as [string];
    expect(attempt(() => parseStringList(raw.join(', ')))).toEqual(must_fail === true ? 'refused' : [value]);
  });

  test.each(casesOf('binary'))('a Byte Sequence, %s: %s', (_, __, { raw, must_fail, expected }) => {
    const read = attempt(() => parseByteSequences(`a=${raw.join(', ')}`));
    const [{ value }] = (expected ?? [{ value: '' }]) as [{ value: string }];
    if (must_fail === true) expect(read).toBe('refused');
    else expect(read).toEqual(new Map([['a', fromBase32(value)]]));
  });

  test.each([...casesOf('dictionary'), ...casesOf('param-dict')])('a Dictionary, %s: %s', (_, verdict, { raw, expected }) => {
    const names = ((expected ?? []) as [string, [unknown, unknown]][]).map(([name]) => name);
    for (const parse of [parseByteSequences, parseSignatureInput]) {
      const read = attempt(() => parse(raw.join(', ')));
      if (verdict === 'refused') expect(read).toBe('refused');
      else expect(read === 'refused' ? read : [...read.keys()].every((name) => names.includes(name))).toBe(true);
    }
  });
});

function fromBase32(text: string): Buffer {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...text.replace(/=+$/, '')].map((character) => alphabet.indexOf(character).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

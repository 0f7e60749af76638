// The closed form of a root token (profile section 3). Nothing is verified here, so the tokens are not signed.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRootToken, TokenError } from '../../src/token/capability-token.ts';
import { keyOf } from '../keys.ts';

const header = { alg: 'Ed25519', typ: 'agent-cap+jwt', kid: 'did:key:z6Mk#z6Mk' };
const details = { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'] };
const claims = {
  iss: 'did:key:z6MkOperator',
  sub: 'did:key:z6MkOperator',
  client_id: 'did:key:z6MkAgent',
  aud: 'gateway.example',
  iat: 1_767_225_600,
  exp: 1_767_312_000,
  jti: 'AAAAAAAAAAAAAAAAAAAAAA',
  cnf: { jwk: { ...keyOf('agent').publicKey.jwk, alg: 'Ed25519' } },
  del_depth: 0,
  del_max_depth: 5,
  authorization_details: [details],
};

const part = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const compact = (head: unknown, body: unknown, signature = 'AAAA') => `${part(head)}.${part(body)}.${signature}`;
const withClaims = (changes: object) => compact(header, { ...claims, ...changes });

test('a token in form is read', () => {
  const token = parseRootToken(compact(header, claims));
  expect(token).toMatchObject({ header, untrustedClaims: claims, algorithm: 'Ed25519' });
  expect(token.untrustedKey.jkt).toBe(keyOf('agent').publicKey.jkt);
});

test('a claim that a root may carry beside (RFC 7519) does no harm', () => {
  expect(parseRootToken(withClaims({ sid: 's', task: 't', nbf: 1, scope: 'x' })).untrustedClaims.sid).toBe('s');
});

describe('the compact form', () => {
  const good = compact(header, claims);
  test.each([
    ['empty', ''],
    ['two parts', good.split('.').slice(0, 2).join('.')],
    ['four parts', `${good}.AAAA`],
    ['no signature', `${part(header)}.${part(claims)}.`],
    ['padding', `${good}==`],
    ['white space before', ` ${good}`],
    ['a line end behind', `${good}\n`],
    ['the other base64 alphabet', `${good}+/`],
    ['trailing bits in the signature', `${good.slice(0, -4)}AB`],
    ['a header that is no JSON', compact('{', claims)],
    ['a header that is an array', compact([], claims)],
    ['claims that are no JSON', compact(header, 'x')],
    ['claims that are null', compact(header, 'null')],
    ['claims in UTF-16', `${part(header)}.${Buffer.from('{}', 'utf16le').toString('base64url')}.AAAA`],
    ['a claim twice', compact(header, JSON.stringify(claims).replace('{', '{"iss":"did:key:other",'))],
    ['a header parameter twice', compact(JSON.stringify(header).replace('{', '{"alg":"none",'), claims)],
    ['__proto__', compact(header, JSON.stringify(claims).replace('{', '{"__proto__":{},'))],
  ])('refused: %s', (_, text) => {
    expect(() => parseRootToken(text)).toThrow(TokenError);
  });

  test('any text is read or refused, never anything else', () => {
    const pieces = fc.constantFrom(part(header), part(claims), '.', '..', 'AAAA', '=', '{', part('[]'), part('{}'), '\u0000');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((all) => all.join('')),
        ),
        (text) => {
          try {
            parseRootToken(text);
          } catch (error) {
            expect(error).toBeInstanceOf(TokenError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('the header is closed', () => {
  test.each(['crit', 'jku', 'jwk', 'x5u', 'x5c', 'b64', 'cty', 'zip', 'iss'])('"%s" is refused', (name) => {
    expect(() => parseRootToken(compact({ ...header, [name]: [] }, claims))).toThrow(`header "${name}" is not known`);
  });

  test.each(['none', 'NoNe', 'EdDSA', 'HS256', 'RS256', 'ES384', 'PS384', 'ed25519', '', null, 1])('alg %j is refused', (alg) => {
    expect(() => parseRootToken(compact({ ...header, alg }, claims))).toThrow('header "alg"');
  });

  test.each(['JWT', 'at+jwt', 'application/agent-cap+jwt', 'AGENT-CAP+JWT', undefined])('typ %s is refused', (typ) => {
    expect(() => parseRootToken(compact({ ...header, typ }, claims))).toThrow('header "typ"');
  });

  test.each([undefined, '', 1, 'k'.repeat(4601)])('a kid of %s is refused', (kid) => {
    expect(() => parseRootToken(compact({ ...header, kid }, claims))).toThrow('header "kid"');
  });
});

describe('the claims', () => {
  test.each(Object.keys(claims))('"%s" is required', (name) => {
    expect(() => parseRootToken(withClaims({ [name]: undefined }))).toThrow(`claim "${name}`);
  });

  test.each([
    ['iss', 'https://operator.example'],
    ['iss', 'did:KEY:z6Mk'],
    ['sub', ['did:key:z6Mk']],
    ['client_id', 'did:key:a b'],
    ['client_id', `did:key:${'z'.repeat(4200)}`],
    ['aud', ''],
    ['aud', []],
    ['aud', ['a', '']],
    ['aud', Array.from({ length: 17 }, () => 'a')],
    ['aud', 1],
    ['iat', '1767225600'],
    ['exp', 1.5],
    ['exp', -1],
    ['exp', 1e300],
    ['nbf', null],
    ['jti', 'A'.repeat(21)],
    ['jti', 'A'.repeat(257)],
    ['jti', `${'A'.repeat(22)} `],
    ['del_depth', 1],
    ['del_max_depth', 6],
    ['del_max_depth', -1],
    ['par_hash', 'AAAA'],
    ['par_hash', null],
    ['sid', 'a b'],
    ['task', 'x'.repeat(257)],
    ['authorization_details', []],
    ['authorization_details', [details, details]],
    ['authorization_details', details],
    ['cnf', { jwk: claims.cnf.jwk, jkt: 'x' }],
    ['cnf', { jkt: 'x' }],
    ['cnf', { jwk: { ...claims.cnf.jwk, alg: 'EdDSA' } }],
    ['cnf', { jwk: { ...claims.cnf.jwk, alg: undefined } }],
    ['cnf', { jwk: { ...claims.cnf.jwk, alg: 'ES256' } }],
    ['cnf', { jwk: { ...claims.cnf.jwk, d: 'AAAA' } }],
    ['cnf', { jwk: { kty: 'oct', k: 'AAAA', alg: 'Ed25519' } }],
  ])('"%s" of %j is refused', (name, value) => {
    expect(() => parseRootToken(withClaims({ [name]: value }))).toThrow(name === 'cnf' ? 'cnf' : `claim "${name}`);
  });

  test('a name out of the token is cut down to harmless characters', () => {
    const name = '<script>\u001b[31m"'.repeat(20);
    const attempt = () => parseRootToken(withClaims({ authorization_details: [{ ...details, [name]: 1 }] }));
    expect(attempt).toThrow(/^[\x20-\x7e]{1,120}$/);
    expect(attempt).not.toThrow('<');
  });
});

describe('authorization_details is closed', () => {
  const parseDetails = (changes: object) => () =>
    parseRootToken(withClaims({ authorization_details: [{ ...details, ...changes }] }));

  test.each([
    { type: 'payment' },
    { actions: undefined },
    { actions: 'chat' },
    { actions: ['Chat'] },
    { actions: ['*'] },
    { models: ['*'] },
    { models: ['openai'] },
    { models: ['openai/'] },
    { models: ['*/gpt-5'] },
    { models: ['OpenAI/gpt-5'] },
    { models: ['openai/*-mini'] },
    { models: ['openai/gpt-5**'] },
    { models: ['openai/gpt 5'] },
    { models: ['openai/gpt\u00005'] },
    { models: [`openai/${'x'.repeat(256)}`] },
    { models: Array.from({ length: 101 }, () => 'openai/a') },
    { tools: ['*'] },
    { tools: [''] },
    { tools: ['mcp:*/x'] },
    { tools: ['a b'] },
    { max: { output_tokens: '4096' } },
    { max: { output_tokens: -1 } },
    { max: { output_tokens: 1.5 } },
    { max: { output_tokens: null } },
    { max: { images: 1 } },
    { max: 4096 },
    { budget: 5 },
    { budget: { amount: 1, unit: 'usd' } },
    { budget: { amount: 1, unit: 'usd', decimals: 2, per: 'day' } },
    { attestation: 0 },
    { attestation: 4 },
    { attestation: '2' },
    { locations: ['https://a.example'] },
    { not_models: ['openai/gpt-5'] },
  ])('%j is refused', (changes) => {
    expect(parseDetails(changes)).toThrow('authorization_details');
  });

  test.each([
    { actions: [] },
    { models: undefined },
    { models: ['openai/*'] },
    { models: ['openrouter/meta-llama/llama-4*'] },
    { tools: [] },
    { tools: ['mcp:github/*', 'web_search'] },
    { max: {} },
    { max: { output_tokens: 0, input_bytes: 0, tools: 0 } },
    { budget: { amount: 0, unit: 'tokens', decimals: 0 } },
    { attestation: 3 },
  ])('%j is in form', (changes) => {
    expect(parseDetails(changes)).not.toThrow();
  });
});

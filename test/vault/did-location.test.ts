// Where a DID leads, and everything that is refused before a name is looked up (threat model rows E1, E2, E4, E8).

import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UnknownDid } from '../../src/vault/did-document.ts';
import { didWebvhLocationPart, locationOfDidWeb, locationOfDidWebvh, scidOf, whetherAt } from '../../src/vault/did-location.ts';

const SCID = 'QmPEQVM1JPTyrvEgBcDXwjK4TeyLGSX1PxjgyeAisdWM1p';
const webvh = (rest: string) => `did:webvh:${SCID}:${rest}`;

describe('locations', () => {
  test.each([
    ['example.com', 'https://example.com/.well-known/did.jsonl'],
    ['issuer.example.com', 'https://issuer.example.com/.well-known/did.jsonl'],
    ['example.com:dids:issuer', 'https://example.com/dids/issuer/did.jsonl'],
    ['example.com%3A3000:dids:issuer', 'https://example.com:3000/dids/issuer/did.jsonl'],
    ['jp納豆.例.jp:用户', 'https://xn--jp-cd2fp15c.xn--fsq.jp/%E7%94%A8%E6%88%B7/did.jsonl'],
    ['xn--jp-cd2fp15c.xn--fsq.jp:%E7%94%A8%E6%88%B7', 'https://xn--jp-cd2fp15c.xn--fsq.jp/%E7%94%A8%E6%88%B7/did.jsonl'],
    ['vault%3A8443:agents:acme:reader', 'https://vault:8443/agents/acme/reader/did.jsonl'],
    ['my_vault.svc.cluster.local', 'https://my_vault.svc.cluster.local/.well-known/did.jsonl'],
    ['1.example:0x10', 'https://1.example/0x10/did.jsonl'],
    ['127.0.0.1.example', 'https://127.0.0.1.example/.well-known/did.jsonl'],
    ['localhost.example', 'https://localhost.example/.well-known/did.jsonl'],
    ['example.com:a%40b:%7Ec', 'https://example.com/a%40b/~c/did.jsonl'],
    [`example.com:${SCID}`, `https://example.com/${SCID}/did.jsonl`],
  ])('did:webvh of %s is at %s', (rest, url) => {
    const { scid, origin, log, witness, path } = locationOfDidWebvh(webvh(rest));
    expect(log.href).toBe(url);
    expect({ scid, origin, path }).toEqual({ scid: SCID, origin: log.origin, path: log.pathname });
    expect(witness.href).toBe(url.replace('/did.jsonl', '/did-witness.json'));
    expect(didWebvhLocationPart(webvh(rest))).toBe(rest);
  });

  test('did:web is at did.json', () => {
    expect(locationOfDidWeb('did:web:example.com').href).toBe('https://example.com/.well-known/did.json');
    expect(locationOfDidWeb('did:web:example.com%3A8443:a:b').href).toBe('https://example.com:8443/a/b/did.json');
  });
});

const REFUSED: readonly (readonly [row: string, rest: string, why: RegExp])[] = [
  ['E1', '127.0.0.1%3A6379', /IP address/],
  ['E1', '127.1', /IP address/],
  ['E1', '2130706433', /IP address/],
  ['E1', '0x7f.1', /IP address/],
  ['E1', '0x7f000001', /IP address/],
  ['E1', '0177.0.0.1', /IP address/],
  ['E1', '017700000001', /IP address/],
  ['E1', '127.0.0.0x', /IP address/],
  ['E1', '1.2.3.4.5', /IP address/],
  ['E1', '127.0.0.1%3a8080', /percent-encoded/],
  ['E1', '127%2E0%2E0%2E1', /percent-encoded/],
  ['E1', '127%2e0%2e0%2e1', /percent-encoded/],
  ['E1', '１２７.０.０.１', /canonical form of IDNA/],
  ['E1', '127。0。0。1', /canonical form of IDNA/],
  ['E1', '①②⑦.0.0.①', /canonical form of IDNA/],
  ['E1', '[::1]', /IP address/],
  ['E1', '%5B%3A%3A1%5D', /percent-encoded/],
  ['E1', '::1', /IP address/],
  ['E1', '::ffff:127.0.0.1', /IP address/],
  ['E1', 'localhost', /localhost/],
  ['E1', 'localhost%3A8443', /localhost/],
  ['E1', 'a.localhost', /localhost/],
  ['E1', 'LOCALHOST', /lower case/],
  ['E2', '169.254.169.254:latest:meta-data', /IP address/],
  ['E2', '0xa9fea9fe', /IP address/],
  ['E2', '169%2E254%2E169%2E254', /percent-encoded/],
  ['E2', 'fd00:ec2::254', /IP address/],
  ['E2', 'fd00:ec2:0:0:0:0:0:254', /IP address/],
  ['E2', '[fd00:ec2::254]', /IP address/],
  ['E4', 'example.com.', /ends in a dot/],
  ['E4', 'example.com.%3A8443', /ends in a dot/],
  ['E4', '127.0.0.1.', /ends in a dot/],
  ['E4', 'localhost.', /ends in a dot/],
  ['E4', 'user@evil.example', /user information/],
  ['E4', 'user%40evil.example', /percent-encoded/],
  ['E4', 'example.com:a%2fb', /slash/],
  ['E4', 'example.com:a%2Fb', /slash/],
  ['E4', 'example.com%2Fa', /percent-encoded/],
  ['E4', 'example.com/a', /must be percent-encoded/],
  ['E4', 'example.com:a%5Cb', /slash/],
  ['E4', 'example.com:a%5cb', /slash/],
  ['E4', 'example.com:a\\b', /must be percent-encoded/],
  ['E4', 'example.com:a%00', /invisible/],
  ['E4', 'example.com%00', /percent-encoded/],
  ['E4', 'example.com\0', /must be percent-encoded/],
  ['E4', 'example.com:a%0D%0Ab', /invisible/],
  ['E4', 'example.com:a%E2%80%AEb', /invisible/],
  ['E4', 'example.com:%252e%252e', /twice/],
  ['E4', 'example.com%253A8443', /twice/],
  ['E4', 'example.com:', /empty/],
  ['E4', 'example.com::a', /empty/],
  ['E4', 'example.com:a:', /empty/],
  ['E4', 'example.com:.', /dots/],
  ['E4', 'example.com:..:..:admin', /dots/],
  ['E4', 'example.com:%2e%2e:admin', /dots/],
  ['E4', 'example.com:.%2E', /dots/],
  ['E4', 'example.com#key-1', /query or a fragment/],
  ['E4', 'example.com:a#key-1', /query or a fragment/],
  ['E4', 'example.com?versionId=1', /query or a fragment/],
  ['E4', 'example.com%23frag', /percent-encoded/],
  ['E4', ' example.com', /must be percent-encoded/],
  ['E4', 'example.com\n', /must be percent-encoded/],
  ['E4', 'example.com:a b', /must be percent-encoded/],
  ['E4', 'example.com:%20a', /white space/],
  ['E4', 'example.com:a%C2%A0', /white space/],
  ['E4', 'example.com:a\u2003', /white space/],
  ['E4', '', /no host/],
  ['E4', '%3A8443', /no host/],
  ['E4', ':a', /no host/],
  ['E4', 'example..com', /not a domain name/],
  ['E4', '.example.com', /not a domain name/],
  ['E4', '-example.com', /not a domain name/],
  ['E4', `${'a'.repeat(64)}.com`, /not a domain name/],
  ['E4', `${'a.'.repeat(127)}com`, /not a domain name/],
  ['E4', 'é\u200d.example', /not a domain name/],
  ['E4', '\ud800.example', /not Unicode/],
  ['one spelling', 'Example.com', /lower case/],
  ['one spelling', 'ｅxample.com', /canonical form of IDNA/],
  ['one spelling', 'e\u0301xample.com', /canonical form of IDNA/],
  ['one spelling', 'xn--EXAMPLE.com', /lower case/],
  ['one spelling', 'example.com%3A443', /port 443/],
  ['one spelling', 'example.com%3A08443', /port/],
  ['one spelling', 'example.com:.well-known', /\.well-known/],
  ['one spelling', 'example.com:%61', /canonical form of percent-encoding/],
  ['one spelling', 'example.com:a%2Eb', /canonical form of percent-encoding/],
  ['one spelling', 'example.com:a%2db', /canonical form of percent-encoding/],
  ['one spelling', 'example.com:%e7%94%a8', /canonical form of percent-encoding/],
  ['one spelling', 'example.com:用%E6%88%B7', /canonical form of percent-encoding/],
  ['one spelling', 'example.com:e\u0301', /normalization form/],
  ['one spelling', 'example.com:~a', /must be percent-encoded/],
  ['port', 'example.com%3A', /port/],
  ['port', 'example.com%3A0', /port/],
  ['port', 'example.com%3A65536', /port/],
  ['port', 'example.com%3A80a', /port/],
  ['port', 'example.com%3A80%3A81', /port/],
  ['encoding', 'example.com:%', /UTF-8/],
  ['encoding', 'example.com:%zz', /UTF-8/],
  ['encoding', 'example.com:%FF', /UTF-8/],
  ['encoding', 'example.com:%C0%AE', /UTF-8/],
  ['length', `example.com:${'a'.repeat(2048)}`, /longer/],
];

describe('refused before anything is looked up', () => {
  test.each(REFUSED)('%s: %j', (_row, rest, why) => {
    for (const locate of [locationOfDidWebvh, didWebvhLocationPart]) {
      expect(() => locate(webvh(rest))).toThrow(UnknownDid);
      expect(() => locate(webvh(rest))).toThrow(why);
    }
    expect(() => locationOfDidWeb(`did:web:${rest}`)).toThrow(UnknownDid);
    expect(() => locationOfDidWeb(`did:web:${rest}`)).toThrow(why);
  });

  test('E8: an address that names a scheme is no DID', () => {
    for (const url of ['http://example.com/did.json', 'https://example.com/did.json'])
      expect(() => locationOfDidWeb(url)).toThrow(UnknownDid);
    expect(() => locationOfDidWeb('did:web:http://example.com')).toThrow(UnknownDid);
    expect(() => locationOfDidWeb('did:web:http:example.com:..')).toThrow(UnknownDid);
  });

  test.each(['', 'Qm', `${SCID}a`, `${SCID.slice(0, 45)}0`, '{SCID}'])('an SCID that is none: %j', (scid) => {
    expect(() => locationOfDidWebvh(`did:webvh:${scid}:example.com`)).toThrow(/SCID/);
  });

  test.each([
    ['https://example.com', 'example.com:agents:a', true],
    ['https://example.com', 'example.com', true],
    ['https://example.com/', 'example.com:a', true],
    ['https://example.com', 'example.com%3A8443:a', false],
    ['https://example.com', 'example.com.evil.test:a', false],
    ['https://example.com', 'evil.test:example.com', false],
    ['https://example.com:8443', 'example.com%3A8443:a', true],
    ['https://example.com:8443', 'example.com:8443:a', false],
    ['https://xn--bcher-kva.example', 'bücher.example:a', true],
    ['https://bücher.example', 'xn--bcher-kva.example:a', true],
  ])('whether the log of one is at %s: %s', (origin, rest, at) => {
    expect(whetherAt(origin)(webvh(rest))).toBe(at);
    if (at && new URL(origin).origin === origin) expect(locationOfDidWebvh(webvh(rest)).origin).toBe(origin);
    expect(whetherAt(origin)(`did:web:${rest}`)).toBe(false);
    expect(scidOf(webvh(rest))).toBe(SCID);
  });

  test('another method, or nothing after the SCID', () => {
    expect(() => locationOfDidWebvh('did:web:example.com')).toThrow(UnknownDid);
    expect(() => locationOfDidWeb(webvh('example.com'))).toThrow(UnknownDid);
    expect(() => locationOfDidWebvh(`did:webvh:${SCID}`)).toThrow(UnknownDid);
    expect(() => locationOfDidWebvh(`did:webvh:${SCID}:`)).toThrow(/no host/);
    expect(() => locationOfDidWeb('DID:web:example.com')).toThrow(UnknownDid);
  });

  test('messages repeat nothing of the DID', () => {
    const secretive = 'zebra\u001b[31m';
    for (const rest of [secretive, `example.com:${secretive}`, `${secretive}@example.com`])
      expect(() => locationOfDidWebvh(webvh(rest))).not.toThrow(/zebra/);
  });
});

describe('for any text', () => {
  const tokens = [
    '%3A',
    '%2E',
    '%2e',
    '%25',
    '%2F',
    '%40',
    ':',
    '.',
    '..',
    '0x7f',
    '127',
    '1',
    'a',
    'é',
    '@',
    '[',
    ']',
    '#',
    '?',
  ];
  const hosts = ['localhost', '8443', 'xn--', 'example', 'com', '/', '\\', '\0', ' ', '１', '。', 'A', '-', '_', '~', '443'];
  const text = fc.oneof(
    fc.array(fc.constantFrom(...tokens, ...hosts), { maxLength: 8 }).map((all) => all.join('')),
    fc.string(),
  );

  test('there is one https URL below a host that is a name, or none; and no two DIDs of a method in ASCII share it', () => {
    const seen = new Map<string, string>();
    let located = 0;
    fc.assert(
      fc.property(text, (rest) => {
        let url: URL;
        try {
          url = locationOfDidWeb(`did:web:${rest}`);
        } catch (error) {
          expect(error).toBeInstanceOf(UnknownDid);
          return;
        }
        located++;
        expect(url.protocol).toBe('https:');
        expect(url.username + url.password + url.search + url.hash).toBe('');
        expect(isIP(url.hostname.replace(/^\[|\]$/g, ''))).toBe(0);
        expect(url.hostname).not.toMatch(/(?:^|\.)localhost$|\.$/);
        expect(url.pathname).toMatch(/^\/(?:[^/]+\/)+did\.json$/);
        if (/[^\0-\x7f]/.test(rest)) return;
        expect(seen.get(url.href) ?? rest).toBe(rest);
        seen.set(url.href, rest);
      }),
      { numRuns: 20_000 },
    );
    expect(located).toBeGreaterThan(100);
  });
});

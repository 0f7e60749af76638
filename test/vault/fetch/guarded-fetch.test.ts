// Fetching from hosts that mean harm, over real sockets: the rows of group E of the threat model that reach the network.

import { setTimeout as delay } from 'node:timers/promises';
import type { TlsOptions } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { FailedFetch, NotFound, RefusedFetch } from '../../../src/vault/fetch/fetch-error.ts';
import type { Lookup } from '../../../src/vault/fetch/guarded-fetch.ts';
import {
  type Answer,
  type Authority,
  answerWith,
  type FetchSettings,
  guardedFetch,
  type Host,
  lookupOf,
  makeAuthority,
  startHost,
} from './hostile-host.ts';

const ACCEPT = ['application/json', 'text/plain', 'application/octet-stream'];
const ENOUGH = 15_000;

let authority: Authority;
const open: Host[] = [];

beforeAll(async () => {
  authority = await makeAuthority();
});

afterEach(async () => {
  for (const host of open.splice(0)) await host[Symbol.asyncDispose]();
});

async function hostThat(answer: Answer | undefined, tls: TlsOptions | null = authority.tls, address?: string, port?: number) {
  const host = await startHost(tls ?? undefined, answer, address, port);
  open.push(host);
  return host;
}

const urlOf = (host: Host, path = '/did.json', name = 'service.test') => new URL(`https://${name}:${host.port}${path}`);

/** How a fetch ends, and after how many milliseconds. */
async function ending(host: Host, changed: Partial<FetchSettings> = {}, url = urlOf(host)) {
  const since = performance.now();
  const result = await guardedFetch(authority, changed)
    .fetch(url, ACCEPT)
    .then(
      (body) => body.toString(),
      (error: unknown) => error,
    );
  return { result, took: performance.now() - since };
}

async function closedBy(host: Host): Promise<void> {
  await expect.poll(host.open, { timeout: 2000 }).toBe(0);
}

const raw =
  (...parts: readonly string[]): Answer =>
  (socket) =>
    socket.end(parts.join('\r\n'));

/** Written for as long as the other side takes it. */
const endless =
  (head: string, piece: string, pause = 0): Answer =>
  (socket) => {
    socket.write(head);
    const write = () => {
      if (socket.destroyed) return;
      socket.write(piece, () => setTimeout(write, pause));
    };
    write();
  };

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

describe('a file that is there', () => {
  test('is fetched as it was sent, and nothing is said of who asks', async () => {
    const host = await hostThat(answerWith('{"a":1}\n'));
    expect((await ending(host)).result).toBe('{"a":1}\n');
    const [line, ...fields] = host.requests[0]?.trimEnd().split('\r\n') ?? [];
    expect(line).toBe('GET /did.json HTTP/1.1');
    expect(fields.sort()).toEqual([
      'accept-encoding: identity',
      `accept: ${ACCEPT.join(', ')}`,
      'cache-control: no-cache',
      'connection: close',
      `host: service.test:${host.port}`,
      'user-agent: hermesbridge',
    ]);
    await closedBy(host);
  });

  test.each([
    ['in chunks', `${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`, 'abcde'],
    ['of no type', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab', 'ab'],
    ['with parameters', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: Text/Plain; charset=utf-8\r\n\r\nab', 'ab'],
    ['after an interim answer', `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${HEAD}content-length: 2\r\n\r\nab`, 'ab'],
    ['not encoded, and saying so', `${HEAD}content-encoding: identity\r\ncontent-length: 2\r\n\r\nab`, 'ab'],
    ['empty', `${HEAD}content-length: 0\r\n\r\n`, ''],
  ])('%s', async (_name, answer, body) => {
    expect((await ending(await hostThat(raw(answer)))).result).toBe(body);
  });

  test('of exactly the longest length', async () => {
    const body = 'a'.repeat(65_536);
    expect((await ending(await hostThat(answerWith(body)))).result).toBe(body);
    const size = body.length.toString(16);
    const chunked = raw(`${HEAD}transfer-encoding: chunked\r\n\r\n${size}\r\n${body}\r\n0\r\n\r\n`);
    expect((await ending(await hostThat(chunked))).result).toBe(body);
  });

  test('asked for by many at once is fetched once, and again afterwards', async () => {
    const host = await hostThat((socket, head) => void setTimeout(() => answerWith('shared')(socket, head), 50));
    const { fetch } = guardedFetch(authority);
    const bodies = await Promise.all(Array.from({ length: 50 }, () => fetch(urlOf(host), ACCEPT)));
    expect(new Set(bodies.map(String))).toEqual(new Set(['shared']));
    expect(host.connections()).toBe(1);
    await fetch(urlOf(host), ACCEPT);
    expect(host.connections()).toBe(2);
  });

  test('an error is shared as well, and is not kept', async () => {
    const host = await hostThat((socket, head) =>
      answerWith('', [], host.requests.length > 1 ? '200 OK' : '500 X')(socket, head),
    );
    const { fetch } = guardedFetch(authority);
    const both = await Promise.allSettled([fetch(urlOf(host), ACCEPT), fetch(urlOf(host), ACCEPT)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(host.connections()).toBe(1);
    expect(await fetch(urlOf(host), ACCEPT)).toHaveLength(0);
  });
});

describe('refused with no connection made', () => {
  const metadata = ['169.254.169.254', 'fd00:ec2::254', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe'];
  const inner = ['10.0.0.1', '172.16.0.1', '172.31.255.254', '100.64.0.1', '192.168.1.1', 'fc00::1', 'fe80::1', '0.0.0.0', '::'];

  test.each([
    ...['127.0.0.1', '::1', '::ffff:127.0.0.1'].map((address) => ['E1', address]),
    ...metadata.map((address) => ['E2', address]),
    ...inner.map((address) => ['E5', address]),
  ])('%s: a name that leads to %s', async (_row, address) => {
    const host = await hostThat(answerWith('{}'));
    const { result, took } = await ending(host, { allowedAddresses: [], lookup: lookupOf(address) });
    expect(result).toBeInstanceOf(RefusedFetch);
    expect(took).toBeLessThan(500);
    expect(host.connections()).toBe(0);
  });

  test.each([
    ['E1', '127.0.0.1'],
    ['E1', '[::1]'],
    ['E1', '2130706433'],
    ['E1', '0x7f.1'],
    ['E1', '[::ffff:7f00:1]'],
    ['E2', '169.254.169.254'],
  ])('%s: a URL of the address %s itself, allowed or not, is not even looked up', async (_row, address) => {
    const host = await hostThat(answerWith('{}'));
    let lookups = 0;
    const lookup: Lookup = (...found) => {
      lookups++;
      lookupOf('127.0.0.1')(...found);
    };
    expect((await ending(host, { lookup }, urlOf(host, '/', address))).result).toBeInstanceOf(RefusedFetch);
    expect(host.connections() + lookups).toBe(0);
  });

  test.each(['http://service.test', 'ftp://service.test', 'file:///etc/passwd', 'https://user:secret@service.test'])(
    'E4, E8: %s',
    async (url) => {
      const host = await hostThat(answerWith('{}'));
      const { result } = await ending(host, {}, new URL(url));
      expect(result).toBeInstanceOf(RefusedFetch);
      expect(String(result)).not.toContain('secret');
      expect(host.connections()).toBe(0);
    },
  );

  test.each(['?a=b', '#key-1'])('E4: a URL with %s', async (end) => {
    const host = await hostThat(answerWith('{}'));
    expect((await ending(host, {}, urlOf(host, `/did.json${end}`))).result).toBeInstanceOf(RefusedFetch);
    expect(host.connections()).toBe(0);
  });
});

describe('E6: redirects', () => {
  test.each([301, 302, 303, 307, 308, 300, 304])('%i is refused, and nobody asks where it leads', async (status) => {
    const inside = await hostThat(answerWith('{"secret":1}'), authority.tls, '127.0.0.2');
    const location = `location: https://service.test:${inside.port}/did.json`;
    const host = await hostThat(answerWith('', [location], `${status} Elsewhere`));
    const { result } = await ending(host);
    expect(result).toBeInstanceOf(RefusedFetch);
    expect(String(result)).toContain('redirects');
    expect([host.connections(), inside.connections()]).toEqual([1, 0]);
    await closedBy(host);
  });
});

describe('E7: rebinding', () => {
  test('of a public and a private address only the public one is connected to', async () => {
    const inside = await hostThat(answerWith('{"secret":1}'), authority.tls, '127.0.0.1');
    const outside = await hostThat(answerWith('{}'), authority.tls, '127.0.0.2', inside.port);
    for (const addresses of [
      ['127.0.0.2', '127.0.0.1'],
      ['127.0.0.1', '127.0.0.2'],
    ]) {
      const settings = { allowedAddresses: ['127.0.0.2/32'], lookup: lookupOf(...addresses) };
      expect((await ending(outside, settings)).result).toBe('{}');
    }
    expect([outside.connections(), inside.connections()]).toEqual([2, 0]);
  });

  test('when the public one does not answer, the private one is not tried instead', async () => {
    const inside = await hostThat(answerWith('{"secret":1}'), authority.tls, '127.0.0.1');
    const settings = { allowedAddresses: ['127.0.0.2/32'], lookup: lookupOf('127.0.0.2', '127.0.0.1') };
    expect((await ending(inside, settings)).result).toBeInstanceOf(FailedFetch);
    expect(inside.connections()).toBe(0);
  });

  test('a name is looked up once for each fetch, and the second answer is judged like the first', async () => {
    const inside = await hostThat(answerWith('{"secret":1}'), authority.tls, '127.0.0.1');
    const outside = await hostThat(answerWith('{}'), authority.tls, '127.0.0.2', inside.port);
    const answers = ['127.0.0.2', '127.0.0.1'];
    const lookup: Lookup = (...found) => lookupOf(answers.shift() ?? '')(...found);
    const { fetch } = guardedFetch(authority, { allowedAddresses: ['127.0.0.2/32'], lookup });
    expect(String(await fetch(urlOf(outside), ACCEPT))).toBe('{}');
    expect(answers).toHaveLength(1);
    await expect(fetch(urlOf(outside), ACCEPT)).rejects.toBeInstanceOf(RefusedFetch);
    expect([outside.connections(), inside.connections()]).toEqual([1, 0]);
  });

  test('an address that does not answer gives way to the next', async () => {
    const host = await hostThat(answerWith('{}'), authority.tls, '127.0.0.3');
    expect((await ending(host, { lookup: lookupOf('127.0.0.2', '127.0.0.3') })).result).toBe('{}');
  });

  test('however many addresses an answer has, two of a family are tried', async () => {
    const host = await hostThat(answerWith('{}'), authority.tls, '127.0.1.3');
    const { result } = await ending(host, { lookup: lookupOf('127.0.1.1', '127.0.1.2', '127.0.1.3') });
    expect(result).toBeInstanceOf(FailedFetch);
    expect(host.connections()).toBe(0);
    expect((await ending(host, { lookup: lookupOf('127.0.1.2', '127.0.1.3', '127.0.1.1') })).result).toBe('{}');
  });
});

describe('E8: no TLS, or none to be trusted', () => {
  interface Untrusted {
    readonly tls?: TlsOptions | null;
    readonly name?: string;
  }
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;

  test.each<[string, () => Untrusted]>([
    ['plain http', () => ({ tls: null })],
    ['TLS 1.1', () => ({ tls: { ...authority.tls, ...old } })],
    ['a certificate for another name', () => ({ name: 'other.test' })],
  ])('%s is refused', async (_what, untrusted) => {
    const { tls, name } = untrusted();
    const host = await hostThat(answerWith('{}'), tls);
    const { result, took } = await ending(host, {}, urlOf(host, '/did.json', name));
    expect(result).toBeInstanceOf(RefusedFetch);
    expect(took).toBeLessThan(1000);
    expect(host.requests).toEqual([]);
    await closedBy(host);
  });

  test('a certificate of an unknown authority is refused, whatever the environment says', async () => {
    const stranger = await makeAuthority();
    const host = await hostThat(answerWith('{}'), stranger.tls);
    const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      expect((await ending(host)).result).toBeInstanceOf(RefusedFetch);
      expect((await ending(host, { trustedCa: undefined })).result).toBeInstanceOf(RefusedFetch);
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
    expect(host.requests).toEqual([]);
    await closedBy(host);
  });

  test.each(['', 'no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])(
    'a trusted authority that is none is refused at once: %j',
    (trustedCa) => {
      expect(() => guardedFetch(authority, { trustedCa })).toThrow();
    },
  );
});

describe('E9: too much', () => {
  test('100 MB that are announced are not waited for', async () => {
    const host = await hostThat(endless(`${HEAD}content-length: 104857600\r\n\r\n`, 'a'.repeat(65_536)));
    const { result, took } = await ending(host);
    expect(result).toBeInstanceOf(RefusedFetch);
    expect(took).toBeLessThan(1000);
    await closedBy(host);
  });

  test('a length that is announced is enough', async () => {
    const host = await hostThat((socket) => void socket.write(`${HEAD}content-length: 65537\r\n\r\n`));
    const { result, took } = await ending(host);
    expect(result).toBeInstanceOf(RefusedFetch);
    expect(took).toBeLessThan(1000);
    await closedBy(host);
  });

  test('one byte more than the longest length, announced or not', async () => {
    const body = 'a'.repeat(65_537);
    expect((await ending(await hostThat(answerWith(body)))).result).toBeInstanceOf(RefusedFetch);
    const chunked = raw(`${HEAD}transfer-encoding: chunked\r\n\r\n10001\r\n${body}\r\n0\r\n\r\n`);
    expect((await ending(await hostThat(chunked))).result).toBeInstanceOf(RefusedFetch);
  });

  const chunk = `1000\r\n${'a'.repeat(4096)}\r\n`;
  test.each([
    ['an endless body', `${HEAD}transfer-encoding: chunked\r\n\r\n`, chunk, RefusedFetch],
    ['endless interim answers', '', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(100), RefusedFetch],
    ['an endless header', HEAD, 'a: b\r\n'.repeat(100), FailedFetch],
    ['an endless header line', `${HEAD}a: `, 'b'.repeat(4096), FailedFetch],
    ['an endless chunk extension', `${HEAD}transfer-encoding: chunked\r\n\r\n1;a=`, 'b'.repeat(4096), Error],
    ['endless trailers', `${HEAD}transfer-encoding: chunked\r\n\r\n0\r\n`, 'a: b\r\n'.repeat(100), Error],
    ['an endless status line', 'HTTP/1.1 200 ', 'O'.repeat(4096), FailedFetch],
    ['chunks of one byte', `${HEAD}transfer-encoding: chunked\r\n\r\n`, '1;abcdefgh\r\na\r\n'.repeat(100), RefusedFetch],
  ] as const)('%s is cut off', async (_name, head, piece, kind) => {
    const host = await hostThat(endless(head, piece));
    const { result, took } = await ending(host);
    expect(result).toBeInstanceOf(kind);
    expect(took).toBeLessThan(1400);
    await closedBy(host);
  });
});

describe('E9: too slow', () => {
  const slowly = (name: string, answer: Answer | undefined, tls?: null) => [name, answer, tls] as const;

  // The beginning of a handshake record that is announced as 15,972 bytes long.
  const record = String.fromCharCode(22, 3, 3, 62, 100);

  test.each([
    slowly('a body of one byte per second', endless(`${HEAD}content-length: 100\r\n\r\n`, 'a', 1000)),
    slowly('a body that stops', (socket) => void socket.write(`${HEAD}content-length: 100\r\n\r\na`)),
    slowly('a body that drips', endless(`${HEAD}content-length: 60000\r\n\r\n`, 'a', 5)),
    slowly('headers that drip', endless('HTTP/1.1 200 OK\r\n', 'a: b\r\n', 50)),
    slowly('no answer', () => {}),
    slowly('a TLS handshake that never ends', undefined, null),
    slowly('a TLS handshake that drips', endless(record, 'a', 5), null),
  ])('%s ends with the whole time', async (_name, answer, tls) => {
    const host = await hostThat(answer, tls);
    const { result, took } = await ending(host, { timeoutMillis: 500 });
    expect(result).toBeInstanceOf(FailedFetch);
    expect(String(result)).toContain('500 ms');
    expect(took).toBeGreaterThan(450);
    expect(took).toBeLessThan(1000);
    await closedBy(host);
  });

  test('which is a second and a half unless told otherwise', async () => {
    const { result, took } = await ending(await hostThat(() => {}));
    expect(String(result)).toContain('1500 ms');
    expect(took).toBeLessThan(2000);
  });

  test('a lookup that does not end, which keeps its place among those under way until it does', async () => {
    const host = await hostThat(answerWith('{}'));
    let finish = () => {};
    let lookups = 0;
    const lookup: Lookup = (_hostname, _options, found) => {
      lookups++;
      finish = () => found(null, [{ address: '127.0.0.1', family: 4 }]);
    };
    const { fetch } = guardedFetch(authority, { lookup, maxConcurrent: 1, timeoutMillis: 100 });
    await expect(fetch(urlOf(host), ACCEPT)).rejects.toThrow('100 ms');
    await expect(fetch(urlOf(host), ACCEPT)).rejects.toThrow('under way');
    expect(lookups).toBe(1);
    finish();
    await delay(10);
    const again = fetch(urlOf(host), ACCEPT);
    await delay(10);
    finish();
    expect(String(await again)).toBe('{}');
    expect(lookups).toBe(2);
    expect(host.connections()).toBe(1);
  });

  test('no timer outlives its fetch', async () => {
    const host = await hostThat(answerWith('{}'));
    const { fetch } = guardedFetch(authority, { timeoutMillis: 60_000 });
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    await Promise.all(Array.from({ length: 20 }, (_, index) => fetch(urlOf(host, `/${index}`), ACCEPT)));
    await closedBy(host);
    expect(timers()).toBeLessThan(before + 10);
  });

  test('no socket and no timer stays behind, and others are answered meanwhile', async () => {
    const slow = await hostThat(endless(`${HEAD}content-length: 100\r\n\r\n`, 'a', 100));
    const good = await hostThat(answerWith('{}'));
    const before = process.getActiveResourcesInfo();
    const { fetch } = guardedFetch(authority, { timeoutMillis: 800 });
    const pending = Array.from({ length: 20 }, (_, index) => fetch(urlOf(slow, `/${index}/did.json`), ACCEPT));
    const since = performance.now();
    const ended = Promise.allSettled(pending);
    await delay(100);
    const asked = performance.now();
    expect(String(await fetch(urlOf(good), ACCEPT))).toBe('{}');
    expect(performance.now() - asked).toBeLessThan(300);
    expect((await ended).every(({ status }) => status === 'rejected')).toBe(true);
    expect(performance.now() - since).toBeLessThan(1300);
    await closedBy(slow);
    await closedBy(good);
    const kinds = (all: readonly string[]) => all.filter((kind) => /TCP|TLS|Timeout|GetAddrInfo/.test(kind)).sort();
    // The host's own timers end with its sockets.
    await expect
      .poll(() => kinds(process.getActiveResourcesInfo()).length, { timeout: 2000 })
      .toBeLessThanOrEqual(kinds(before).length + 1);
  });
});

describe('answers that are not what was asked for', () => {
  const GZIP = `${HEAD}content-length: 2\r\ncontent-encoding: gzip\r\n\r\nab`;
  test.each<[string, Answer, new () => Error]>([
    ['a page', raw('HTTP/1.1 200 OK', 'content-type: text/html', 'content-length: 2', '', 'ab'), RefusedFetch],
    ['a compressed body', raw(GZIP), RefusedFetch],
    ['a body that ends with the connection', raw(`${HEAD}\r\n{"cut":"sho`), RefusedFetch],
    ['a transfer coding besides chunked', raw(`${HEAD}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`), RefusedFetch],
    ['a body that is cut short', raw(`${HEAD}content-length: 10\r\n\r\nabc`), FailedFetch],
    ['chunks that are cut short', raw(`${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`), FailedFetch],
    ['chunks and a length', raw(`${HEAD}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`), FailedFetch],
    ['two lengths', raw(`${HEAD}content-length: 3\r\ncontent-length: 2\r\n\r\nabc`), FailedFetch],
    ['another protocol', raw('SSH-2.0-OpenSSH_9.2\r\n\r\n'), FailedFetch],
    ['a switch of protocols', raw('HTTP/1.1 101 Switching', 'connection: upgrade', 'upgrade: x', '', ''), FailedFetch],
    ['nothing', (socket) => void socket.end(), FailedFetch],
    ['a reset', (socket) => void socket.destroy(), FailedFetch],
    ['204', answerWith('', [], '204 No Content'), RefusedFetch],
    ['206', answerWith('{}', [], '206 Partial'), RefusedFetch],
    ['401', answerWith('{}', [], '401 Unauthorized'), RefusedFetch],
    ['403', answerWith('{}', [], '403 Forbidden'), RefusedFetch],
    ['404', answerWith('{}', [], '404 Not Found'), NotFound],
    ['410', answerWith('{}', [], '410 Gone'), NotFound],
    ['429', answerWith('{}', [], '429 Slow'), FailedFetch],
    ['500', answerWith('{}', [], '500 Oops'), FailedFetch],
    ['503', answerWith('{}', [], '503 Later'), FailedFetch],
  ])('%s', async (_name, answer, kind) => {
    const host = await hostThat(answer);
    const { result, took } = await ending(host);
    expect(result).toBeInstanceOf(kind);
    expect(took).toBeLessThan(1400);
    await closedBy(host);
  });

  test('nothing of an answer stands in the message', async () => {
    const answers = [
      answerWith('zebra', ['location: https://zebra.test', 'x-zebra: zebra'], '302 zebra'),
      answerWith('zebra', ['x-zebra: zebra'], '500 zebra'),
      raw('HTTP/1.1 200 zebra', 'content-type: zebra/zebra', 'content-length: 5', '', 'zebra'),
      raw('zebra zebra zebra\r\n\r\n'),
      raw(`${HEAD}zebra zebra\r\n\r\n`),
    ];
    for (const answer of answers) {
      const { result } = await ending(await hostThat(answer));
      expect(result).toBeInstanceOf(Error);
      expect(`${result}`).toContain('service.test');
      expect(`${result}`).not.toContain('zebra');
    }
  });

  test('no name and no listener', async () => {
    const host = await hostThat(answerWith('{}'));
    const lookup: Lookup = (_hostname, _options, found) => found(Object.assign(new Error('x'), { code: 'ENOTFOUND' }), []);
    expect(String((await ending(host, { lookup })).result)).toMatch(/^FailedFetch: .*ENOTFOUND/);
    const { result } = await ending(host, { lookup: lookupOf('127.0.0.9') });
    expect(String(result)).toMatch(/^FailedFetch: .*ECONNREFUSED/);
    expect((await ending(host, { lookup: lookupOf() })).result).toBeInstanceOf(RefusedFetch);
  });

  test('the system’s own lookup is used where none is given', async () => {
    const host = await hostThat(answerWith('{}'));
    const { lookup, ...settings } = { lookup: undefined, allowedAddresses: ['127.0.0.0/8', '::1/128'] };
    expect(lookup).toBeUndefined();
    const { makeGuardedFetch } = await import('../../../src/vault/fetch/guarded-fetch.ts');
    const fetching = makeGuardedFetch({
      ...settings,
      trustedCa: authority.trustedCa,
      requestsPerSecond: 10,
      maxConcurrent: 10,
      monotonic: () => performance.now(),
    });
    expect(String(await fetching.fetch(urlOf(host, '/did.json', 'localhost'), ACCEPT))).toBe('{}');
  });
});

describe('E17: amplification', () => {
  test(
    'of 10,000 distinct DIDs at once, of one host and of many, no more go out than the rate allows',
    async () => {
      const host = await hostThat(answerWith('{}'));
      const { fetch } = guardedFetch(authority, { requestsPerSecond: 20, maxConcurrent: 16, sharePerHost: 0.5 });
      const since = performance.now();
      const one = Array.from({ length: 5000 }, (_, index) => fetch(urlOf(host, `/a${index}/did.json`), ACCEPT));
      const many = Array.from({ length: 5000 }, (_, index) => fetch(urlOf(host, '/did.json', `host${index}.test`), ACCEPT));
      const all = await Promise.allSettled([...one, ...many]);
      const seconds = (performance.now() - since) / 1000;
      expect(seconds).toBeLessThan(2);
      const reasons = all.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
      expect(reasons.length).toBeGreaterThan(9900);
      expect(all.slice(0, 5000).filter(({ status }) => status === 'fulfilled').length).toBe(8);
      expect(reasons.every((reason) => reason instanceof FailedFetch || reason instanceof RefusedFetch)).toBe(true);
      // Half of the places for one host, the other half for the rest.
      expect(host.connections()).toBeLessThanOrEqual(16);
    },
    ENOUGH,
  );
});

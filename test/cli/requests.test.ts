import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { eachOf, hb, hbJson } from './run-cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-cli-'));
const file = (name: string) => join(directory, name);
const write = (name: string, text: string) => {
  writeFileSync(file(name), text, { mode: 0o600 });
  return file(name);
};
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const URL_SIGNED = 'https://gateway.local/openai/v1/chat/completions';
const BODY = JSON.stringify({ model: 'gpt-5-mini', messages: [{ role: 'user', content: 'It is Tom’s' }] });

beforeAll(async () => {
  const keygen = async (name: string) => (await hbJson<{ didKey: string }>(['keygen', '--out', file(name)])).value.didKey;
  const [operator, agent] = [await keygen('operator.jwk'), await keygen('agent.jwk')];
  const grant = ['--agent', agent, '--audience', 'gateway.local', '--model', 'openai/gpt-5*'];
  const { stdout } = await hb(['capability', 'issue', '--operator-key', file('operator.jwk'), ...grant]);
  write('agent.capability', stdout);
  write('provider.key', 'sk-provider-secret');
  const verify = {
    gateway: { names: ['gateway.local'] },
    trust: { operators: [{ did: operator, vouchesForAgents: true }] },
    providers: { openai: { api: 'openai', credential: { file: 'provider.key' } } },
  };
  write('gateway.yaml', stringify({ verify }));
});

const sign = (...options: string[]) => ['sign', '--key', file('agent.jwk'), '--capability', file('agent.capability'), ...options];
interface Signed {
  method: string;
  url: string;
  headers: [string, string][];
}

describe('sign', { timeout: 120_000 }, () => {
  it('prints the headers of the profile, once for each call', async () => {
    const { code, stdout, stderr } = await hb(sign('--url', URL_SIGNED, '-d', BODY));
    expect([code, stderr]).toEqual([0, '']);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(':')[0]),
    ).toEqual(['content-type', 'agent-capability', 'content-digest', 'signature-input', 'signature']);
    const again = await hb(sign('--url', URL_SIGNED, '-d', BODY));
    expect(again.stdout).not.toBe(stdout);
  });

  it('reads the body from a file or from standard input, and covers what was given with -H', async () => {
    const digest = async (data: string, input?: string) => {
      const { value } = await hbJson<Signed>(sign('--url', URL_SIGNED, '-d', data), input === undefined ? {} : { input });
      return Object.fromEntries(value.headers)['content-digest'];
    };
    const expected = await digest(BODY);
    expect(expected).toMatch(/^sha-256=:/);
    expect(await digest(`@${write('body.json', BODY)}`)).toBe(expected);
    expect(await digest('@-', BODY)).toBe(expected);
    const { value } = await hbJson<Signed>(sign('--url', URL_SIGNED, '-X', 'GET', '-H', 'Idempotency-Key: one'));
    const headers = Object.fromEntries(value.headers);
    expect([value.method, headers['idempotency-key'], headers['content-digest']]).toEqual(['GET', 'one', undefined]);
    expect(headers['signature-input']).toContain('"idempotency-key"');
  });

  it('prints a curl command that a shell reads as it was meant', async () => {
    const { stdout } = await hb(sign('--url', URL_SIGNED, '-d', `it's ${BODY}`, '--curl'));
    expect(stdout).toMatch(/^curl -sS -N \\\n {2}-X POST \\\n/);
    const shown = stdout.replace(/^curl/, "printf '%s\\n'");
    const { execFileSync } = await import('node:child_process');
    const words = execFileSync('sh', ['-c', shown], { encoding: 'utf8' }).trim().split('\n');
    expect(words).toContain(`it's ${BODY}`);
    expect(words.at(-1)).toBe(URL_SIGNED);
  });

  it('says what is wrong', async () => {
    const url = ['--url', URL_SIGNED];
    const wrong: [options: string[], code: number, why: RegExp][] = [
      [[], 2, /--url/],
      [['--url', 'gateway'], 2, /--url does not parse/],
      [[...url, '-H', 'no colon'], 1, /NAME: VALUE/],
      [[...url, '-d', `@${file('none.json')}`], 1, /none\.json does not exist/],
      [[...url, '-d', `@${directory}`], 1, /is a directory/],
      [[...url, '--lifetime', '0'], 2, /from 1 to 300/],
      [[...url, '--lifetime', '301'], 2, /from 1 to 300/],
      [[...url, '--capability', file('none')], 1, /--capability: .*none is missing/],
      [[...url, '--key', write('secret.txt', 'sk-live-this-is-secret')], 1, /neither a private JWK nor PEM/],
    ];
    await eachOf(wrong, async ([options, code, why]) => {
      const ran = await hb(sign(...options));
      expect([ran.code, ran.stdout], options.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).not.toMatch(/sk-live|\n {4}at /);
    });
  });
});

describe('verify', { timeout: 120_000 }, () => {
  const CHECKS = [
    'form',
    'signatureInput',
    'chain',
    'identity',
    'signature',
    'digest',
    'nonce',
    'restriction',
    'attestation',
    'capability',
    'budget',
  ];
  interface Explained {
    effect: string;
    steps: { check: string; passed: boolean; reason?: string; detail?: string }[];
  }
  const signed = async (body = BODY) => (await hbJson<Signed>(sign('--url', URL_SIGNED, '-d', body))).value;
  const verify = (request: string, ...options: string[]) => ['verify', '--config', file('gateway.yaml'), request, ...options];
  const capture = (request: Signed, body = BODY) => write('captured.json', JSON.stringify({ ...request, body }));
  const text = ({ method, url, headers }: Signed, end = '\r\n') => {
    const { host, pathname } = new URL(url);
    return [`${method} ${pathname} HTTP/1.1`, `Host: ${host}`, ...headers.map((line) => line.join(': ')), '', BODY].join(end);
  };

  it('passes every check of a good request, as JSON, as HTTP text, and from standard input', async () => {
    const request = await signed();
    const explained = await hbJson<Explained>(verify(capture(request)));
    expect([explained.code, explained.value.effect]).toEqual([0, 'allow']);
    expect(explained.value.steps).toEqual(CHECKS.map((check) => ({ check, passed: true })));
    // Nothing is taken: it can be asked again, and headers may be given by name as well.
    const named = { ...request, headers: Object.fromEntries(request.headers), body: BODY };
    expect(await hb(verify(write('named.json', JSON.stringify(named))))).toMatchObject({ code: 0 });
    for (const end of ['\r\n', '\n'])
      expect(await hb(verify(write('captured.http', text(request, end))))).toMatchObject({ code: 0 });
    const piped = await hb(verify('-'), { input: text(request) });
    expect([piped.code, piped.stdout.trim().split('\n').at(-1)]).toEqual([0, '=> allow']);
    const encoded = { ...request, bodyBase64: Buffer.from(BODY).toString('base64') };
    expect(await hb(verify(write('encoded.json', JSON.stringify(encoded))))).toMatchObject({ code: 0 });
  });

  it('says how far a bad one gets: tampered, expired, another model, without a capability', async () => {
    const request = await signed();
    const last = async (words: string[]) => {
      const { code, value } = await hbJson<Explained>(words);
      const { check, reason } = value.steps.at(-1) ?? {};
      return [code, value.effect, check, reason];
    };
    expect(await last(verify(capture(request, BODY.replace('gpt-5-mini', 'gpt-5-maxi'))))).toEqual([
      1,
      'deny',
      'digest',
      'digest-mismatch',
    ]);
    const later = new Date(Date.now() + 120_000).toISOString();
    expect(await last(verify(capture(request), '--at', later))).toEqual([1, 'deny', 'signatureInput', 'signature-expired']);
    const earlier = new Date(Date.now() - 120_000).toISOString();
    expect(await last(verify(capture(request), '--at', earlier))).toEqual([1, 'deny', 'signatureInput', 'clock-skew']);
    const elsewhere = { ...request, url: `${URL_SIGNED}x` };
    expect(await last(verify(capture(elsewhere)))).toEqual([1, 'deny', 'signature', 'signature-invalid']);
    const other = BODY.replace('gpt-5-mini', 'o3-pro');
    expect(await last(verify(capture(await signed(other), other)))).toEqual([1, 'deny', 'capability', 'capability-insufficient']);
    const bare = await hb(verify(capture({ ...request, headers: [] })));
    expect([bare.code, bare.stdout]).toEqual([1, expect.stringMatching(/^FAIL {2}form {2}capability-missing: .*\n=> deny\n$/)]);
  });

  it('says what is wrong with what it is given', async () => {
    const wrong: [words: string[], code: number, why: RegExp][] = [
      [['verify', file('captured.json')], 2, /name the gateway configuration with --config/],
      [verify(file('none.json')), 1, /none\.json does not exist/],
      [verify(directory), 1, /is a directory/],
      [verify(write('broken.json', '{"method":')), 1, /captured request is not JSON/],
      [verify(write('short.json', '{"method":"GET"}')), 1, /needs "method" and "url"/],
      [verify(write('object.json', '{"method":"GET","url":"https://g/","body":{}}')), 1, /"body" .* must be the text/],
      [verify(write('headers.json', '{"method":"GET","url":"https://g/","headers":[1]}')), 1, /"headers" .* must be/],
      [verify(write('short.http', 'GET / HTTP/1.1\r\n\r\n')), 1, /request line and a Host header/],
      [verify(file('captured.json'), '--at', 'yesterday'), 2, /must be a time such as/],
      [['verify', '--config', file('none.yaml'), file('captured.json')], 1, /none\.yaml: cannot be read/],
    ];
    await eachOf(wrong, async ([words, code, why]) => {
      const ran = await hb(words);
      expect([ran.code, ran.stdout], words.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).not.toMatch(/\n {4}at /);
    });
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eachOf, hb, hbJson } from './run-cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-cli-'));
const file = (name: string) => join(directory, name);
const write = (name: string, text: string, mode = 0o600) => {
  writeFileSync(file(name), text, { mode });
  return file(name);
};
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let operator: string;
let agent: string;
let rsaAgent: string;
const keygen = async (name: string, field: string, ...options: string[]) =>
  (await hbJson<Record<string, string>>(['keygen', '--out', file(name), ...options])).value[field] ?? '';
beforeAll(async () => {
  operator = await keygen('operator.jwk', 'didKey');
  agent = await keygen('agent.jwk', 'didKey', '--alg', 'ES256');
  rsaAgent = await keygen('rsa.jwk', 'didJwk', '--alg', 'PS512');
});

const issue = (...options: string[]) => [
  ...['capability', 'issue', '--operator-key', file('operator.jwk'), '--agent', agent, '--audience', 'gateway.local'],
  ...options,
];

interface Issued {
  token: string;
  claims: {
    aud: string | string[];
    iat: number;
    exp: number;
    del_max_depth: number;
    cnf: { jwk: { alg: string } };
    authorization_details: unknown[];
  };
}
const issued = async (...options: string[]) => (await hbJson<Issued>(issue(...options))).value;

describe('capability issue', { timeout: 120_000 }, () => {
  it('grants chat for thirty days, no model and any tool, where nothing else is said', async () => {
    const { claims } = await issued();
    expect(claims).toMatchObject({ iss: operator, sub: operator, client_id: agent, aud: 'gateway.local', del_max_depth: 0 });
    expect(claims.exp - claims.iat).toBe(30 * 86_400);
    expect(claims.authorization_details).toEqual([{ type: 'llm_access', actions: ['chat'] }]);
  });

  it('says what its options say', async () => {
    const options = ['--action', 'chat', '--action', 'embed', '--model', 'openai/gpt-5*', '--model', 'gemini/gemini-2*'];
    options.push('--tool', 'web_search', '--max-output-tokens', '4096', '--max-input-bytes', '100000');
    const { claims } = await issued(...options, '--lifetime', '12h', '--max-depth', '2', '--audience', 'other.gateway');
    expect(claims.aud).toEqual(['gateway.local', 'other.gateway']);
    expect([claims.exp - claims.iat, claims.del_max_depth]).toEqual([12 * 3600, 2]);
    const max = { output_tokens: 4096, input_bytes: 100_000 };
    const models = ['openai/gpt-5*', 'gemini/gemini-2*'];
    expect(claims.authorization_details).toEqual([
      { type: 'llm_access', actions: ['chat', 'embed'], models, tools: ['web_search'], max },
    ]);
    expect((await issued('--no-tools')).claims.authorization_details).toMatchObject([{ tools: [] }]);
  });

  it('takes a whole entry from --details, for what has no option of its own', async () => {
    const details = { type: 'llm_access', actions: ['mcp'], tools: ['mcp:github/*'], max: { tools: 3 } };
    const { claims } = await issued('--details', write('details.json', JSON.stringify(details)));
    expect(claims.authorization_details).toEqual([details]);
  });

  it('binds an RSA key to the algorithm that --alg says, where the key leaves a choice', async () => {
    const rsa = await hbJson<Record<string, string>>(['did', '--key', file('rsa.jwk')]);
    // The did:jwk names the algorithm, so there is none left to choose.
    const fixed = ['capability', 'issue', '--operator-key', file('operator.jwk'), '--audience', 'g', '--agent'];
    const own = await hbJson<Issued>([...fixed, rsaAgent]);
    expect(own.value.claims.cnf.jwk.alg).toBe('PS512');
    const refused = await hb([...fixed, rsaAgent, '--alg', 'PS256']);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("--alg: the agent's key is for PS512")]);
    const open = rsa.value.didKey ?? '';
    for (const alg of ['PS256', 'PS512']) {
      const { value, stderr } = await hbJson<Issued>([...fixed, open, '--alg', alg]);
      expect(value.claims?.cnf.jwk.alg, stderr).toBe(alg);
    }
  });

  it('prints the token alone, for a file', async () => {
    const { code, stdout, stderr } = await hb(issue());
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  });

  it('says what is wrong', async () => {
    const secret = write('secret.txt', 'sk-live-this-is-secret');
    const wrong: [options: string[], code: number, why: RegExp][] = [
      [['--action', 'talk'], 1, /actions\.0: /],
      [['--model', '*'], 1, /models\.0: must be provider\/model/],
      [['--model', 'openai/*mini'], 1, /models\.0: must be provider\/model/],
      [['--tool', '*'], 1, /tools\.0: must be a tool name/],
      [['--tool', 'web_search', '--no-tools'], 2, /leave --tool out/],
      [['--max-output-tokens', 'many'], 2, /whole number/],
      [['--max-input-bytes', '-1'], 2, /whole number/],
      [['--lifetime', '30'], 2, /d, h, m or s/],
      [['--lifetime', '0d'], 2, /longer than nothing/],
      [['--max-depth', '6'], 1, /at most 5 deep/],
      [['--details', secret], 1, /secret\.txt is not JSON/],
      [['--details', file('none.json')], 1, /none\.json does not exist/],
      [['--details', directory], 1, /is a directory/],
      [['--details', write('unknown.json', '{"type":"llm_access","actions":["chat"],"colour":1}')], 1, /colour/],
      [['--operator', agent], 1, /has no such key under assertionMethod/],
      [['--operator-key', file('none.jwk')], 1, /--operator-key: .*none\.jwk is missing/],
      [['--operator-key', secret], 1, /neither a private JWK nor PEM/],
      [['--operator-key', write('open.jwk', '{}', 0o644)], 1, /can be read by others; run: chmod 600/],
      [['--colour', 'red'], 2, /unknown option '--colour'/],
    ];
    await eachOf(wrong, async ([options, code, why]) => {
      const ran = await hb(issue(...options));
      expect([ran.code, ran.stdout], options.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).not.toMatch(/sk-live|\n {4}at /);
    });
  });

  it('says of a folder that it is one, not how to open it to nobody else', async () => {
    mkdirSync(file('folder'), { mode: 0o755 });
    const { code, stderr } = await hb(issue('--operator-key', file('folder')));
    expect(code).toBe(1);
    expect(stderr).toMatch(/folder .*directory/);
    expect(stderr).not.toContain('chmod');
  });
});

describe('capability inspect', { timeout: 120_000 }, () => {
  it('holds: as an argument, a file, or standard input', async () => {
    const { token } = await issued('--model', 'openai/gpt-5*');
    const named = await hbJson(['capability', 'inspect', token]);
    expect([named.code, named.value.valid, named.value.problems]).toEqual([0, true, []]);
    const read = await hb(['capability', 'inspect', write('agent.capability', `${token}\n`)]);
    expect([read.code, read.stdout]).toEqual([0, expect.stringMatching(/openai\/gpt-5\*[\s\S]*\nholds\n$/)]);
    const piped = await hb(['capability', 'inspect', '-'], { input: `${token}\n` });
    expect([piped.code, piped.stdout]).toEqual([0, read.stdout]);
  });

  it('does not hold, and why', async () => {
    const { token } = await issued('--lifetime', '1s');
    const [header, payload, signature = ''] = token.split('.');
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const forged = await hbJson(['capability', 'inspect', `${header}.${payload}.${flipped}`]);
    expect([forged.code, forged.value.valid]).toEqual([1, false]);
    expect(forged.value.problems).toContain('the signature does not verify under a key of its issuer');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const expired = await hb(['capability', 'inspect', token]);
    expect([expired.code, expired.stdout]).toEqual([1, expect.stringMatching(/does not hold: it has expired\n$/)]);
  });

  it('says what is wrong with something else', async () => {
    const wrong: [words: string[], code: number, why: RegExp][] = [
      [[], 2, /missing required argument 'token'/],
      [[write('empty', '\n')], 1, /there is no token/],
      [['none.capability'], 1, /none\.capability does not exist/],
      [[directory], 1, /is a directory/],
      [['eyJ.eyJ.eyJ'], 1, /./],
      [[write('junk', 'not a token')], 1, /./],
    ];
    await eachOf(wrong, async ([words, code, why]) => {
      const ran = await hb(['capability', 'inspect', ...words]);
      expect([ran.code, ran.stdout], words.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).not.toMatch(/\n {4}at /);
    });
  });
});

describe('capability narrow', { timeout: 120_000 }, () => {
  const narrow = (chain: string, key: string, ...options: string[]) => [
    ...['capability', 'narrow', chain, '--key', file(key)],
    ...options,
  ];
  interface Minted {
    token: string;
    chain: string[];
    claims: Record<string, unknown>;
  }
  const rootFile = async (name: string, ...options: string[]) =>
    write(name, (await issued('--model', 'openai/gpt-5*', '--max-depth', '3', ...options)).token);
  let session: string;
  let helper: string;
  beforeAll(async () => {
    session = await keygen('session.jwk', 'didKey');
    helper = await keygen('helper.jwk', 'didKey');
  });

  it('opens a session, passes a task on, and the whole chain holds', async () => {
    const root = await rootFile('root.capability', '--max-output-tokens', '1000');
    const opened = await hbJson<Minted>(narrow(root, 'agent.jwk', '--bound-to', file('session.jwk'), '--session'));
    const { claims } = opened.value;
    expect(claims).toMatchObject({ client_id: agent, del_depth: 1, sid: expect.stringMatching(/^[\w-]{22}$/) });
    expect(Number(claims.exp) - Number(claims.iat)).toBe(12 * 3600);
    expect(claims.authorization_details).toEqual([
      { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'], max: { output_tokens: 1000 } },
    ]);
    const chain = write('session.capability', opened.value.chain.join('\n'));
    const options = [
      '--agent',
      helper,
      '--task',
      't-1',
      '--model',
      'openai/gpt-5-mini',
      '--no-tools',
      '--max-input-bytes',
      '500',
    ];
    const passed = await hb(narrow(chain, 'session.jwk', ...options, '--max-depth', '2'));
    expect([passed.code, passed.stderr]).toEqual([0, '']);
    expect(passed.stdout.trim().split('\n')).toHaveLength(3);
    const inspected = await hbJson<{ valid: boolean; problems: string[]; tokens: { claims: Record<string, unknown> }[] }>(
      ['capability', 'inspect', '-'],
      { input: passed.stdout },
    );
    expect([inspected.code, inspected.value.problems]).toEqual([0, []]);
    expect(inspected.value.tokens[2]?.claims).toMatchObject({
      client_id: helper,
      sid: claims.sid,
      task: 't-1',
      del_max_depth: 2,
      authorization_details: [
        {
          type: 'llm_access',
          actions: ['chat'],
          models: ['openai/gpt-5-mini'],
          tools: [],
          max: { output_tokens: 1000, input_bytes: 500 },
        },
      ],
    });
    const shown = await hb(['capability', 'inspect', root, ...opened.value.chain.slice(1)]);
    expect(shown.stdout).toMatch(/^the root token\n[\s\S]*\nlink 1\n[\s\S]*\nholds\n$/);
  });

  it('says what is wrong', async () => {
    const root = await rootFile('narrow-root.capability', '--max-output-tokens', '1000');
    const flat = write('flat.capability', (await issued()).token);
    const to = ['--bound-to', file('session.jwk')];
    const wrong: [words: string[], code: number, why: RegExp][] = [
      [narrow(root, 'agent.jwk'), 2, /--bound-to, or another agent with --agent/],
      [narrow(root, 'session.jwk', ...to), 1, /not the one that the parent is bound to/],
      [narrow(flat, 'agent.jwk', ...to), 1, /deeper than the chain may go/],
      [narrow(root, 'agent.jwk', ...to, '--model', 'anthropic/*'), 1, /authorization_details: models/],
      [narrow(root, 'agent.jwk', ...to, '--action', 'image'), 1, /authorization_details: actions/],
      [narrow(root, 'agent.jwk', ...to, '--max-output-tokens', '1001'), 1, /max\.output_tokens/],
      [narrow(root, 'agent.jwk', ...to, '--audience', 'other.gateway'), 1, /\(aud\)/],
      [narrow(root, 'agent.jwk', ...to, '--max-depth', '4'), 1, /del_max_depth/],
      [narrow(root, 'agent.jwk', ...to, '--lifetime', '0s'), 2, /longer than nothing/],
      [narrow(root, 'agent.jwk', ...to, '--alg', 'ES256'), 1, /--alg: the key is for Ed25519/],
      [narrow(root, 'agent.jwk', '--agent', 'did:web:a.example'), 1, /not accepted here/],
      [narrow(root, 'agent.jwk', '--bound-to', file('none.jwk')), 1, /none\.jwk does not exist/],
      [narrow(file('none.capability'), 'agent.jwk', ...to), 1, /does not exist/],
    ];
    await eachOf(wrong, async ([words, code, why]) => {
      const ran = await hb(words);
      expect([ran.code, ran.stdout], words.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).not.toMatch(/\n {4}at |"d"/);
    });
  });

  it('never comes back to an agent that the chain has left', async () => {
    const root = await rootFile('cycle-root.capability');
    const there = await hb(narrow(root, 'agent.jwk', '--agent', helper));
    const back = await hb(narrow(write('there', there.stdout), 'helper.jwk', '--agent', agent));
    expect([back.code, back.stderr]).toEqual([1, expect.stringContaining('link 2 comes back to an agent')]);
  });

  it('and inspect names the token that breaks a chain', async () => {
    const root = await rootFile('broken-root.capability');
    const minted = (await hbJson<Minted>(narrow(root, 'agent.jwk', '--bound-to', file('session.jwk')))).value;
    const deeper = (await hbJson<Minted>(narrow(write('two', minted.chain.join('\n')), 'session.jwk', '--agent', session))).value;
    const [first = '', second = '', third = ''] = deeper.chain;
    const [header = '', payload = '', signature = ''] = second.split('.');
    const flipped = `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const other = await rootFile('other-root.capability');
    const broken: [tokens: string[], why: RegExp][] = [
      [[first, third], /link 1 is not issued by the key of the token above it \(iss\)/],
      [[first, third, second], /link 1 is not issued/],
      [[other, second], /link 1 belongs under another token \(par_hash\)/],
      [[first, flipped], /link 1 does not verify under the key of the token above it/],
    ];
    await eachOf(broken, async ([tokens, why]) => {
      const { code, value } = await hbJson<{ valid: boolean; problems: string[] }>(['capability', 'inspect', ...tokens]);
      expect([code, value.valid]).toEqual([1, false]);
      expect(value.problems.join('; ')).toMatch(why);
    });
  });

  it('and inspect says what it cannot see offline', async () => {
    const root = await rootFile('webvh-root.capability');
    const details = ['--agent', 'did:webvh:QmSomething:vault.example:a', '--bound-to', file('helper.jwk')];
    const { stdout } = await hb(narrow(root, 'agent.jwk', ...details));
    const { code, value } = await hbJson<{ valid: boolean; problems: string[]; unseen: string[] }>(
      ['capability', 'inspect', '-'],
      {
        input: stdout,
      },
    );
    expect([code, value.valid, value.problems]).toEqual([1, false, []]);
    expect(value.unseen).toEqual(['whether cnf.jwk is a current key of did:webvh:QmSomething:vault.example:a']);
  });
});

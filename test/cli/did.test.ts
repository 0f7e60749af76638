import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentState, type DidState, dropExpired, expireKeys, withKey, withoutKeys } from '../../src/operator/did-state.ts';
import { firstEntry, nextEntry } from '../../src/vault/webvh/author-log.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { deriveUpdateKey } from '../../src/vault/webvh/update-key.ts';
import { keyOf } from '../keys.ts';
import { eachOf, hb, hbJson } from './run-cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-cli-'));
const file = (name: string) => join(directory, name);
const write = (name: string, text: string) => {
  writeFileSync(file(name), text, { mode: 0o600 });
  return file(name);
};
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('did', { timeout: 120_000 }, () => {
  it.each([
    ['nothing', [], 2, /name a DID, or a key file with --key/],
    ['two DIDs', ['did:key:z1', 'did:key:z2'], 2, /too many arguments/],
    ['no DID', ['agent-7'], 1, /not a did:key or did:jwk/],
    ['a method that is not accepted', ['did:example:123'], 1, /"example" is not accepted here: use did:key or did:jwk/],
    ['a did:key that does not decode', ['did:key:z6MkNotAKey'], 1, /key/],
    ['a key file that is not there', ['--key', file('none.jwk')], 1, /none\.jwk does not exist/],
    ['a folder for a key file', ['--key', directory], 1, /is a directory/],
  ])('says what is wrong with %s', async (_what, words, expected, why) => {
    const { code, stdout, stderr } = await hb(['did', ...words]);
    expect([code, stdout]).toEqual([expected, '']);
    expect(stderr).toMatch(why);
    expect(stderr).not.toMatch(/\n {4}at /);
  });

  it('does not repeat what it takes for a key', async () => {
    writeFileSync(file('secret.txt'), 'sk-live-this-is-secret', { mode: 0o600 });
    const { code, stderr } = await hb(['did', '--key', file('secret.txt')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/neither a private JWK nor PEM/);
    expect(stderr).not.toContain('sk-live');
  });
});

const location = 'vault.example:agents:acme:reader';
const seed = randomBytes(32);
const keyAt = (version: number) => deriveUpdateKey(seed, location, version);
const START = Date.parse('2026-05-04T10:00:00Z');
const MINUTE = 60_000;

/** A rotation in three versions, a minute apart, and the end in a fourth. */
async function writeLog(): Promise<{ did: string; lines: string[] }> {
  const verifier = LogVerifier.start();
  const [old, young] = [keyOf('old').publicKey, keyOf('young', 'ES256').publicKey];
  const state = (did: string) => agentState(did, 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK', old);
  const { did, line } = firstEntry({ location, state, updateKey: keyAt(1), nextUpdateKey: keyAt(2).publicKey, now: START });
  const lines = [line];
  const next = async (change: (state: DidState) => DidState, deactivate = false) => {
    const log = await verifier.verify({ did, log: lines.join('\n'), witness: undefined, now: START + 60 * MINUTE });
    const at = lines.length;
    const keys = { updateKey: keyAt(at + 1), nextUpdateKey: keyAt(at + 2).publicKey };
    lines.push(nextEntry({ log, state: change(log.state), ...keys, now: START + at * MINUTE, deactivate }).line);
  };
  const end = START + MINUTE * 2;
  await next((before) => withKey(expireKeys(before, end), young, { number: 2, purposes: ['capabilityInvocation'] }));
  await next((before) => dropExpired(before, end));
  await next(withoutKeys, true);
  verifier.close();
  return { did, lines };
}

let did: string;
let lines: string[];
beforeAll(async () => {
  ({ did, lines } = await writeLog());
  write('did.jsonl', `${lines.join('\n')}\n`);
  write('active.jsonl', `${lines.slice(0, 3).join('\n')}\n`);
});

interface Resolution {
  didResolutionMetadata: { contentType?: string; error?: string };
  didDocument: { id: string; verificationMethod: { id: string }[] } | null;
  didDocumentMetadata: Record<string, unknown>;
}

describe('did resolve', { timeout: 120_000 }, () => {
  const resolve = (query: string, log = 'did.jsonl') =>
    hbJson<Resolution>(['did', 'resolve', `${did}${query}`, '--log', file(log)]);
  const fragments = ({ didDocument }: Resolution) =>
    didDocument?.verificationMethod.map(({ id }) => id.slice(did.length)) ?? null;

  it('gives the last version, with what is known of it', async () => {
    const { code, value } = await resolve('', 'active.jsonl');
    expect([code, fragments(value)]).toEqual([0, ['#key-2']]);
    expect(value.didResolutionMetadata).toEqual({ contentType: 'application/did' });
    expect(value.didDocumentMetadata).toMatchObject({
      versionNumber: 3,
      versions: 3,
      created: '2026-05-04T10:00:00Z',
      updated: '2026-05-04T10:02:00Z',
      versionTime: '2026-05-04T10:02:00Z',
      deactivated: false,
      portable: true,
      prerotation: true,
    });
    const text = await hb(['did', 'resolve', did, '--log', file('active.jsonl')]);
    expect([text.code, text.stderr]).toEqual([0, '']);
    expect(text.stdout).toMatch(/#key-2[\s\S]*\nversionNumber +3\n/);
  });

  it('gives any version, by its id, its number, or a time at which it was in force', async () => {
    const { versionId } = JSON.parse(lines[1] ?? '') as { versionId: string };
    const asked: [query: string, version: number, keys: string[]][] = [
      ['?versionNumber=1', 1, ['#key-1']],
      [`?versionId=${versionId}`, 2, ['#key-1', '#key-2']],
      ['?versionTime=2026-05-04T10:01:59Z', 2, ['#key-1', '#key-2']],
      ['?versionTime=2026-05-04T12:02:00%2B02:00', 3, ['#key-2']],
      ['?versionTime=2026-05-04T12:02:00+02:00', 3, ['#key-2']],
    ];
    await eachOf(asked, async ([query, version, keys]) => {
      const { code, value } = await resolve(query);
      expect([code, value.didDocumentMetadata.versionNumber, fragments(value)], query).toEqual([0, version, keys]);
      // Of the DID, whichever version was asked for.
      expect(value.didDocumentMetadata).toMatchObject({ deactivated: true, updated: '2026-05-04T10:03:00Z' });
    });
  });

  it('gives no document of one that is deactivated', async () => {
    const { code, value } = await resolve('');
    expect([code, value.didDocument]).toEqual([0, null]);
    expect(value.didDocumentMetadata).toMatchObject({ deactivated: true, versionNumber: 4 });
  });

  it('gives a document for a DID that is a key, like the reader of documents takes', async () => {
    const key = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK';
    const { code, value } = await hbJson<Resolution>(['did', 'resolve', key]);
    expect([code, value.didDocument]).toMatchObject([0, { id: key, verificationMethod: [{ id: `${key}#${key.slice(8)}` }] }]);
  });

  it('says what is wrong, and in the words of DID Resolution with --json', async () => {
    write('cut.jsonl', `${[lines[0], lines[2]].join('\n')}\n`);
    write('flipped.jsonl', `${lines[0]?.replace('"alg":"Ed25519"', '"alg":"ed25519"')}\n`);
    const other = did.replace('reader', 'writer');
    const wrong: [words: string[], code: number, error: string | undefined, why: RegExp][] = [
      [[`${did}?versionNumber=9`, '--log', file('did.jsonl')], 1, 'notFound', /does not have the version/],
      [[`${did}?versionTime=2026-05-04T09:59:59Z`, '--log', file('did.jsonl')], 1, 'notFound', /does not have the version/],
      [[did, '--log', file('cut.jsonl')], 1, 'invalidDid', /entry 2 does not have the hash/],
      [[did, '--log', file('flipped.jsonl')], 1, 'invalidDid', /entry 1 does not have the hash/],
      [[other, '--log', file('did.jsonl')], 1, 'invalidDid', /log is of another DID/],
      [['did:example:1'], 1, 'methodNotSupported', /"example" is not accepted/],
      [['did:webvh:short:vault.example'], 1, 'invalidDid', /SCID/],
      [[did.replace('vault.example', 'localhost')], 1, 'invalidDid', /localhost/],
      [[did, '--log', file('none.jsonl')], 1, undefined, /none\.jsonl does not exist/],
      [[`${did}?versionNumber=1&versionNumber=2`], 2, undefined, /in one way/],
      [[`${did}?versionTime=yesterday`], 2, undefined, /versionTime=2026/],
      [[`${did}?colour=red`], 2, undefined, /versionId=NUMBER-HASH/],
      [[`${did}#key-1`], 2, undefined, /without a fragment/],
      [['did:key:z1?versionNumber=1'], 2, undefined, /only a did:webvh has versions/],
      [['did:key:z1', '--log', file('did.jsonl')], 2, undefined, /only a did:webvh has a --log/],
      [[did, '--witness', file('did.jsonl')], 2, undefined, /--witness goes with --log/],
      [[did, '--allow-address', '10.0.0.1/8'], 2, undefined, /write 10\.0\.0\.0\/8/],
      [[did, '--resolve', 'vault.example'], 2, undefined, /HOST:ADDRESS/],
    ];
    await eachOf(wrong, async ([words, code, error, why]) => {
      const ran = await hb(['did', 'resolve', ...words]);
      expect([ran.code, ran.stdout], words.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).not.toMatch(/\n {4}at /);
      if (error === undefined) return;
      const { value } = await hbJson<Resolution>(['did', 'resolve', ...words]);
      expect(value).toMatchObject({ didResolutionMetadata: { error }, didDocument: null });
    });
  });

  it('goes nowhere that it may not go: not to an address that is not public', async () => {
    const words = ['did', 'resolve', did, '--resolve', 'vault.example:127.0.0.1'];
    expect(await hb(words)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/may be connected to.*--allow-address/),
    });
    const refused = await hb([...words, '--allow-address', '127.0.0.0/8']);
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/cannot be read now/) });
  });
});

describe('did verify', { timeout: 120_000 }, () => {
  it('names every entry that holds', async () => {
    const { code, stdout, stderr } = await hb(['did', 'verify', file('did.jsonl'), '--did', did]);
    expect([code, stderr]).toEqual([0, '']);
    const shown = stdout.trim().split('\n');
    expect(shown).toHaveLength(5);
    for (const [at, line] of shown.slice(0, 4).entries()) expect(line).toMatch(new RegExp(`^pass  ${at + 1}-Qm`));
    expect(shown[4]).toBe(`=> ${did} verifies, and is deactivated`);
    const { value } = await hbJson(['did', 'verify', file('active.jsonl')]);
    expect(value).toMatchObject({ did, valid: true, versions: [{ version: 1 }, { version: 2 }, { version: 3 }] });
  });

  it('names the first that does not, and exits 1', async () => {
    const changed = (at: number, change: (line: string) => string) =>
      lines.map((line, number) => (number === at ? change(line) : line));
    const proofOf = (line: string) => (JSON.parse(line) as { proof: unknown[] }).proof;
    const cases: [name: string, lines: string[], badEntry: number, why: RegExp][] = [
      ['state', changed(1, (line) => line.replace('#key-2', '#key-3')), 2, /hash/],
      ['proof', changed(2, (line) => JSON.stringify({ ...JSON.parse(line), proof: proofOf(lines[1] ?? '') })), 3, /./],
      ['no proof', changed(0, (line) => JSON.stringify({ ...JSON.parse(line), proof: [] })), 1, /proof/],
      ['missing', lines.filter((_, at) => at !== 1), 2, /entry 2/],
      ['twice', [...lines.slice(0, 2), ...lines.slice(1)], 3, /entry 3/],
      ['after the end', [...lines, lines[3] ?? ''], 5, /deactivated/],
      ['no JSON', [...lines.slice(0, 3), 'text'], 4, /entry 4 is not JSON/],
    ];
    await eachOf(cases, async ([name, bad, badEntry, why]) => {
      const path = write(`${name}.jsonl`, `${bad.join('\n')}\n`);
      const { code, value } = await hbJson<{ problem: string; versions: unknown[] }>(['did', 'verify', path]);
      expect([code, value], name).toMatchObject([1, { valid: false, badEntry, problem: expect.stringMatching(why) }]);
      expect(value.versions, name).toHaveLength(badEntry - 1);
      const text = await hb(['did', 'verify', path]);
      expect(text.code).toBe(1);
      expect(text.stdout).toMatch(new RegExp(`^FAIL  entry ${badEntry}: .*\n=> the log does not verify\n$`, 'm'));
    });
  });

  it('holds a log against the DID that it must be of', async () => {
    const { code, value } = await hbJson(['did', 'verify', file('did.jsonl'), '--did', did.replace('reader', 'writer')]);
    expect([code, value]).toMatchObject([1, { valid: false, problem: expect.stringContaining('another DID') }]);
    expect((await hb(['did', 'verify', file('did.jsonl'), '--did', did.replace('reader', 'writer')])).stdout).toContain(
      'FAIL  the log as a whole',
    );
  });

  it('says what is wrong with something else', async () => {
    const wrong: [words: string[], code: number, why: RegExp][] = [
      [[], 2, /missing required argument 'log'/],
      [[file('none')], 1, /none does not exist/],
      [[directory], 1, /is a directory/],
      [['did:key:z1'], 1, /not a did:webvh/],
      [[did, '--did', did], 2, /go with a file/],
    ];
    await eachOf(wrong, async ([words, code, why]) => {
      const ran = await hb(['did', 'verify', ...words]);
      expect([ran.code, ran.stdout], words.join(' ')).toEqual([code, '']);
      expect(ran.stderr).toMatch(why);
    });
    const empty = await hb(['did', 'verify', write('empty.jsonl', '')]);
    expect([empty.code, empty.stdout]).toEqual([1, expect.stringContaining('the log is empty')]);
  });
});

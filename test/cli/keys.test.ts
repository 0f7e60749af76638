import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hb, hbJson } from './run-cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-cli-'));
const file = (name: string) => join(directory, name);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('keygen', { timeout: 120_000 }, () => {
  it.each(['Ed25519', 'ES256', 'PS256', 'PS512'])(
    'makes a key for %s that only its owner can read, and whose DIDs resolve to it',
    async (alg) => {
      const out = file(`${alg}.jwk`);
      const made = await hbJson<Record<string, string>>(['keygen', '--alg', alg, '--out', out]);
      expect([made.code, made.stderr]).toEqual([0, '']);
      expect(statSync(out).mode & 0o777).toBe(0o600);
      const jwk = JSON.parse(readFileSync(out, 'utf8'));
      expect(jwk.alg).toBe(alg);
      for (const member of ['d', 'p', 'q']) if (jwk[member]) expect(made.stdout).not.toContain(jwk[member]);
      const shown = await hbJson(['did', '--key', out]);
      expect(shown.value).toMatchObject({ didKey: made.value.didKey, didJwk: made.value.didJwk, jkt: made.value.jkt });
      for (const did of ['didKey', 'didJwk']) {
        const resolved = await hbJson<{ verificationMethods: unknown[] }>(['did', made.value[did] ?? '']);
        expect(resolved.code, `${did}: ${resolved.stdout}`).toBe(0);
        expect(resolved.value.verificationMethods).toMatchObject([{ jkt: made.value.jkt }]);
      }
    },
  );

  it('never overwrites, and says so', async () => {
    writeFileSync(file('there.jwk'), 'mine');
    const { code, stdout, stderr } = await hb(['keygen', '--out', file('there.jwk')]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/there\.jwk exists: a key is never overwritten; choose another --out/);
    expect(readFileSync(file('there.jwk'), 'utf8')).toBe('mine');
  });

  it.each([
    ['a folder that is not there', ['--out', file('none/key.jwk')], 1, /none\/key\.jwk cannot be written/],
    ['a folder', ['--out', directory], 1, /exists/],
    ['no --out', [], 2, /--out/],
    ['an unknown algorithm', ['--alg', 'EdDSA', '--out', file('x')], 2, /Ed25519, ES256, PS256, PS512/],
  ])('says what is wrong with %s', async (_what, options, expected, why) => {
    const { code, stdout, stderr } = await hb(['keygen', ...options]);
    expect([code, stdout]).toEqual([expected, '']);
    expect(stderr).toMatch(why);
  });
});

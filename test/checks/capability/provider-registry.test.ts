// Every file in providers/ is found, and a wrong one is named.

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadProviders } from '../../../src/checks/capability/provider-registry.ts';
import { compileApi, matchOperation } from '../../../src/checks/capability/read-operation.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'providers-'));
});
afterEach(() => rm(folder, { recursive: true }));

const load = () => loadProviders(pathToFileURL(`${folder}/`));
const add = (file: string, text: string) => writeFile(join(folder, file), text);
const table = (name: string, more = '', path = '/v1/x') =>
  `export const provider = { name: '${name}', credential: { header: 'authorization', prefix: 'Bearer ' }, baseUrl: { environment: 'X_URL', suffix: '' }, ${more}
  operations: [{ method: 'POST', path: '${path}', body: 'json', wants: () => ({ action: 'chat', model: 'm', tools: [], outputTokens: 0 }) }] };`;

describe('loadProviders', () => {
  it('finds every file of the folder under the name of its file', async () => {
    const files = await readdir(new URL('../../../src/checks/capability/providers/', import.meta.url));
    const names = [...(await loadProviders()).keys()];
    expect(names.sort()).toEqual(files.map((file) => file.replace(/\.ts$/, '')).sort());
    expect(names).toEqual(expect.arrayContaining(['anthropic', 'azure-openai', 'bedrock', 'gemini', 'openai']));
  });
  it('matches every operation of every table by its own template', async () => {
    for (const api of (await loadProviders()).values()) {
      compileApi(api);
      for (const operation of api.operations) {
        expect(matchOperation(api, operation.method, operation.path.replaceAll(/\{\w+\}/g, 'some-model'))?.operation).toBe(
          operation,
        );
      }
    }
  });
  it('needs one new file only, and ignores declarations and other files', async () => {
    await add('mine.ts', table('mine'));
    await add('mine.d.ts', 'export {};');
    await add('README.md', 'x');
    expect([...(await load()).keys()]).toEqual(['mine']);
  });
  it.each<[string, string, RegExp]>([
    ['no export', 'export const other = 1;', /^providers\/bad\.ts: does not export `provider`/],
    ['a syntax error', 'export const = 1;', /^providers\/bad\.ts: /],
    ['an unknown member', table('bad', 'colour: 1,'), /^providers\/bad\.ts: [\s\S]*colour/],
    ['an upstream without TLS', table('bad', "upstream: 'http://x.test',"), /^providers\/bad\.ts: [\s\S]*upstream/],
    ['an upper-case name', table('Bad'), /^providers\/bad\.ts: [\s\S]*lower-case/],
    ['a wrong template', table('bad', '', '/v1/{x'), /^providers\/bad\.ts: POST \/v1\/\{x has a template/],
    [
      'an operation without reader',
      table('bad').replace(/wants: .*\}\) \}\]/, '}]'),
      /^providers\/bad\.ts: [\s\S]*must be a function/,
    ],
    ['a body for GET', table('bad').replace("'POST'", "'GET'"), /^providers\/bad\.ts: [\s\S]*only POST has a body/],
  ])('names the file with %s', async (_, text, message) => {
    await add('bad.ts', text);
    await expect(load()).rejects.toThrow(message);
  });
  it('names both files of one name', async () => {
    await add('a.ts', table('same'));
    await add('b.ts', table('same'));
    await expect(load()).rejects.toThrow('providers/b.ts: the name same is taken by providers/a.ts');
  });
});

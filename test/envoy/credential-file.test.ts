import { mkdirSync, readFileSync, renameSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { credentialFile } from '../../src/envoy/credential-file.ts';
import { post, startUpstream, type Upstream } from './loopback.ts';
import { type Scene, startScene, temporaryDirectory } from './scene.ts';

const slow = { timeout: 120_000 };

/** Waits until a call reaches the provider with `key`, or, without one, until calls are refused and none reaches it. */
async function untilSent(scene: Scene, upstream: Upstream, key: string | undefined): Promise<void> {
  await vi.waitFor(
    async () => {
      upstream.received.length = 0;
      const answer = await post(scene.port, { path: '/local/x', headers: { authorization: 'Bearer of-the-agent' } });
      const sent = upstream.received.map((request) => request.headers.authorization);
      if (key === undefined) expect({ status: answer.status, sent }).toEqual({ status: 503, sent: [] });
      else expect({ status: answer.status, sent }).toEqual({ status: 200, sent: [`Bearer ${key}`] });
    },
    { timeout: 5000, interval: 50 },
  );
}

describe('a provider key is replaced in a running Envoy', slow, () => {
  test('by rename, in place, with or without a line end; deleted or empty, nothing is forwarded', async () => {
    using keys = temporaryDirectory();
    const file = join(keys.path, 'key');
    const rename = (key: string) => {
      writeFileSync(`${file}.new`, key);
      renameSync(`${file}.new`, file);
    };
    writeFileSync(file, 'sk-1\n');
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url, credential: { file } });
    await untilSent(scene, upstream, 'sk-1');
    rename('sk-2\n');
    await untilSent(scene, upstream, 'sk-2');
    writeFileSync(file, 'sk-3');
    await untilSent(scene, upstream, 'sk-3');
    writeFileSync(file, 'sk-4\r\n');
    await untilSent(scene, upstream, 'sk-4');
    unlinkSync(file);
    await untilSent(scene, upstream, undefined);
    rename('sk-5');
    await untilSent(scene, upstream, 'sk-5');
    writeFileSync(file, '');
    await untilSent(scene, upstream, undefined);
    writeFileSync(file, 'sk-6');
    await untilSent(scene, upstream, 'sk-6');
  });

  test.each([50, 0])(
    'as Kubernetes does, by a swap of ..data (our own watch every %i ms; 0: Envoy alone)',
    async (watchMillis) => {
      using keys = temporaryDirectory();
      const publish = (version: string, key: string) => {
        mkdirSync(join(keys.path, `..${version}`));
        writeFileSync(join(keys.path, `..${version}`, 'key'), key);
        symlinkSync(`..${version}`, join(keys.path, '..data_tmp'));
        renameSync(join(keys.path, '..data_tmp'), join(keys.path, '..data'));
      };
      publish('1', 'sk-1\n');
      symlinkSync('..data/key', join(keys.path, 'key'));
      await using upstream = await startUpstream();
      await using scene = await startScene({ upstream: upstream.url, credential: { file: join(keys.path, 'key') }, watchMillis });
      await untilSent(scene, upstream, 'sk-1');
      publish('2', 'sk-2\n');
      await untilSent(scene, upstream, 'sk-2');
      publish('3', 'sk-3\n');
      await untilSent(scene, upstream, 'sk-3');
    },
  );

  test('by rename with Envoy alone, when our program is gone', async () => {
    using keys = temporaryDirectory();
    const file = join(keys.path, 'key');
    writeFileSync(file, 'sk-1');
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url, credential: { file }, watchMillis: 0 });
    await untilSent(scene, upstream, 'sk-1');
    writeFileSync(`${file}.new`, 'sk-2');
    renameSync(`${file}.new`, file);
    await untilSent(scene, upstream, 'sk-2');
  });
});

test(
  'without a credential the missing key is the gateway’s own fault, 503, and the client’s is not forwarded',
  slow,
  async () => {
    await using upstream = await startUpstream();
    await using scene = await startScene({ upstream: upstream.url, provider: { name: 'another' } });
    const answer = await post(scene.port, { path: '/local/x', headers: { authorization: 'Bearer of-the-agent' } });
    expect(answer).toMatchObject({ status: 503, headers: { 'content-type': 'application/problem+json' } });
    expect(JSON.parse(answer.body)).toMatchObject({ type: 'about:blank', title: 'Provider Credential Missing', status: 503 });
    expect(upstream.received).toEqual([]);
  },
);

describe('the SDS file', () => {
  test('is for its owner alone and names a key file without holding the key', async () => {
    using directory = temporaryDirectory();
    const key = join(directory.path, 'key');
    writeFileSync(key, 'sk-secret\n');
    const sdsFile = join(directory.path, 'run', 'openai.json');
    const { close } = await credentialFile({ name: 'openai', source: { file: key }, sdsFile });
    await close();
    expect(statSync(sdsFile).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory.path, 'run')).mode & 0o777).toBe(0o700);
    expect(readFileSync(sdsFile, 'utf8')).not.toContain('sk-secret');
    expect(JSON.parse(readFileSync(sdsFile, 'utf8'))).toMatchObject({
      resources: [{ name: 'openai', generic_secret: { secret: { filename: key } } }],
    });
  });

  test('tells of a change and of a key that went, without the key', async () => {
    using directory = temporaryDirectory();
    const key = join(directory.path, 'key');
    writeFileSync(key, 'sk-1');
    const changes: { name: string; error?: Error }[] = [];
    const onChange = (change: { name: string; error?: Error }) => changes.push(change);
    const sdsFile = join(directory.path, 'openai.json');
    const { close } = await credentialFile({ name: 'openai', source: { file: key }, sdsFile, watchMillis: 10, onChange });
    writeFileSync(key, 'sk-2');
    await vi.waitFor(() => expect(changes).toEqual([{ name: 'openai' }]));
    writeFileSync(key, 'sk-3 and more');
    await vi.waitFor(() => expect(changes).toHaveLength(2));
    expect(changes[1]?.error?.message).toBe(`key file ${key} holds a blank, a line break or a character beyond ASCII: not a key`);
    await close();
  });

  test.each([
    ['an empty key file', '\n', /is empty/],
    ['a key with a blank', 'sk 1\n', /blank/],
    ['two lines', 'sk-1\nx-evil: 1\n', /line break/],
    ['a key beyond ASCII', 'sk-é', /ASCII/],
  ])('is not written for %s', async (_what, text, message) => {
    using directory = temporaryDirectory();
    const file = join(directory.path, 'key');
    writeFileSync(file, text);
    await expect(credentialFile({ name: 'openai', source: { file }, sdsFile: join(directory.path, 'sds.json') })).rejects.toThrow(
      message,
    );
  });

  test('is not written for a key file that is not there, a relative path or an unset variable', async () => {
    using directory = temporaryDirectory();
    const sdsFile = join(directory.path, 'sds.json');
    const of = (source: { file: string } | { environment: string }) =>
      credentialFile({ name: 'openai', source, sdsFile, environment: {} });
    await expect(of({ file: join(directory.path, 'key') })).rejects.toThrow('ENOENT');
    await expect(of({ file: 'key' })).rejects.toThrow('absolute');
    await expect(of({ environment: 'OPENAI_API_KEY' })).rejects.toThrow('environment variable OPENAI_API_KEY is empty');
  });
});

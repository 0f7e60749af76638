// The thread that verifies logs: started when it is needed, replaced when it is used up, stuck or dead.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UnavailableDid } from '../../../src/vault/did-document.ts';
import { LogVerifier, Overloaded } from '../../../src/vault/webvh/log-verifier.ts';
import { VersionNotFound } from '../../../src/vault/webvh/select-version.ts';
import { InvalidLog } from '../../../src/vault/webvh/verified-log.ts';
import { keyOf } from '../../keys.ts';
import { didOf, first, history, multikey, NOW, next, proofOver, textOf } from './log-maker.ts';

const entries = history(2);
const small = { did: didOf(entries[0]), log: textOf(entries), witness: undefined, now: NOW };
const large = {
  did: undefined,
  log: textOf(longHistory(300)),
  witness: undefined,
  now: NOW + 100 * 3_600_000,
  maxBytes: 1 << 25,
};

let workers: Worker[] = [];
const count = (worker: Worker) => workers.push(worker);
beforeEach(() => {
  workers = [];
  process.on('worker', count);
});
afterEach(() => {
  process.off('worker', count);
});

/** Takes the library seconds. */
function longHistory(length: number) {
  const all = [first({ state: { name: 'x'.repeat(60_000) } })];
  for (let before = all[0]; before !== undefined && all.length < length; before = all.at(-1)) all.push(next(before));
  return all;
}

describe('threads', () => {
  test('none runs before there is something to verify, and one serves all', async () => {
    const verifier = LogVerifier.start();
    expect(workers).toHaveLength(0);
    const logs = await Promise.all(Array.from({ length: 20 }, () => verifier.verify(small)));
    expect(logs.map(({ did }) => did)).toEqual(Array(20).fill(small.did));
    expect(workers).toHaveLength(1);
    await verifier.close();
  });

  test('a fresh one takes over after so many logs, and no log is lost', async () => {
    const verifier = LogVerifier.start({ logsPerThread: 10 });
    const logs = await Promise.all(Array.from({ length: 400 }, () => verifier.verify(small)));
    expect(logs.every(({ did }) => did === small.did)).toBe(true);
    expect(workers.length).toBeGreaterThan(1);
    const before = workers.length;
    for (let times = 0; times < 1000 && workers.length === before; times++) await verifier.verify(small);
    expect(workers.length).toBeGreaterThan(before);
    await verifier.close();
  });

  test('and after so many characters', async () => {
    const verifier = LogVerifier.start({ charactersPerThread: small.log.length * 2 });
    await verifier.verify(small);
    expect(workers).toHaveLength(1);
    await verifier.verify(small);
    expect(workers).toHaveLength(2);
    await verifier.close();
  });

  test('one that does not come to an end is replaced, and what waited is verified', async () => {
    const verifier = LogVerifier.start({ timeLimitMillis: 500 });
    await verifier.verify(small);
    const stuck = verifier.verify(large);
    const behind = verifier.verify(small);
    await expect(stuck).rejects.toThrow(UnavailableDid);
    await expect(stuck).rejects.toThrow('in time');
    expect((await behind).did).toBe(small.did);
    expect(workers).toHaveLength(2);
    await verifier.close();
  });

  test('the same log verifies where there is time', async () => {
    const verifier = LogVerifier.start({ timeLimitMillis: 20_000 });
    expect((await verifier.verify(large)).versionIds).toHaveLength(300);
    await verifier.close();
  });

  test('one that dies is replaced; the log that it was at is not verified, and the next one is', async () => {
    const verifier = LogVerifier.start({ timeLimitMillis: 20_000 });
    await verifier.verify(small);
    const lost = verifier.verify(large);
    const behind = verifier.verify(small);
    setTimeout(() => void workers[0]?.terminate(), 50);
    await expect(lost).rejects.toThrow(UnavailableDid);
    await expect(lost).rejects.toThrow('crashed');
    expect((await behind).did).toBe(small.did);
    await verifier.close();
  });

  test('one that dies while nobody waits is replaced too', async () => {
    const verifier = LogVerifier.start();
    await verifier.verify(small);
    await workers[0]?.terminate();
    expect((await verifier.verify(small)).did).toBe(small.did);
    await verifier.close();
  });
});

describe('answers', () => {
  test('are of the kind that they were on the other side', async () => {
    const verifier = LogVerifier.start();
    await expect(verifier.verify({ ...small, log: 'x' })).rejects.toThrow(InvalidLog);
    await expect(verifier.verify({ ...small, log: 'x' })).rejects.not.toThrow(VersionNotFound);
    await expect(verifier.verify({ ...small, select: { versionNumber: 9 } })).rejects.toThrow(VersionNotFound);
    await verifier.close();
  });

  test('more logs than can wait are refused at once', async () => {
    const verifier = LogVerifier.start({ mostWaiting: 3 });
    const asked = Array.from({ length: 5 }, () => verifier.verify(small));
    const settled = await Promise.allSettled(asked);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
    await expect(asked[4]).rejects.toThrow(Overloaded);
    await expect(asked[4]).rejects.toThrow(UnavailableDid);
    await verifier.close();
  });

  test('who waits when it is closed is told, and whoever comes later', async () => {
    const verifier = LogVerifier.start();
    await verifier.verify(small);
    const waiting = [verifier.verify(large), verifier.verify(small)].map((asked) => expect(asked).rejects.toThrow('closed'));
    await verifier.close();
    await Promise.all(waiting);
    await expect(verifier.verify(small)).rejects.toThrow('closed');
    await LogVerifier.start().close();
  });
});

describe('the program', () => {
  const source = (file: string) => JSON.stringify(new URL(`../../../src/vault/webvh/${file}`, import.meta.url).href);
  const run = (body: string) => {
    const program = `import { LogVerifier } from ${source('log-verifier.ts')}; ${body}`;
    return promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      env: { ...process.env, NODE_ENV: 'test', LOG_RESOLVES: 'true' },
      timeout: 20_000,
    });
  };

  test('ends when nobody waits for a log any more, without closing', async () => {
    const { stdout } = await run(`
      const verifier = LogVerifier.start();
      const log = await verifier.verify(${JSON.stringify({ ...small, witness: undefined })});
      process.stdout.write(log.did);`);
    expect(stdout).toBe(small.did);
  });

  test('prints nothing that stands in a log, and writes no file', async () => {
    const key = keyOf('witness');
    const entry = first({ parameters: { witness: { threshold: 1, witnesses: [{ id: `did:key:${multikey(key)}` }] } } });
    const { versionId } = entry;
    // The library complains about the first proof and goes on to the second.
    const proof = [proofOver({ versionId: 'other' }, key), proofOver({ versionId }, key)];
    const request = { log: textOf([entry]), witness: JSON.stringify([{ versionId, proof }]), now: NOW };
    const { stdout, stderr } = await run(`
      const log = await LogVerifier.start().verify(${JSON.stringify(request)});
      process.stdout.write(String(log.parameters.witnessed));`);
    expect(stdout).toBe('true');
    expect(stderr).toBe('');
    expect(existsSync(new URL('./test', import.meta.url))).toBe(false);
  });
});

// Logs as a gateway takes them (docs/threat-model.md E12): the real verifier and the real memory of what was seen.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { SqliteSeenLogs } from '../../src/stores/sqlite/seen-logs/seen-logs.ts';
import { UnavailableDid, UnknownDid } from '../../src/vault/did-document.ts';
import type { SeenLogs } from '../../src/vault/seen-logs.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { makeWebvhSource, type ServedLog } from '../../src/vault/webvh-source.ts';
import { keyOf } from '../keys.ts';
import { didOf, type Entry, first, history, multikey, NOW, next, textOf, witnessFile } from './webvh/log-maker.ts';

const verifier = LogVerifier.start({ timeLimitMillis: 20_000 });
const directory = await mkdtemp(join(tmpdir(), 'hb-seen-'));
const opened: SqliteSeenLogs[] = [];
let files = 0;

afterAll(async () => {
  await Promise.all(opened.map((seen) => seen.close()));
  await verifier.close();
  await rm(directory, { recursive: true, force: true });
});

async function openSeen(file = join(directory, `seen-${++files}.db`)): Promise<SqliteSeenLogs> {
  const seen = await SqliteSeenLogs.open(file);
  opened.push(seen);
  return seen;
}

/** A gateway's source, and whoever serves it the logs: by DID, what is served now. */
function make(seen: SeenLogs) {
  const served = new Map<string, ServedLog | Error>();
  const told: [did: string, detail: string][] = [];
  let verified = 0;
  const source = makeWebvhSource({
    readLog: (did) => {
      const answer = served.get(did) ?? new UnknownDid('nothing there');
      if (answer instanceof Error) throw answer;
      return answer;
    },
    verify: (request) => {
      verified++;
      return verifier.verify(request);
    },
    seen,
    clock: () => NOW,
    onRollback: (did, detail) => told.push([did, detail]),
  });
  const serve = (did: string, entries: readonly Entry[], witness?: string) => served.set(did, { log: textOf(entries), witness });
  return { source, served, serve, told, verified: () => verified };
}

const three = history(3, { parameters: { ttl: 120 } });
const [one, two, last] = three as [Entry, Entry, Entry];
const did = didOf(one);
const scid = String(one.parameters.scid);
/** Another continuation, by the same keys: only whoever holds them can write one. */
const fork = next(one, { state: { alsoKnownAs: ['https://fork.example'] } });

let seen: SqliteSeenLogs;
let gateway: ReturnType<typeof make>;
beforeEach(async () => {
  seen = await openSeen();
  gateway = make(seen);
});

describe('a log that is in order', () => {
  test('is verified, remembered and read', async () => {
    gateway.serve(did, three);
    expect(await gateway.source(did)).toEqual({
      document: { did, controller: [did], verificationMethods: [], versionId: last.versionId },
      ttlSeconds: 120,
    });
    expect(seen.find(scid)).toMatchObject({ versionId: last.versionId, deactivated: false, ttl: 120 });
  });

  test('opens again without being verified again, after a restart too', async () => {
    gateway.serve(did, three);
    const before = await gateway.source(did);
    expect(await gateway.source(did)).toEqual(before);
    expect(gateway.verified()).toBe(1);
    const file = join(directory, 'restarted.db');
    const first = await SqliteSeenLogs.open(file);
    const running = make(first);
    running.serve(did, three);
    await running.source(did);
    await first.close();
    const restarted = make(await openSeen(file));
    restarted.serve(did, three);
    expect(await restarted.source(did)).toEqual(before);
    expect(restarted.verified()).toBe(0);
  });

  test('is verified again when one byte of it, or its witness file, is another', async () => {
    gateway.serve(did, three);
    await gateway.source(did);
    gateway.served.set(did, { log: textOf(three).trimEnd(), witness: undefined });
    await gateway.source(did);
    gateway.serve(did, three, '[]');
    await gateway.source(did);
    expect(gateway.verified()).toBe(3);
    gateway.served.set(did, { log: textOf(three).replace('"controller"', '"controllex"'), witness: undefined });
    await expect(gateway.source(did)).rejects.toThrow(UnknownDid);
    expect(gateway.verified()).toBe(4);
  });

  test('may grow, by one version or several', async () => {
    gateway.serve(did, [one]);
    expect((await gateway.source(did)).document.versionId).toBe(one.versionId);
    gateway.serve(did, three);
    expect((await gateway.source(did)).document.versionId).toBe(last.versionId);
    expect(seen.find(scid)?.versionId).toBe(last.versionId);
    expect(gateway.told).toEqual([]);
  });

  test('that ends its DID leaves no key and no controller, as often as it is asked for', async () => {
    const ended = next(two, { parameters: { deactivated: true, nextKeyHashes: [] } });
    gateway.serve(did, [one, two, ended]);
    for (let time = 0; time < 2; time++) {
      expect((await gateway.source(did)).document).toEqual({
        did,
        controller: [],
        verificationMethods: [],
        versionId: ended.versionId,
      });
    }
    expect(gateway.verified()).toBe(1);
    // Whoever serves it cannot bring it back to life.
    gateway.serve(did, [one, two]);
    await expect(gateway.source(did)).rejects.toThrow('the log ends at version 2, but version 3 was seen here before');
  });
});

describe('a log that goes back on what was seen', () => {
  beforeEach(async () => {
    gateway.serve(did, three);
    await gateway.source(did);
  });

  test.each<[string, readonly Entry[], string]>([
    ['cut by one', [one, two], 'the log ends at version 2, but version 3 was seen here before'],
    ['cut to its first entry', [one], 'the log ends at version 1, but version 3 was seen here before'],
    ['forked and shorter', [one, fork], 'the log ends at version 2, but version 3 was seen here before'],
    [
      'forked, of the same length',
      [one, fork, next(fork)],
      'the log tells another version 3 than the one that was seen here before',
    ],
    [
      'forked and longer',
      [one, fork, next(fork), next(next(fork))],
      'the log tells another version 3 than the one that was seen here before',
    ],
    [
      'forked at its end',
      [one, two, next(two, { state: { alsoKnownAs: ['https://x.example'] } })],
      'the log tells another version 3 than the one that was seen here before',
    ],
  ])('%s is refused and told, and what was seen stays', async (_, entries, detail) => {
    gateway.serve(did, entries);
    await expect(gateway.source(did)).rejects.toEqual(new UnknownDid(detail));
    expect(gateway.told).toEqual([[did, detail]]);
    expect(seen.find(scid)?.versionId).toBe(last.versionId);
    // It is the log that is refused and not the DID.
    gateway.serve(did, [...three, next(last)]);
    expect((await gateway.source(did)).document.versionId).toMatch(/^4-/);
  });

  test('is found out by a gateway that was restarted', async () => {
    const file = join(directory, 'rolled-back.db');
    const before = await SqliteSeenLogs.open(file);
    const running = make(before);
    running.serve(did, three);
    await running.source(did);
    await before.close();
    const restarted = make(await openSeen(file));
    restarted.serve(did, [one, two]);
    await expect(restarted.source(did)).rejects.toThrow('version 3 was seen here before');
  });

  test('is nothing to one that has never seen it: there, the older log is what there is', async () => {
    const other = make(await openSeen());
    other.serve(did, [one, two]);
    expect((await other.source(did)).document.versionId).toBe(two.versionId);
  });
});

describe('a log that moved', () => {
  const elsewhere = did.replace('vault.example%3A8443', 'other.example');
  const moved = next(one, { state: { id: elsewhere, controller: elsewhere, alsoKnownAs: [did] } });

  test('is the log of its new DID, and no more of the one before', async () => {
    gateway.serve(elsewhere, [one, moved]);
    expect((await gateway.source(elsewhere)).document).toMatchObject({ did: elsewhere, versionId: moved.versionId });
    gateway.serve(did, [one, moved]);
    // The same bytes, that verified under the other name.
    await expect(gateway.source(did)).rejects.toThrow(UnknownDid);
    const unaware = make(await openSeen());
    unaware.serve(did, [one, moved]);
    await expect(unaware.source(did)).rejects.toThrow('the log is of another DID');
  });

  test('takes what was seen along: the place before cannot tell the older story', async () => {
    gateway.serve(elsewhere, [one, moved]);
    await gateway.source(elsewhere);
    gateway.serve(did, [one]);
    await expect(gateway.source(did)).rejects.toThrow('the log ends at version 1, but version 2 was seen here before');
    gateway.serve(did, [one, two]);
    await expect(gateway.source(did)).rejects.toThrow('another version 2');
    expect(gateway.told.map(([about]) => about)).toEqual([did, did]);
  });

  test('and tells two stories at once is believed one of them', async () => {
    let asked = 0;
    const both = Promise.withResolvers<void>();
    const source = makeWebvhSource({
      readLog: (name) => ({ log: textOf(name === did ? [one, two] : [one, moved]), witness: undefined }),
      // Neither is remembered before both have been looked for.
      verify: async (request) => {
        if (++asked === 2) both.resolve();
        await both.promise;
        const log = await verifier.verify(request);
        if (request.did === elsewhere) await expect.poll(() => seen.find(scid), { timeout: 10_000 }).toBeDefined();
        return log;
      },
      seen,
      clock: () => NOW,
      onRollback: () => {},
    });
    const [kept, refused] = await Promise.allSettled([source(did), source(elsewhere)]);
    expect(kept).toMatchObject({ status: 'fulfilled', value: { document: { versionId: two.versionId } } });
    expect(refused).toMatchObject({ status: 'rejected', reason: expect.any(UnknownDid) });
  });
});

describe('what is no log of the DID', () => {
  test('that of another DID, at its place', async () => {
    gateway.served.set(did, {
      log: textOf(history(1, { location: 'vault.example%3A8443:agents:acme:other' })),
      witness: undefined,
    });
    await expect(gateway.source(did)).rejects.toThrow('the log is of another DID');
    expect(seen.find(scid)).toBeUndefined();
  });

  test.each([
    ['empty', ''],
    ['no JSON', '<html>'],
    ['cut within an entry', textOf(three).slice(0, -20)],
  ])('%s: unknown, and nothing is remembered', async (_, log) => {
    gateway.served.set(did, { log, witness: undefined });
    await expect(gateway.source(did)).rejects.toThrow(/^the log of the DID does not verify/);
    expect(seen.find(scid)).toBeUndefined();
  });

  test('a DID without an SCID is not asked for', async () => {
    await expect(gateway.source('did:webvh:vault.example')).rejects.toThrow(UnknownDid);
    expect(gateway.verified()).toBe(0);
  });

  test('what could not be had passes as it is', async () => {
    const down = new UnavailableDid('host is down');
    gateway.served.set(did, down);
    await expect(gateway.source(did)).rejects.toBe(down);
  });

  test('a document that cannot be read in a log that verifies', async () => {
    const entry = first({ state: { verificationMethod: 'none' } });
    gateway.serve(didOf(entry), [entry]);
    for (let time = 0; time < 2; time++) await expect(gateway.source(didOf(entry))).rejects.toThrow('cannot be read');
  });
});

describe('witnesses', () => {
  const witness = keyOf('witness');
  const parameters = { witness: { threshold: 1, witnesses: [{ id: `did:key:${multikey(witness)}` }] } };
  const watched = history(2, { parameters });

  test('who are missing are missed, also after they were there', async () => {
    const name = didOf(watched[0]);
    gateway.serve(name, watched);
    await expect(gateway.source(name)).rejects.toThrow('threshold');
    gateway.serve(name, watched, witnessFile([watched[1], witness]));
    expect((await gateway.source(name)).document.versionId).toBe(watched[1]?.versionId);
    gateway.serve(name, watched);
    await expect(gateway.source(name)).rejects.toThrow('threshold');
  });
});

test('what cannot be remembered is not believed', async () => {
  const full: SeenLogs = { find: (name) => seen.find(name), remember: () => Promise.reject(new Error('disk full')) };
  const failing = make(full);
  failing.serve(did, three);
  await expect(failing.source(did)).rejects.toThrow(UnavailableDid);
  await expect(failing.source(did)).rejects.toMatchObject({ cause: new Error('disk full') });
});

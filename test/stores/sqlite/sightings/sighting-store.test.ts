// The store of sightings: what was noted is there after a restart, and nobody who mints without end takes more than its own room.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SeenLink } from '../../../../src/sightings/sighting.ts';
import { type KeptLink, TREE_KINDS } from '../../../../src/sightings/sighting-reader.ts';
import { StoreError } from '../../../../src/stores/sqlite/database.ts';
import { openSightingsForReading, readFacts } from '../../../../src/stores/sqlite/sightings/sighting-database.ts';
import { makeSightingReader } from '../../../../src/stores/sqlite/sightings/sighting-reader.ts';
import { type SightingStoreSettings, SqliteSightingStore } from '../../../../src/stores/sqlite/sightings/sighting-store.ts';
import { AGENT, link, NOW, OPERATOR } from '../../../sightings/seen.ts';

let directory: string;
let file: string;
let now: number;
let lost: { count: number; why: string }[];
let open: SqliteSightingStore[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hb-sightings-'));
  file = join(directory, 'sightings.db');
  now = NOW;
  lost = [];
  open = [];
});
afterEach(async () => {
  for (const store of open) await store.close().catch(() => {});
  rmSync(directory, { recursive: true, force: true });
});

async function start(limits: Partial<SightingStoreSettings['limits']> = {}): Promise<SqliteSightingStore> {
  const store = await SqliteSightingStore.open({
    file,
    limits: { keepSeconds: 600, maxLinks: 100_000, maxLinksPerAgent: 100_000, ...limits },
    facts: { administrators: ['did:key:zAdministrator'] },
    gateway: 'gateway.local',
    clock: () => now * 1000,
    onLost: (count, why) => lost.push({ count, why }),
  });
  open.push(store);
  return store;
}

const kept = (agent = AGENT) => {
  const database = openSightingsForReading(file);
  try {
    return database.prepare('SELECT token_hash FROM links WHERE root_agent = ? ORDER BY number').all(agent);
  } finally {
    database.close();
  }
};
const counted = () => {
  const database = openSightingsForReading(file);
  try {
    const count = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
    return [
      count('SELECT count(*) FROM links'),
      count('SELECT links FROM total'),
      count('SELECT coalesce(sum(links), 0) FROM counts'),
      count(
        'SELECT count(*) FROM links l WHERE parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM links WHERE token_hash = l.parent)',
      ),
    ];
  } finally {
    database.close();
  }
};

describe('noting', () => {
  test('keeps every link as it was seen, over a restart, with when it was seen first and last', async () => {
    const root = link(undefined);
    const session = link(root, { sid: 'sid', task: 'task', agent: 'did:key:zSub' });
    const store = await start();
    store.note([root, session], NOW);
    await store.flush();
    store.note([root, session], NOW + 90);
    store.note([root], NOW + 30);
    await store.close();
    const { reader } = await start();
    expect(reader.find(session.tokenHash)).toEqual({ ...session, firstSeen: NOW, lastSeen: NOW + 90, gateway: 'gateway.local' });
    expect(reader.find(root.tokenHash)).toEqual({ ...root, firstSeen: NOW, lastSeen: NOW + 90, gateway: 'gateway.local' });
    expect(reader.find('none')).toBeUndefined();
    const database = openSightingsForReading(file);
    expect(readFacts(database)).toEqual({ administrators: ['did:key:zAdministrator'] });
    database.close();
  });

  test('more than are written at once', async () => {
    const root = link(undefined);
    const store = await start();
    const sessions = Array.from({ length: 5000 }, (_, at) => link(root, { sid: `s-${at}` }));
    for (const session of sessions) store.note([root, session], NOW);
    await store.flush();
    expect(counted()).toEqual([5001, 5001, 5001, 0]);
    expect(lost).toEqual([]);
  });

  test('never waits and never throws: what nobody can keep any more is lost, and that is told once', async () => {
    const store = await start();
    for (let at = 0; at < 25_000; at++) store.note([link(undefined)], NOW);
    expect(lost).toEqual([{ count: 1, why: 'more are seen than can be written' }]);
    await store.close();
    store.note([link(undefined)], NOW);
    expect(counted()[0]).toBe(20_000);
  });

  test('goes on after a batch that could not be written', async () => {
    const store = await start();
    const other = new DatabaseSync(file, { timeout: 5000 });
    other.exec("CREATE TRIGGER full BEFORE INSERT ON links WHEN new.jti = 'full' BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    other.close();
    store.note([link(undefined, { jti: 'full' })], NOW);
    await store.flush();
    expect(lost).toEqual([{ count: 1, why: 'disk full' }]);
    store.note([link(undefined)], NOW);
    await store.flush();
    expect(counted()[0]).toBe(1);
  });
});

describe('bounds', () => {
  const below = (above: SeenLink, count: number, changes: Partial<SeenLink> = {}) =>
    Array.from({ length: count }, () => link(above, changes));

  test('an agent that mints without end, also for others that it makes up, fills its own room and nobody else’s', async () => {
    const store = await start({ maxLinksPerAgent: 50 });
    const [mine, theirs] = [link(undefined), link(undefined, { agent: 'did:key:zOther' })];
    for (let at = 0; at < 200; at++) store.note([mine, link(mine, { agent: `did:key:zMadeUp${at}` })], NOW);
    store.note([theirs, ...below(theirs, 20)], NOW);
    await store.flush();
    expect(kept()).toHaveLength(50);
    expect(kept('did:key:zOther')).toHaveLength(21);
    expect(counted().slice(0, 3)).toEqual([71, 71, 71]);
    expect(lost).toMatchObject([{ why: expect.stringContaining('no room') }]);
  });

  test('what has expired makes room, the deepest first: nothing is left without what is above it', async () => {
    const store = await start({ maxLinksPerAgent: 150 });
    const root = link(undefined);
    const session = link(root, { sid: 's', exp: NOW + 10 });
    store.note([root, session, ...below(session, 148, { exp: NOW + 10 })], NOW);
    await store.flush();
    now = NOW + 20;
    const fresh = link(root, { sid: 'fresh' });
    store.note([root, fresh], now);
    await store.flush();
    expect(store.reader.find(fresh.tokenHash)).toMatchObject({ sid: 'fresh' });
    expect(counted()).toEqual([51, 51, 51, 0]);
  });

  test('all links together have a bound as well', async () => {
    const store = await start({ maxLinks: 100 });
    for (let at = 0; at < 150; at++) store.note([link(undefined, { agent: `did:key:z${at}`, exp: NOW + 10 })], NOW);
    await store.flush();
    expect(counted()).toEqual([100, 100, 100, 0]);
    now = NOW + 20;
    store.note([link(undefined)], now);
    await store.flush();
    expect(kept()).toHaveLength(1);
  });

  test('what expired longer ago than it is to be kept goes with the next start', async () => {
    const store = await start();
    const [old, live] = [link(undefined, { exp: NOW + 10 }), link(undefined)];
    store.note([old, link(old, { exp: NOW + 5 }), live], NOW);
    await store.close();
    now = NOW + 609;
    const between = await start();
    await between.close();
    expect(counted()[0]).toBe(2);
    now = NOW + 611;
    const after = await start();
    await after.close();
    expect(counted()).toEqual([1, 1, 1, 0]);
  });
});

describe('a file that is none', () => {
  test('is refused and left as it is', async () => {
    writeFileSync(file, 'this is no database, and long enough to be looked at as one');
    await expect(start()).rejects.toThrow(StoreError);
    rmSync(file);
    const other = new DatabaseSync(file, { timeout: 5000 });
    other.exec('CREATE TABLE theirs (x)');
    other.close();
    await expect(start()).rejects.toThrow(/another program/);
    expect(() => openSightingsForReading(file)).toThrow(StoreError);
  });
});

describe('segments', () => {
  const CHANGE = 'UPDATE links SET number = number + 32768 * CAST(substr(jti, 5, 1) AS INTEGER)';

  test('what lies in several of them is found as if they were one, those that last longest first', async () => {
    const store = await start();
    const roots = Array.from({ length: 9 }, (_, at) =>
      link(undefined, { jti: `jti-${at}`, sid: 'sid', exp: NOW + 100 + (at % 3) }),
    );
    const below = roots.map((root, at) => link(root, { jti: `jti-${8 - at}`, agent: 'did:key:zSub', task: 'task' }));
    store.note([...roots, ...below], NOW);
    await store.close();
    const database = new DatabaseSync(file);
    database.exec(CHANGE);
    expect(database.prepare('SELECT count(DISTINCT segment) AS count FROM links').get()).toEqual({ count: 9 });
    database.close();

    const { reader } = await start();
    const everything = { operator: undefined, endsAfter: 0, limit: 100 };
    const found = reader.matching('session', 'sid', everything);
    expect(found.toSorted()).toEqual([...roots, ...below].map(({ tokenHash }) => tokenHash).toSorted());
    const ends = found.map((hash) => reader.find(hash)?.exp ?? 0);
    expect(ends).toEqual(ends.toSorted((one, other) => other - one));
    expect(reader.matching('session', 'sid', { ...everything, limit: 5 })).toEqual(found.slice(0, 5));
    expect(reader.matching('agent', 'did:key:zSub', { ...everything, operator: OPERATOR })).toHaveLength(9);
    expect(reader.matching('agent', 'did:key:zSub', { ...everything, operator: 'did:key:zOther' })).toEqual([]);
    expect(reader.matching('operator', OPERATOR, everything)).toHaveLength(9);
    for (const [at, root] of roots.entries()) expect(reader.below(root.tokenHash, everything)).toEqual([below[at]?.tokenHash]);

    const pages: string[] = [];
    for (let after: { exp: number; tokenHash: string } | undefined; ; ) {
      const page = reader.sessions({ ...everything, agent: AGENT, limit: 2, after });
      const last = page.at(-1);
      if (last === undefined) break;
      pages.push(...page);
      after = { exp: reader.find(last)?.exp ?? 0, tokenHash: last };
    }
    expect(pages.toSorted()).toEqual(roots.map(({ tokenHash }) => tokenHash).toSorted());
    const [root] = roots;
    if (root === undefined) throw new Error('no root');
    const one = { ...root, firstSeen: NOW, lastSeen: NOW, gateway: '' };
    expect(reader.countWithin(one, { endsAfter: 0, limit: 100 })).toEqual({ tasks: 9, delegations: 9 });
    expect(reader.countWithin(one, { endsAfter: 0, limit: 3 }).tasks).toBeLessThanOrEqual(3);
  });

  test('an agent that is full has room made in all of them, in the order in which its links expired', async () => {
    const store = await start({ maxLinksPerAgent: 9 });
    const roots = Array.from({ length: 9 }, (_, at) => link(undefined, { jti: `jti-${at}`, exp: NOW + 100 - at }));
    store.note(roots, NOW);
    await store.close();
    const database = new DatabaseSync(file);
    database.exec(CHANGE);
    database.close();
    now = NOW + 95;
    const again = await start({ maxLinksPerAgent: 9 });
    again.note([link(undefined)], now);
    await again.flush();
    // Those that end at 92 to 95 have gone, and the new one has come.
    expect(counted()).toEqual([6, 6, 6, 0]);
  });
});

test('every look is answered by an index', async () => {
  const store = await start();
  const root = link(undefined);
  store.note([root, link(root, { sid: 's' })], NOW);
  await store.close();
  const database = openSightingsForReading(file);
  const asked: string[] = [];
  const prepare = database.prepare.bind(database);
  database.prepare = (sql) => {
    asked.push(sql);
    return prepare(sql);
  };
  const reader = makeSightingReader(database);
  const wanted = { operator: undefined, endsAfter: 0, limit: 10 };
  const [found] = reader.matching('operator', OPERATOR, wanted);
  for (const kind of TREE_KINDS) reader.matching(kind, 'a', wanted);
  reader.below('a', wanted);
  for (const agent of [undefined, 'a'])
    for (const after of [undefined, { exp: 5, tokenHash: 'x' }]) reader.sessions({ ...wanted, agent, after });
  reader.countWithin(reader.find(found ?? '') as KeptLink, wanted);
  const looks = asked.filter((sql) => sql.includes('FROM links') && !sql.includes('RECURSIVE'));
  expect(looks.length).toBeGreaterThan(10);
  for (const sql of looks) {
    const plan = prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map(({ detail }) => String(detail))
      .filter((detail) => !/^SEARCH operators USING INTEGER PRIMARY KEY/.test(detail));
    expect(plan.join(), sql).toMatch(/^SEARCH links USING (?:COVERING )?INDEX \w+ \([^ ]+( AND [^ ]+)*\)$/);
  }
  for (const sql of asked.filter((each) => each.includes('RECURSIVE'))) {
    const plan = prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
    for (const { detail } of plan) expect(String(detail)).not.toMatch(/SCAN links(?! USING COVERING INDEX)|TEMP B-TREE/);
  }
  database.close();
});

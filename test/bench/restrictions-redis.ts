// A new replica where a million are revoked: how long until it has all of them in force and is fresh, what its event loop pays, and how
// long a revocation takes after that. A vault's part in one process, the replica in another, a Redis between.
// node test/bench/restrictions-redis.ts [--count N] [--file FILE that is kept] [--rounds N]

import { fork } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { parseConfiguration } from '../../src/config.ts';
import { Followers } from '../../src/control/followers.ts';
import { nextHead } from '../../src/restrictions/feed-head.ts';
import { entryOf } from '../../src/restrictions/restrictable-chain.ts';
import { ALWAYS } from '../../src/restrictions/revocation-table.ts';
import { signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { reopenRestriction } from '../../src/restrictions/verify-restriction.ts';
import { startResolution } from '../../src/serve/resolution.ts';
import { startRestrictions } from '../../src/serve/restrictions.ts';
import { startPublishing } from '../../src/serve/shared-restrictions.ts';
import { redisConfiguration } from '../../src/stores/redis/configuration.ts';
import { openRestrictions } from '../../src/stores/sqlite/restrictions/restriction-database.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { resolveSelfDescribing } from '../../src/vault/self-describing-did.ts';
import { keyOf } from '../keys.ts';
import { startRedis } from '../stores/redis/redis-server.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '200' },
    file: { type: 'string' },
    replica: { type: 'string' },
  },
});
const count = Number(values.count);
const operator = keyOf('operator');
const did = didKeyOf(operator.publicKey);
const keyId = resolveSelfDescribing(did).verificationMethods[0]?.id;
const log = pino({ level: process.env.LOG_LEVEL ?? 'error' }, process.stderr);
const print = (line: string) => process.stdout.write(`${line}\n`);
const jtiOf = (number: number) => hash('sha256', `jti ${number}`, 'buffer').toString('base64url', 0, 16);
const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));
/** The newest are signed, since those in the stream are verified one by one. */
const SIGNED = 8192;

function revocation(jti: string): string {
  return signRestriction(
    { effect: 'revoke', target: { kind: 'token', value: jti }, at: 1_767_225_600, reason: 'measured' },
    { key: operator, keyId },
  );
}

function write(file: string): void {
  const database = openRestrictions(file);
  database.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; BEGIN');
  const insert = database.prepare('INSERT INTO restrictions (id, jws, head) VALUES (?, ?, ?)');
  const revoke = database.prepare('INSERT INTO revocations VALUES (?, ?, ?)');
  const [header] = revocation('x').split('.');
  let head = '';
  for (let number = 1; number <= count; number++) {
    const token = jtiOf(number);
    let id = randomBytes(16).toString('base64url');
    let compact: string;
    if (number > count - SIGNED) {
      compact = revocation(token);
      id = reopenRestriction(compact).id;
    } else {
      const claims = { at: 1_767_225_600, by: did, effect: 'revoke', id, reason: 'measured', target: { token } };
      const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
      compact = `${header}.${payload}.${randomBytes(64).toString('base64url')}`;
    }
    head = nextHead(head, compact);
    insert.run(id, compact, head);
    revoke.run(number, entryOf(did, 'token', token), ALWAYS);
  }
  database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}

interface Replica {
  readonly section: object;
  readonly file: string;
  /** The author of what is in the file first: keys are other ones in each run. */
  readonly operators: readonly string[];
}

/** In a process of its own: says when it is fresh, and when each further number is in force. */
async function runReplica({ section, file, operators }: Replica): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const started = performance.now();
  const { verify } = parseConfiguration(
    JSON.stringify({
      verify: {
        gateway: { names: ['gateway.example'] },
        trust: { operators: operators.map((one) => ({ did: one })) },
        providers: { openai: { api: 'openai', credential: { file: 'x' } } },
        store: { file },
        redis: section,
      },
    }),
    'replica.yaml',
  );
  if (verify === undefined) throw new Error('no role');
  const resolution = await startResolution({
    configuration: verify.resolution,
    seenFile: `${file}-logs`,
    localVault: undefined,
    log,
    clock: Date.now,
  });
  const { inForce, stop } = await startRestrictions({
    configuration: verify,
    local: undefined,
    resolution,
    log,
    clock: Date.now,
  });
  delay.reset();
  const isRevoked = (jti: string) =>
    'revoked' in inForce.find({ operator: { did: operators[0] ?? '' }, links: [{ agent: 'did:web:a', jti, jkt: 'k', iat: 1 }] });
  while (!inForce.isFresh()) await sleep(2);
  const ready = performance.now() - started;
  const { cpu } = { cpu: process.cpuUsage() };
  let missed = 0;
  for (let number = 1; number <= count; number += 997) if (!isRevoked(jtiOf(number))) missed++;
  process.send?.({
    ready,
    missed,
    highWaterMark: inForce.highWaterMark,
    cpu: (cpu.user + cpu.system) / 1000,
    longest: delay.max / 1e6,
    late: delay.percentile(99) / 1e6,
  });
  process.on('message', (message) => {
    if (message !== 'stop') return;
    void stop()
      .then(() => resolution.stop())
      .then(() => process.disconnect());
  });
}

interface Readiness {
  readonly ready: number;
  readonly missed: number;
  readonly highWaterMark: number;
  readonly cpu: number;
  readonly longest: number;
  readonly late: number;
}

async function measure(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'hb-bench-'));
  const file = values.file ?? join(directory, 'vault.db-restrictions');
  if (!existsSync(file)) write(file);
  const redis = await startRedis();
  const store = await SqliteRestrictionStore.open(file);
  const followers = new Followers(() => performance.now());
  const configuration = redisConfiguration.parse(redis.section);
  let at = performance.now();
  const publishing = await startPublishing({ configuration, store, file, followers, log, clock: Date.now });
  const wanted = Math.floor(count / 4096) - 1;
  while ((await redis.admin.keys('*7:segment*')).length < wanted) await sleep(100);
  const memory = /used_memory:(\d+)/.exec(await redis.admin.info('memory'))?.[1];
  print(
    `snapshot of ${count}     ${((performance.now() - at) / 1000).toFixed(1)} s, ${(Number(memory) / 1e6).toFixed(0)} MB in Redis`,
  );
  // A vault that has just started waits for gateways that it does not know.
  while (followers.acknowledged(0).followers > 0) await sleep(100);
  at = performance.now();
  const replica = fork(new URL(import.meta.url), [
    '--count',
    String(count),
    '--replica',
    JSON.stringify({ section: redis.section, file: join(directory, 'replica.db'), operators: [store.read(1)?.by, did] }),
  ]);
  const [told] = (await once(replica, 'message')) as [Readiness];
  const outside = performance.now() - at;
  print(
    `new replica, fresh      ${(told.ready / 1000).toFixed(2)} s (${(outside / 1000).toFixed(2)} s with the start of its process, ${(told.cpu / 1000).toFixed(1)} s of CPU)`,
  );
  print(
    `its event loop          ${told.longest.toFixed(0)} ms at the longest, ${told.late.toFixed(1)} ms p99; up to ${told.highWaterMark}, ${told.missed} missing`,
  );
  const took: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const compact = revocation(`news-${round}`);
    const from = performance.now();
    const [appended] = await store.append([reopenRestriction(compact)]);
    const kept = performance.now();
    while (followers.acknowledged(appended?.sequence ?? 0).missing.length > 0) await new Promise(setImmediate);
    took.push(performance.now() - kept);
    if (round === 0) print(`first revocation        ${(performance.now() - from).toFixed(0)} ms while the copy is still written`);
    await sleep(10);
  }
  took.sort((a, b) => a - b);
  const quantile = (part: number) => `${(took[Math.floor((took.length - 1) * part)] ?? 0).toFixed(1)} ms`;
  print(`kept to acknowledged    p50 ${quantile(0.5)}, p99 ${quantile(0.99)}, longest ${quantile(1)}`);
  replica.send('stop');
  await once(replica, 'exit');
  await publishing.stop();
  await store.close();
  await redis.stop();
  rmSync(directory, { recursive: true, force: true });
  if (told.missed > 0 || told.highWaterMark !== count || told.ready > 10_000) process.exitCode = 1;
}

if (values.replica === undefined) await measure();
else await runReplica(JSON.parse(values.replica) as Replica);

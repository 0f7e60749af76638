// Faults of the Redis that all replicas share.

import type { Scenario, Stage } from '../scenario.ts';
import { epochMillis } from '../traffic.ts';
import { STALE_SECONDS } from '../world.ts';

const DENY_MILLIS = 250;
/** Requests that were under way when the fault came. */
const SETTLE_MILLIS = 1000;

function redisOf({ world }: Stage) {
  if (world.redis === undefined) throw new Error('not a world with one Redis');
  return world.redis;
}

export const redisScenarios: readonly Scenario[] = [
  {
    id: 'X1',
    title: 'Redis killed, and started again with nothing',
    world: 'single',
    run: async (stage) => {
      const redis = redisOf(stage);
      await stage.before();
      await redis.kill();
      stage.fault('Redis is killed');
      const from = epochMillis();
      await stage.pass(stage.seconds);
      const to = epochMillis();
      await redis.start();
      stage.mended('Redis is back');
      await stage.after(2000);
      await stage.settle();
      stage.mustDenyAll('no replica allows anything by itself meanwhile', from, to);
      stage.target('denied with 503, p99', stage.denialMillis(503, from, to), DENY_MILLIS, ' ms');
    },
  },
  {
    id: 'X2',
    title: 'Redis stands still for 500 ms, then for 5 s',
    world: 'single',
    run: async (stage) => {
      const redis = redisOf(stage);
      await stage.before();
      redis.signal('SIGSTOP');
      stage.fault('Redis stands still for 500 ms');
      await stage.pass(0.5);
      redis.signal('SIGCONT');
      await stage.pass(Math.min(3, stage.seconds));
      redis.signal('SIGSTOP');
      const from = epochMillis();
      stage.say('  Redis stands still for 5 s');
      await stage.pass(5);
      const to = epochMillis();
      redis.signal('SIGCONT');
      stage.mended('Redis goes on');
      await stage.after(1000);
      await stage.settle();
      stage.mustDenyAll('nothing is allowed meanwhile', from + DENY_MILLIS, to - DENY_MILLIS);
      stage.target('denied with 503, p99', stage.denialMillis(503, from, to - DENY_MILLIS), DENY_MILLIS, ' ms');
    },
  },
  {
    id: 'X4',
    title: 'FLUSHALL, then killed and started again with nothing',
    world: 'single',
    run: async (stage) => {
      const redis = redisOf(stage);
      await stage.before();
      stage.fault('FLUSHALL');
      await redis.admin.flushall();
      const flushedAt = epochMillis();
      await stage.pass(stage.seconds);
      const allowed = stage.between(flushedAt, epochMillis()).find(({ status }) => status === 200);
      stage.target('first allow after FLUSHALL', allowed ? allowed.sentAt - flushedAt : Number.POSITIVE_INFINITY, 5000, ' ms');
      await redis.kill();
      await redis.start();
      stage.mended('Redis was killed, and is back with nothing');
      await stage.after(5000);
      await stage.settle();
    },
  },
  {
    id: 'X6',
    title: 'Redis full under noeviction, then a policy that evicts',
    world: 'single',
    run: async (stage) => {
      const { admin } = redisOf(stage);
      const most = async (limit: string, policy: string) => {
        await admin.config('SET', 'maxmemory', limit);
        await admin.config('SET', 'maxmemory-policy', policy);
      };
      await stage.before();
      try {
        await most('1mb', 'noeviction');
        stage.fault('its memory is full');
        const full = epochMillis();
        await stage.pass(Math.min(stage.seconds, STALE_SECONDS));
        const evicting = epochMillis();
        await most('200mb', 'allkeys-lru');
        stage.say('  it evicts keys');
        await stage.pass(Math.max(5, stage.seconds));
        const to = epochMillis();
        stage.mustDenyAll('nothing is allowed while it is full', full + SETTLE_MILLIS, evicting);
        stage.mustDenyAll('nothing is allowed once the policy was seen', evicting + 4000, to);
      } finally {
        await most('0', 'noeviction');
      }
      stage.mended('it has memory, and evicts nothing');
      const notable = stage.world.replicas.map((replica) => replica.notable().join('\n'));
      const told = notable.filter((lines) => lines.includes('maxmemory-policy allkeys-lru')).length;
      stage.must('each replica says why it is not ready', told === notable.length, `${told} of ${notable.length}`);
      await stage.after(5000);
      await stage.settle();
    },
  },
];

// `npm run bench:scale`: what a million revocations and a million live nonces cost a gateway: for a decision, in memory, and until a new
// replica is ready; embedded and with Redis.

import { parseArgs } from 'node:util';
import { redisVersion } from '../../stores/redis/redis-server.ts';
import { machineLine, machineWithEnvoy } from '../bench-world.ts';
import { CHAT_PATH, chatBody } from '../credentials.ts';
import { type Load, startLoad, VoidRun } from '../load.ts';
import { monotonic } from '../monotonic.ts';
import type { Gateway } from '../own-envoy.ts';
import { runBench, stopOnSignal } from '../run-bench.ts';
import { usedMemory } from '../used-memory.ts';
import { untilIdle } from '../vault/decisions.ts';
import { warmGateway } from '../warm-gateway.ts';
import { within } from '../within.ts';
import { SIGNATURE, WINDOW_MILLIS } from './made-nonces.ts';
import { measureReady, type Ready } from './ready-time.ts';
import { report, type ScaleBenchResult, type ScaleMode, type ScaleTurn, scaleGoals, shown } from './scale-report.ts';
import { type Scale, type ScaleWorld, startScaleWorld } from './scale-world.ts';

const HELP = `Usage: npm run bench:scale [-- options]

Two gateways, each behind a real Envoy of its own: one with many revocations and many live nonces, one with none. Measures the p99 of
a decision in turns, the memory, and the time until a new replica with an empty store is ready. First embedded, then with a real Redis
and a vault for each. A million of both take about ten minutes.

  --mode M          embedded, redis or both (default both; redis needs redis-server on the PATH)
  --restrictions N  revocations in force (default 1000000)
  --nonces N        live nonces (default 1000000)
  --rounds N        turns with and without, of which the medians are taken (default 5)
  --seconds S       measured time of each turn, 1 to 20 (default 10)
  --rate R          requests per second of a turn, whether or not those before are answered (default 150)
  --warm-up S       seconds under load before them, for each gateway, 1 to 60 (default 30)
  --starts N        new replicas whose start is measured (default 3)
  --json FILE       also write the results as JSON
  --help            this text

  ENVOY_BIN         the Envoy to measure under

Exits 0 also where a goal is not reached, and 1 where a run failed or is void: an answer was not 200, the rate could not be kept up,
or nonces were no longer live at the end.
`;

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'both' },
    restrictions: { type: 'string', default: '1000000' },
    nonces: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '150' },
    'warm-up': { type: 'string', default: '30' },
    starts: { type: 'string', default: '3' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const say = (line = '') => process.stdout.write(`${line}\n`);
const CONNECTIONS = 32;
const WARMUP_MILLIS = 1500;

interface Settings extends Scale {
  readonly rounds: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly starts: number;
  readonly warmUpSeconds: number;
}

const opened: { stop(): Promise<void> }[] = [];
if (values.help) say(HELP);
else await main();

async function main(): Promise<void> {
  stopOnSignal(stopAll);
  await runBench({
    measure: async () => {
      const settings: Settings = {
        restrictions: within(values.restrictions, '--restrictions', 1000, 5_000_000),
        nonces: within(values.nonces, '--nonces', 1000, 5_000_000),
        rounds: within(values.rounds, '--rounds', 1, 20),
        seconds: within(values.seconds, '--seconds', 1, 20),
        perSecond: within(values.rate, '--rate', 10, 2000),
        warmUpSeconds: within(values['warm-up'], '--warm-up', 1, 60),
        starts: within(values.starts, '--starts', 0, 20),
      };
      const wanted = modesOf(values.mode);
      const machine = await machineWithEnvoy();
      say(`${machineLine(machine)}${redisVersion === undefined ? '' : `, Redis ${redisVersion}`}`);
      const load = startLoad();
      opened.push(load);
      const modes: ScaleMode[] = [];
      for (const shared of wanted) modes.push(await measure(shared, load, settings));
      return { machine, ...settings, modes } satisfies ScaleBenchResult;
    },
    lines: (result) => [...report(result), ...scaleGoals(result)],
    json: values.json,
    stop: stopAll,
  });
}

async function stopAll(): Promise<void> {
  for (let last = opened.pop(); last !== undefined; last = opened.pop()) await last.stop();
}

/** Whether Redis is shared, mode by mode. */
function modesOf(mode: string): boolean[] {
  if (!['embedded', 'redis', 'both'].includes(mode)) throw new Error('--mode takes embedded, redis or both');
  if (mode === 'embedded') return [false];
  if (redisVersion !== undefined) return mode === 'redis' ? [true] : [false, true];
  if (mode === 'redis') throw new Error('no redis-server on the PATH');
  say('the mode redis is left out: no redis-server on the PATH');
  return [false];
}

async function measure(shared: boolean, load: Load, settings: Settings): Promise<ScaleMode> {
  const { rounds, starts } = settings;
  const world = await startScaleWorld(shared, settings, say);
  opened.push(world);
  const { full, none } = world;
  await world.holdInForce(full.gateway);
  // A replica writes its own copy of the restrictions after it serves, and a file of a million is looked through.
  for (const { gateway } of [none, full]) {
    await untilIdle(gateway);
    await warmGateway(load, gateway.port, () => credentialOf(world), settings.warmUpSeconds);
  }
  const turns: Record<'full' | 'none', ScaleTurn[]> = { full: [], none: [] };
  for (let round = -1; round < rounds; round++) {
    for (const which of round % 2 === 0 ? (['none', 'full'] as const) : (['full', 'none'] as const)) {
      const turn = await runTurn(world, load, world[which].gateway, settings);
      // In the first round the caches are filled.
      if (round >= 0) turns[which].push(turn);
      say(
        `${round < 0 ? 'to warm up' : `round ${round + 1} of ${rounds}`}, ${which === 'full' ? 'with both' : 'with none'}: ${shown(turn)}`,
      );
    }
  }
  await world.holdInForce(full.gateway);
  const memory = { full: await usedMemory(full.gateway), none: await usedMemory(none.gateway) };
  const redisBytes = await redisMemory(full.redis);
  const emptyRedisBytes = await redisMemory(none.redis);
  if (monotonic() - world.noncesSince > WINDOW_MILLIS)
    throw new VoidRun('nonces may have been let go of before all was measured: take fewer of them, or fewer or shorter rounds');
  const ready: Ready[] = [];
  for (let start = 0; start < (shared ? starts : 0); start++) {
    ready.push(await measureReady(full.another(`new-${start}`), world.chat));
    say(
      `a new replica: SERVING after ${ready.at(-1)?.serving.toFixed(2)} s, first request allowed after ${ready.at(-1)?.firstAllowed.toFixed(2)} s`,
    );
  }
  await world.stop();
  opened.pop();
  const start = { full: full.startSeconds, none: none.startSeconds };
  return { shared, ...turns, memory, ready, startSeconds: start, redisBytes, emptyRedisBytes };
}

function credentialOf({ credentials: { agentKey, capability } }: ScaleWorld) {
  return { key: agentKey, capability, lifetimeSeconds: SIGNATURE.maxLifetimeSeconds };
}

async function runTurn(world: ScaleWorld, load: Load, gateway: Gateway, { seconds, perSecond }: Settings): Promise<ScaleTurn> {
  const credential = credentialOf(world);
  const count = Math.ceil((WARMUP_MILLIS / 1000 + seconds) * perSecond) + 2;
  await load.prepare({ path: CHAT_PATH, body: chatBody(1024), count, credential });
  const run = { port: gateway.port, connections: CONNECTIONS, warmupMillis: WARMUP_MILLIS, millis: seconds * 1000, perSecond };
  const { decisions, p50Ms, p99Ms, lateP99Ms = Number.NaN, cpuMicros } = await load.run({ ...run, pids: [gateway.pid] });
  const cpuPerDecisionMicros = (cpuMicros[0] ?? Number.NaN) / decisions;
  return { p50Ms, p99Ms, lateP99Ms, cpuPerDecisionMicros };
}

async function redisMemory(redis: ScaleWorld['full']['redis']): Promise<number | undefined> {
  const used = /used_memory:(\d+)/.exec((await redis?.admin.info('memory')) ?? '')?.[1];
  return used === undefined ? undefined : Number(used);
}

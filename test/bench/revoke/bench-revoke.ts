// `npm run bench:revoke`: how long a revocation takes to be felt, by requests that come and by streams that run, embedded and over
// replicas that share a Redis.

import { parseArgs } from 'node:util';
import { redisVersion } from '../../stores/redis/redis-server.ts';
import { machineLine, machineWithEnvoy } from '../bench-world.ts';
import { type Load, startLoad } from '../load.ts';
import { runBench, stopOnSignal } from '../run-bench.ts';
import { startProgress } from '../vault/progress.ts';
import { warmGateway } from '../warm-gateway.ts';
import { openWirePool } from '../wire-pool.ts';
import { within } from '../within.ts';
import { judgeBackground, startBackground } from './background.ts';
import { type CutRound, cutRound } from './cut-streams.ts';
import { type ProbedRevocation, probeRevocation } from './probed-revocation.ts';
import { type ModeResult, nameOf, type RevokeBenchResult, report, revokeGoals } from './revoke-report.ts';
import { type RevokeWorld, startRevokeWorld } from './revoke-world.ts';
import { KINDS } from './targets.ts';

const HELP = `Usage: npm run bench:revoke [-- options]

Revokes sessions, agents, tokens and keys in turns, while requests of the target and of a descendant keep coming at every gateway,
beside a steady load of good requests and attacks; and then while streams of the target and of a descendant run, beside as many of
another agent. First with the vault and one gateway in one process, then with a vault and replicas that share a real Redis; each
gateway has a real Envoy of its own. About six minutes.

  --mode M         embedded, redis or both (default both; redis needs redis-server on the PATH)
  --revocations N  under load, of each mode (default 200)
  --rate R         requests a second beside them (default 300)
  --every MS       milliseconds between two requests of a target (default 2)
  --replicas N     gateways that share the Redis, 2 to 8 (default 3)
  --rounds N       targets with streams running, of each mode (default 20)
  --streams N      streams of each (default 64)
  --warm-up S      seconds under load before all that, for each gateway, 1 to 120 (default 30)
  --json FILE      also write the results as JSON
  --help           this text

  ENVOY_BIN        the Envoy to measure under

"To the last allow" ends when the last request that was allowed reaches the provider. A request that was sent after the
acknowledgement and allowed fails the run. Exits 0 also where a goal is not reached, and 1 where a run failed or is void: the rate
could not be kept up, or an answer is neither an allow nor a deny.
`;

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'both' },
    revocations: { type: 'string', default: '200' },
    rate: { type: 'string', default: '300' },
    every: { type: 'string', default: '2' },
    replicas: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '20' },
    streams: { type: 'string', default: '64' },
    'warm-up': { type: 'string', default: '30' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const say = (line = '') => process.stdout.write(`${line}\n`);
/** What a revocation runs is compiled too; not measured. */
const WARMUPS = 24;
const BETWEEN_MILLIS = 30;

interface Settings {
  readonly revocations: number;
  readonly perSecond: number;
  readonly everyMillis: number;
  readonly rounds: number;
  readonly streams: number;
  readonly warmUpSeconds: number;
}

let world: RevokeWorld | undefined;
let load: Load | undefined;
if (values.help) say(HELP);
else await main();

async function main(): Promise<void> {
  const stop = async () => {
    await load?.stop();
    await world?.stop();
  };
  stopOnSignal(stop);
  await runBench({
    measure: async () => {
      const settings: Settings = {
        revocations: within(values.revocations, '--revocations', 4, 10_000),
        perSecond: within(values.rate, '--rate', 10, 5000),
        everyMillis: within(values.every, '--every', 1, 100),
        rounds: within(values.rounds, '--rounds', 0, 1000),
        streams: within(values.streams, '--streams', 2, 1000),
        warmUpSeconds: within(values['warm-up'], '--warm-up', 1, 120),
      };
      const wanted = modesOf(values.mode, within(values.replicas, '--replicas', 2, 8));
      const machine = await machineWithEnvoy();
      say(`${machineLine(machine)}${redisVersion === undefined ? '' : `, Redis ${redisVersion}`}`);
      const modes: ModeResult[] = [];
      for (const mode of wanted) modes.push(await measure(mode, settings));
      return { machine, perSecond: settings.perSecond, modes } satisfies RevokeBenchResult;
    },
    lines: (result) => [...report(result), ...revokeGoals(result)],
    json: values.json,
    stop,
    log: () => `${world?.log() ?? ''}\n`,
  });
}

function modesOf(mode: string, replicas: number): number[] {
  if (!['embedded', 'redis', 'both'].includes(mode)) throw new Error('--mode takes embedded, redis or both');
  if (mode === 'embedded') return [0];
  if (redisVersion !== undefined) return mode === 'redis' ? [replicas] : [0, replicas];
  if (mode === 'redis') throw new Error('no redis-server on the PATH');
  say('the mode redis is left out: no redis-server on the PATH');
  return [0];
}

async function measure(replicas: number, settings: Settings): Promise<ModeResult> {
  const { streams, perSecond } = settings;
  say(`${nameOf({ replicas })}: starting`);
  world = await startRevokeWorld(replicas);
  await warmUp(world, settings.warmUpSeconds);
  const measured = await revokeUnderLoad(world, settings);
  const cuts: CutRound[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const cut = await cutRound(world, KINDS[round % KINDS.length] ?? 'session', round, streams);
    if (cut.untouched !== streams) throw new Error(`${streams - cut.untouched} streams of another agent did not go on`);
    cuts.push(cut);
  }
  judgeBackground(measured.background, perSecond);
  await world.stop();
  world = undefined;
  return { replicas, streams, cuts, ...measured };
}

async function warmUp({ gateways, root, rootKey }: RevokeWorld, seconds: number): Promise<void> {
  load = startLoad();
  const credential = { key: rootKey, capability: root.chain.join(' '), lifetimeSeconds: 60 };
  const progress = startProgress('gateways warm', gateways.length);
  for (const [at, { port }] of gateways.entries()) {
    await warmGateway(load, port, () => credential, seconds);
    progress(at + 1);
  }
  await load.stop();
  load = undefined;
}

async function revokeUnderLoad(
  running: RevokeWorld,
  { revocations, perSecond, everyMillis }: Settings,
): Promise<Pick<ModeResult, 'revocations' | 'background'>> {
  const ports = running.gateways.map(({ port }) => port);
  const pools = await Promise.all(ports.map((port) => openWirePool(port, 16)));
  const background = startBackground({ ports, perSecond, key: running.rootKey, chain: running.root.chain });
  try {
    const done: ProbedRevocation[] = [];
    const progress = startProgress('revocations', revocations);
    for (let round = 0; round < revocations + WARMUPS; round++) {
      const probed = await probeRevocation(running, pools, KINDS[round % KINDS.length] ?? 'session', round, everyMillis);
      if (round >= WARMUPS) done.push(probed);
      progress(done.length);
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MILLIS));
    }
    return { revocations: done, background: await background.end() };
  } finally {
    await background.stop();
    for (const pool of pools) pool.close();
  }
}

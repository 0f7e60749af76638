// `npm run bench:vault`: what a vault with a million agents costs: to register them, to keep them, to resolve one, and to decide while
// all of them are in use.

import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type BenchWorld, machineLine, startBenchWorld } from '../bench-world.ts';
import { runBench } from '../run-bench.ts';
import { within } from '../within.ts';
import { type GatewayRounds, measureGateways } from './gateways.ts';
import { makeVault, openMadeVault } from './make-vault.ts';
import { measureResolving } from './resolve-times.ts';
import { mediansOf, report, type VaultBenchResult, vaultGoals } from './vault-report.ts';

const HELP = `Usage: npm run bench:vault [-- options]

Makes a vault with many agents, each with a genuine did:webvh log, and measures the rate of registering, the size of the file,
resolving an agent that was never seen, one that was seen before and one in memory, the p99 of a decision behind Envoy with all
agents in use against 1,000, and the memory of the gateway. A million takes about 25 minutes and 3 GB of disk.

  --agents N               agents in the vault (default 1000000)
  --registered-over-api K  how many of them are registered over the API; the others in bulk (default 2000)
  --rounds N               turns with few and with all agents, of which the medians are taken (default 5)
  --seconds S              measured time of each turn, 1 to 20 (default 20)
  --warm-up S              seconds under load before them, for each gateway, 1 to 120 (default 30)
  --rate R                 requests per second of a turn, whether or not those before are answered (default 150)
  --json FILE              also write the results as JSON
  --keep DIR               make the vault there and keep it
  --use DIR                a vault that was made with --keep: its figures of registering are those of then
  --help                   this text

  ENVOY_BIN                the Envoy to measure under

Exits 0 also where a goal is not reached, and 1 where a run is void: an answer was not 200.
`;

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '1000000' },
    'registered-over-api': { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '20' },
    'warm-up': { type: 'string', default: '30' },
    rate: { type: 'string', default: '150' },
    json: { type: 'string' },
    keep: { type: 'string' },
    use: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const say = (line = '') => process.stdout.write(`${line}\n`);

if (values.help) say(HELP);
else await main();

async function main(): Promise<void> {
  let world: BenchWorld | undefined;
  await runBench({
    measure: async () => {
      const settings = {
        agents: within(values.agents, '--agents', 5000, 5_000_000),
        overApi: within(values['registered-over-api'], '--registered-over-api', 1, 100_000),
        rounds: within(values.rounds, '--rounds', 1, 100),
        seconds: within(values.seconds, '--seconds', 1, 20),
        warmUpSeconds: within(values['warm-up'], '--warm-up', 1, 120),
        perSecond: within(values.rate, '--rate', 100, 2000),
      };
      if (settings.overApi > settings.agents / 4) throw new Error('--registered-over-api is at most a quarter of --agents');
      if (values.keep !== undefined && values.use !== undefined)
        throw new Error('--keep makes a vault, --use takes one: name one of them');
      world = await startBenchWorld();
      return measure(world, settings);
    },
    lines: (result) => [...report(result), ...vaultGoals(result)],
    json: values.json,
    stop: async () => world?.stop(),
  });
}

async function measure(
  world: BenchWorld,
  settings: { agents: number; overApi: number } & GatewayRounds,
): Promise<VaultBenchResult> {
  const { machine, directory } = world;
  say(machineLine(machine));
  const vault =
    values.use === undefined
      ? await makeVault(settings, values.keep === undefined ? join(directory, 'vault') : resolve(values.keep), directory, say)
      : await openMadeVault(resolve(values.use));
  const resolving = await measureResolving(vault, directory);
  const gateways = await measureGateways(world, vault, settings, say);
  const { perSecond, seconds } = settings;
  const measured = { machine, agents: vault.agents, perSecond, seconds, making: vault.figures, resolving };
  return { ...measured, ...gateways, medians: mediansOf(gateways) };
}

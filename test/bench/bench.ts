// `npm run bench`: what a decision costs, held against Envoy's own filter, an empty Check and OPA-Envoy, all under one Envoy worker.

import { parseArgs } from 'node:util';
import { type BenchWorld, startBenchWorld } from './bench-world.ts';
import { measureFirstByte } from './first-byte.ts';
import { VoidRun } from './load.ts';
import { measureMemory } from './memory.ts';
import { type BenchResult, goals, medians, ratios, table, WITH_CHAIN } from './report.ts';
import { runBench } from './run-bench.ts';
import { measureStart } from './start-time.ts';
import { measureRound, type Round, type RoundSettings, startSystems, warm } from './systems.ts';
import { within } from './within.ts';

const HELP = `Usage: npm run bench [-- options]

Measures CPU per decision, throughput and latency of hermesbridge and its peers in turns under one Envoy worker
(HTTP/1.1 keep-alive, POST of a 1 KiB chat), the time to the first streamed byte, and the time from the start of the
program to its first Check. Takes about five minutes.

  --rounds N       turns of each system, of which the medians are taken (default 5)
  --seconds S      measured time of each turn, 1 to 30 (default 4)
  --warm-up S      time under load before that, for each program that V8 compiles as it runs, 4 to 120 (default 30)
  --connections C  connections at once (default 16)
  --chain N        also requests under a chain of N links, 1 to 5, held against those under one root
  --no-cut         without the filter that lets running responses be ended (verify.streams.cut: false)
  --memory         also the memory over 200,000 decisions: two to six minutes more
  --json FILE      also write the results as JSON
  --help           this text

  ENVOY_BIN        the Envoy to measure under
  OPA_ENVOY_BIN    OPA with its Envoy plugin; left out where it is not set

Exits 0 also where a goal is not reached, and 1 where a run is void: an answer was not 200.
`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    'warm-up': { type: 'string', default: '30' },
    connections: { type: 'string', default: '16' },
    chain: { type: 'string' },
    'no-cut': { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    json: { type: 'string' },
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
      const rounds = within(values.rounds, '--rounds', 1, 100);
      const settings = {
        seconds: within(values.seconds, '--seconds', 1, 30),
        connections: within(values.connections, '--connections', 1, 1000),
      };
      const warmUp = within(values['warm-up'], '--warm-up', 4, 120);
      const links = values.chain === undefined ? 0 : within(values.chain, '--chain', 1, 5);
      world = await startBenchWorld(links, !values['no-cut']);
      return measure(world, rounds, settings, warmUp);
    },
    lines: goals,
    json: values.json,
    stop: async () => world?.stop(),
    log: (error) => (error instanceof VoidRun ? `hermesbridge said:\n${world?.log().slice(-2000)}\n` : ''),
  });
}

async function measure(world: BenchWorld, rounds: number, settings: RoundSettings, warmUp: number): Promise<BenchResult> {
  const { machine } = world;
  say(`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}`);
  say(
    `Node ${machine.node}, Envoy ${machine.envoy} with one worker, ${settings.connections} connections, store in ${machine.store}`,
  );
  const opaEnvoy = process.env.OPA_ENVOY_BIN;
  if (!opaEnvoy) say('opa-envoy is missing: set OPA_ENVOY_BIN to an OPA with the Envoy plugin');

  const startToFirstCheckMs = await measureStart(world);
  const peers = await startSystems(world, opaEnvoy);
  const service = await world.hermesbridge();
  const ours = { name: 'hermesbridge', listener: 'gateway', carries: 'signature', pid: service.pid, compiles: true } as const;
  const chained = values.chain === undefined ? [] : [{ ...ours, name: WITH_CHAIN, carries: 'chain' } as const];
  const systems = [ours, ...chained, ...peers];
  say(`${warmUp} s each to warm up, until the code is compiled and the caches are filled`);
  await warm(world, systems, settings, warmUp);
  const done: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    done.push(await measureRound(world, systems, settings, round));
    const cpu = [...(done.at(-1) ?? [])].map(([name, { cpuPerDecisionMicros }]) => `${name} ${cpuPerDecisionMicros.toFixed(0)}`);
    say(`round ${round + 1} of ${rounds}, CPU µs/decision: ${cpu.join(', ')}`);
  }
  const result = { machine, rounds, systems: medians(done), ratios: ratios(done), startToFirstCheckMs };
  say(`\n${table(result.systems)}\n`);
  for (const [what, ratio] of Object.entries(result.ratios)) say(`${what}: ${ratio.toFixed(2)}`);
  const firstByte = await measureFirstByte(world);
  say(`first streamed byte: ${firstByte.withMs.toFixed(2)} ms with, ${firstByte.withoutMs.toFixed(2)} ms without`);
  say(`start to first answered Check: ${startToFirstCheckMs.toFixed(0)} ms`);
  await service.stop();
  const memory = values.memory ? await measureMemory(world, settings.connections, say) : undefined;
  return { ...result, firstByte, memory };
}

// `npm run chaos`: replicas of the gateway under traffic and attack while what they stand on breaks (docs/chaos.md).

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { INTERRUPTED } from '../bench/run-bench.ts';
import { redisVersion } from '../stores/redis/redis-server.ts';
import { type Finding, findingOf, isBroken, linesOf, tableOf } from './report.ts';
import { LEAST_PER_SECOND, type Scenario, Stage, VoidScenario } from './scenario.ts';
import { clockScenarios } from './scenarios/clock.ts';
import { failoverScenarios } from './scenarios/failover.ts';
import { redisScenarios } from './scenarios/redis.ts';
import { replicaScenarios } from './scenarios/replicas.ts';
import { revocationScenarios } from './scenarios/revocation.ts';
import { startRunWorld, type World } from './world.ts';

/** Those of one world one after another. */
const SCENARIOS: readonly Scenario[] = [
  ...[...redisScenarios, ...clockScenarios, ...revocationScenarios, ...replicaScenarios].filter(
    ({ world }) => world === 'single',
  ),
  ...failoverScenarios,
  ...replicaScenarios.filter(({ world }) => world === 'shared'),
];

const HELP = `Usage: npm run chaos [-- options]

Breaks Redis, the vault, replicas, clocks and the network between them while three replicas of the gateway serve
open-loop traffic of valid requests and attacks, and holds every verdict against what reached the upstream and what
is on record. docs/chaos.md says what each fault does and what is expected. Takes about ten minutes.

  --only X1,X3   only these faults: ${SCENARIOS.map(({ id }) => id).join(' ')}
  --seconds S    of traffic before each fault, 3 to 60 (default 6); below 5 with one rollout instead of ten
  --rate R       requests a second, ${LEAST_PER_SECOND} to 1000 (default 140)
  --strict       a target that is missed counts as a failure too
  --json FILE    also write the findings as JSON
  --help         this text

  ENVOY_BIN      the Envoy of the replicas

Needs a redis-server on the PATH and is skipped without one. Exits 1 where an invariant is broken, where what must be
is not, or where a run was void three times.

Example:
  npm run chaos -- --only X1,X19 --seconds 4
`;

const MOST_RUNS = 3;
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '6' },
    rate: { type: 'string', default: '140' },
    strict: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const say = (line = '') => process.stdout.write(`${line}\n`);
let world: World | undefined;
let starting: Promise<World> | undefined;
let interrupted = false;

if (values.help) say(HELP);
else if (redisVersion === undefined) say('chaos: SKIPPED, there is no redis-server on the PATH');
else await main();

async function main(): Promise<void> {
  process.setMaxListeners(100);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      interrupted = true;
      process.exitCode = INTERRUPTED;
      void endWorld().finally(() => process.exit());
    });
  try {
    const wanted = chosen(values.only);
    const seconds = within(values.seconds, '--seconds', 3, 60);
    const perSecond = within(values.rate, '--rate', LEAST_PER_SECOND, 1000);
    const findings: Finding[] = [];
    for (const [at, scenario] of wanted.entries()) {
      say(`${scenario.id} (${at + 1} of ${wanted.length}): ${scenario.title}`);
      const finding = await runScenario(scenario, { perSecond, seconds, short: seconds < 5 });
      if (interrupted) return;
      findings.push(finding);
      for (const line of linesOf(finding)) say(line);
      if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(findings, undefined, 2)}\n`);
    }
    say(`\n${tableOf(findings)}`);
    const broken = findings.filter((finding) => isBroken(finding, values.strict));
    say(`\n${findings.length - broken.length} of ${findings.length} hold`);
    if (broken.length > 0) process.exitCode = 1;
  } catch (error) {
    if (interrupted) return;
    process.exitCode = 1;
    process.stderr.write(`chaos failed: ${error instanceof Error ? error.message : String(error)}\n`);
  } finally {
    await endWorld();
  }
}

/** In the world that is there, if it is of its kind and nothing went wrong in it. */
async function runScenario(
  scenario: Scenario,
  settings: { readonly perSecond: number; readonly seconds: number; readonly short: boolean },
): Promise<Finding> {
  for (let run = 1; ; run++) {
    if (world?.kind !== scenario.world) {
      await endWorld();
      const began = performance.now();
      starting = startRunWorld(scenario.world);
      world = await starting;
      say(`  a world of its kind was started in ${((performance.now() - began) / 1000).toFixed(0)} s`);
    }
    const stage = new Stage({ world, say, ...settings });
    try {
      await scenario.run(stage);
      const finding = findingOf(scenario, stage);
      if (finding.result === 'PASS') return finding;
      for (const line of logOf(world)) say(`  ${line}`);
      await endWorld();
      return finding;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (interrupted) return findingOf(scenario, stage, problem);
      const isVoid = error instanceof VoidScenario;
      if (!isVoid || run === MOST_RUNS) {
        const finding = findingOf(scenario, stage, [problem, ...logOf(world)].join('\n  '), isVoid);
        await endWorld();
        return finding;
      }
      say(`  void, and run again: ${problem}`);
      await endWorld();
    }
  }
}

/** The last that each replica logged. */
function logOf({ replicas }: World): string[] {
  return replicas.flatMap(({ name, notable }) =>
    notable()
      .slice(-5)
      .map((line) => `${name}: ${line.slice(0, 300)}`),
  );
}

async function endWorld(): Promise<void> {
  // One that is still being started has things to stop already.
  const ending = await starting?.catch(() => undefined);
  [world, starting] = [undefined, undefined];
  await ending?.stop();
}

function chosen(only: string | undefined): readonly Scenario[] {
  if (only === undefined) return SCENARIOS;
  const ids = only.split(',').map((id) => id.trim().toUpperCase());
  const unknown = ids.filter((id) => !SCENARIOS.some((scenario) => scenario.id === id));
  if (unknown.length > 0) throw new Error(`--only: there is no ${unknown.join(', ')}`);
  return SCENARIOS.filter(({ id }) => ids.includes(id));
}

function within(text: string, option: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new Error(`${option} takes a whole number from ${least} to ${most}`);
  return value;
}

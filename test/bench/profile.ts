// `node test/bench/profile.ts`: where our service's time goes under the bench's load. Prints the CPU time of each thread and the
// functions of the event loop's thread with the most self time.

import { writeFile } from 'node:fs/promises';
import type { Profiler } from 'node:inspector';
import { parseArgs } from 'node:util';
import { startBenchWorld } from './bench-world.ts';
import { cpuMicros, threadMicros } from './cpu-time.ts';
import { batchFor } from './systems.ts';

const EVENT_LOOP = 'event loop';

const HELP = `Usage: node test/bench/profile.ts [options]

  --seconds S  time under load, 1 to 30 (default 10)
  --top N      functions to print (default 40)
  --out FILE   also write the profile, for a browser's developer tools
  --help       this text
`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    top: { type: 'string', default: '40' },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const say = (line = '') => process.stdout.write(`${line}\n`);

if (values.help) say(HELP);
else await main(Number(values.seconds), Number(values.top));

async function main(seconds: number, top: number): Promise<void> {
  const world = await startBenchWorld();
  try {
    const service = await world.hermesbridge({ probe: true, patienceMillis: 5000 });
    const load = async (time: number) => {
      await world.load.prepare(batchFor(world, { carries: 'signature' }, time));
      const run = {
        port: world.envoy.ports.gateway ?? 0,
        connections: 16,
        warmupMillis: 0,
        millis: time * 1000,
        pids: [service.pid],
      };
      return () => world.load.run(run);
    };
    await (await load(3))(); // until the code is compiled
    const run = await load(seconds);
    await service.ask('profile-start');
    const before = threadMicros(service.pid);
    const processBefore = cpuMicros(service.pid);
    const { decisions } = await run();
    const after = threadMicros(service.pid);
    const total = (cpuMicros(service.pid) - processBefore) / decisions;
    const { profile } = await service.ask('profile-stop');
    say(`${decisions} decisions, ${total.toFixed(1)} µs CPU each (the profiler's own share included)\n\nµs/decision  thread`);
    const threads = [...after].map(([tid, { name, micros }]) => ({
      name: tid === service.pid ? EVENT_LOOP : name,
      micros: (micros - (before.get(tid)?.micros ?? 0)) / decisions,
    }));
    for (const { name, micros } of threads) if (micros >= 0.5) say(`${micros.toFixed(1).padStart(11)}  ${name}`);
    say('\nµs/decision  self time on the event loop, scaled to its CPU time');
    const cpu = threads.find(({ name }) => name === EVENT_LOOP)?.micros ?? total;
    for (const { name, share } of selfTimes(profile, nameOf).slice(0, top))
      say(`${(share * cpu).toFixed(2).padStart(11)}  ${name}`);
    say('\nµs/decision  by part');
    for (const { name, share } of selfTimes(profile, partOf).slice(0, top))
      say(`${(share * cpu).toFixed(2).padStart(11)}  ${name}`);
    if (values.out !== undefined) await writeFile(values.out, JSON.stringify(profile));
  } finally {
    await world.stop();
  }
}

/**
 * Shares of the busy time by what `nameIt` calls them, largest first. Samples are taken by the clock, so on a busy machine they count waiting for a
 * core as well; as shares they are right all the same.
 */
function selfTimes(
  { nodes, samples = [], timeDeltas = [] }: Profiler.Profile,
  nameIt: (frame: Profiler.ProfileNode['callFrame']) => string,
): { name: string; share: number }[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameIt(callFrame)]));
  const totals = new Map<string, number>();
  let busy = 0;
  for (const [at, id] of samples.entries()) {
    const name = names.get(id) ?? '?';
    if (name === '(idle)') continue;
    // The time from this sample to the next one.
    const micros = timeDeltas[at + 1] ?? 0;
    busy += micros;
    totals.set(name, (totals.get(name) ?? 0) + micros);
  }
  return [...totals].map(([name, micros]) => ({ name, share: micros / busy })).sort((a, b) => b.share - a.share);
}

function nameOf({ functionName, url, lineNumber }: Profiler.ProfileNode['callFrame']): string {
  // All functions of a native addon go through one entry, which V8 calls by the name of any of them.
  if (url === '' && /^(?:crypto|extension|randombytes|sodium)_/.test(functionName)) return 'sodium-native: Ed25519 verification';
  if (url === '') return functionName || '(anonymous)';
  const file = url.replace(/^.*\/node_modules\//, '').replace(/^file:.*\/src\//, 'src/');
  return `${functionName || '(anonymous)'}  ${file}:${lineNumber + 1}`;
}

/** A package, a folder of ours, or a module of Node's. */
function partOf(frame: Profiler.ProfileNode['callFrame']): string {
  const name = nameOf(frame);
  if (frame.url === '') return /^\(|^sodium/.test(name) ? name : 'native functions of Node';
  if (frame.url.startsWith('node:')) return frame.url.replace(/^(node:(?:internal\/)?[^/]+).*/, '$1');
  return name.replace(/^.* {2}/, '').replace(/^(@[^/]+\/[^/]+|src\/[^/]+|[^/]+)\/.*/, '$1');
}

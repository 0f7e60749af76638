// H3: mutated CheckRequests against the real handler, answer, checks and store. Whatever arrives: never an allow, never an
// error or a second reply, never an exit, never a hang, and no exception behind the answer either.
// `npm run fuzz -- [--count N] [--seed S]`; the attack tests run it as well.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import canonicalize from 'canonicalize';
import { attempt, type Holder, mintRoot, newHolder, toWire } from '../attacks/attacker.ts';
import { ask, encodeCheck, openGate, ruling } from '../attacks/gate.ts';
import { type Harmless, mutants } from './mutants.ts';

export interface FuzzSettings {
  readonly count: number;
  readonly seed: number;
  /** Checks under way at once. */
  readonly parallel?: number;
  readonly onProgress?: (done: number, millis: number) => void;
}

export interface FuzzSummary {
  readonly count: number;
  readonly seed: number;
  readonly millis: number;
  /** How often each reason was the answer. */
  readonly reasons: Readonly<Record<string, number>>;
  /** What must not be, each with the case that shows it; the first few. */
  readonly findings: readonly string[];
}

const HANG_MILLIS = 15_000;
const MOST_FINDINGS = 20;
const RECORD_SAMPLE = 16;

/** The grant allows nothing, so no mutation, signed or not, may end in an allow. */
const NOTHING = { authorization_details: [{ type: 'llm_access', actions: [] }] };

export async function fuzz({ count, seed, parallel = 64, onProgress }: FuzzSettings): Promise<FuzzSummary> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-fuzz-'));
  const [operator, agent] = [newHolder(), newHolder()];
  const findings: string[] = [];
  const reasons: Record<string, number> = {};
  const find = (what: string) => {
    if (findings.length < MOST_FINDINGS) findings.push(what);
  };
  const gate = await openGate({ operator, directory });
  const started = performance.now();
  try {
    await holdSense(gate, operator, agent);
    const harmless: Harmless = { operator, agent, claims: NOTHING };
    const next = mutants(seed, harmless);
    let done = 0;
    let completed = 0;
    const one = async () => {
      while (done < count) {
        const at = done++;
        const { how, bytes } = next();
        const show = () => `case ${at} of seed ${seed} (${how}): ${bytes.toString('base64').slice(0, 4000)}`;
        try {
          const { allowed, reason = 'none', status = 0, body } = ruling(await withinTime(ask(gate.handler, bytes)));
          reasons[reason] = (reasons[reason] ?? 0) + 1;
          if (allowed) find(`allowed: ${show()}`);
          if (![400, 401, 403, 429, 503].includes(status)) find(`status ${status}: ${show()}`);
          // An exception behind the answer is logged with the decision's id; a misconfigured Envoy has none.
          const cause =
            reason === 'indeterminate' && gate.log.find((line) => line.includes('"err":') && line.includes(idOf(body)));
          if (cause) find(`no conclusion: ${show()} ${cause}`);
        } catch (error) {
          find(`${error instanceof Error ? error.message : String(error)}: ${show()}`);
        }
        if (at % RECORD_SAMPLE === 0) {
          const record = gate.records.at(-1);
          if (record !== undefined && canonicalize(JSON.parse(record)) !== record)
            find(`a record that is not canonical: ${record}`);
        }
        if (gate.log.length > 5000) gate.log.splice(0, 4000);
        if (gate.records.length > 5000) gate.records.splice(0, 4000);
        completed++;
        if (completed % Math.max(1000, Math.floor(count / 20)) === 0) onProgress?.(completed, performance.now() - started);
      }
    };
    await Promise.all(Array.from({ length: parallel }, one));
    return { count, seed, millis: performance.now() - started, reasons, findings };
  } finally {
    await gate.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Before anything is changed: a good request is allowed, and what is mutated is refused by the last checks only. */
async function holdSense(gate: Awaited<ReturnType<typeof openGate>>, operator: Holder, agent: Holder): Promise<void> {
  const good = ruling(await ask(gate.handler, encodeCheck(toWire(attempt(agent, mintRoot(operator, agent))))));
  const harmless = ruling(
    await ask(gate.handler, encodeCheck(toWire(attempt(agent, mintRoot(operator, agent, { claims: NOTHING }))))),
  );
  if (!good.allowed || harmless.reason !== 'capability-insufficient')
    throw new Error('the unchanged requests are not judged as they must be');
}

function idOf(body: string): string {
  return (JSON.parse(body) as { instance: string }).instance;
}

async function withinTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no reply')), HANG_MILLIS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { count: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  const say = (text: string) => process.stdout.write(`${text}\n`);
  if (values.help)
    say(
      'Usage: npm run fuzz -- [--count N] [--seed S]\n\nSends N (1000000) mutated CheckRequests and exits 1 if any is not refused as it must be.',
    );
  else {
    const count = Number(values.count ?? 1_000_000);
    const seed = Number(values.seed ?? Date.now() % 2 ** 32);
    if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed))
      throw new RangeError('--count and --seed are whole numbers');
    say(`${count} mutated CheckRequests, seed ${seed}`);
    const summary = await fuzz({
      count,
      seed,
      onProgress: (done, millis) => say(`${done}  ${Math.round((done / millis) * 1000)}/s`),
    });
    for (const [reason, times] of Object.entries(summary.reasons).sort((a, b) => b[1] - a[1]))
      say(`${String(times).padStart(10)}  ${reason}`);
    say(`${summary.findings.length} findings in ${Math.round(summary.millis / 1000)} s`);
    for (const finding of summary.findings) say(finding);
    process.exitCode = summary.findings.length === 0 ? 0 : 1;
  }
}

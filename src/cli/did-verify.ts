// `did verify`: a log of a did:webvh, entry by entry, as far as it holds.

import type { Command } from 'commander';
import { locationOfDidWebvh } from '../vault/did-location.ts';
import { LogVerifier } from '../vault/webvh/log-verifier.ts';
import { InvalidLog, type VerifiedLog } from '../vault/webvh/verified-log.ts';
import {
  addFetchOptions,
  type FetchOptions,
  fetchLog,
  guardedFetch,
  MOST_BYTES,
  type ReadLog,
  readLogFiles,
} from './fetched-log.ts';
import { EXIT, type OutputOptions, print, UsageError } from './output.ts';

interface VerifyOptions extends OutputOptions, FetchOptions {
  did?: string;
  witness?: string;
}

const MOST_ENTRIES = 100_000;

export function addVerifyCommand(did: Command): void {
  addFetchOptions(did.command('verify'))
    .summary('verify the log of a did:webvh, entry by entry')
    .description(
      'Verifies a log from its first entry to its last: hash, proof, update key, pre-rotation and time of each. Names the first entry that does not hold, and exits 1 then.',
    )
    .argument('<log>', 'a file (did.jsonl), or a did:webvh whose log is fetched')
    .option('--did <did>', 'the DID that the log in the file must be of')
    .option('--witness <file>', 'did-witness.json, beside a file')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  hermesbridge did verify did.jsonl')
    .action(verify);
}

async function verify(named: string, options: VerifyOptions): Promise<void> {
  const isDid = named.startsWith('did:');
  if (isDid && (options.did !== undefined || options.witness !== undefined))
    throw new UsageError('--did and --witness go with a file: the log of a DID has its own');
  const read = isDid
    ? await fetchLog(locationOfDidWebvh(named), await guardedFetch(options))
    : await readLogFiles(named, options.witness);
  const did = isDid ? named : options.did;
  const lines = read.log.split('\n').filter((line) => line.trim() !== '');
  const verifier = LogVerifier.start({ maxBytes: MOST_BYTES, maxEntries: MOST_ENTRIES, timeLimitMillis: 60_000 });
  const check = (count: number, of?: string) => outcomeOf(verifier, { did: of, ...prefix(read, lines, count) });
  const whole = await check(lines.length);
  const holding = whole.log
    ? lines.length
    : await countHolding(lines.length, async (count) => (await check(count)).log !== undefined);
  const { log, problem } = whole.log ? await check(lines.length, did) : await check(Math.min(holding + 1, lines.length));
  const versions = lines.slice(0, holding).map(headOf);
  const text = [
    ...versions.map(
      ({ versionId, versionTime }) => `pass  ${versionId}  ${versionTime}  hash, proof, update key, pre-rotation, time`,
    ),
    ...(problem === undefined
      ? []
      : [`FAIL  ${holding < lines.length ? `entry ${holding + 1}` : 'the log as a whole'}: ${problem}`]),
    log
      ? `=> ${log.did} verifies${log.deactivated ? ', and is deactivated' : ''}`
      : `=> the log does not verify${whole.log ? `: it is one of ${whole.log.did}` : ''}`,
  ];
  const failed = problem === undefined ? {} : { problem, ...(holding < lines.length && { badEntry: holding + 1 }) };
  print(options, { did: log?.did ?? null, valid: log !== undefined, versions, ...failed }, text.join('\n'));
  if (log === undefined) process.exitCode = EXIT.no;
}

interface Outcome {
  readonly log?: VerifiedLog;
  readonly problem?: string;
}

async function outcomeOf(verifier: LogVerifier, request: ReadLog & { did: string | undefined }): Promise<Outcome> {
  try {
    return { log: await verifier.verify({ ...request, now: Date.now() }) };
  } catch (error) {
    if (error instanceof InvalidLog) return { problem: error.message };
    throw error;
  }
}

/** The whole as it came, its line ends included. */
function prefix(read: ReadLog, lines: readonly string[], count: number): ReadLog {
  return count === lines.length ? read : { log: `${lines.slice(0, count).join('\n')}\n`, witness: read.witness };
}

/** The beginning of a log that holds, holds as well: so the last entry up to which it does is found by halving. */
async function countHolding(length: number, holds: (count: number) => Promise<boolean>): Promise<number> {
  let [good, bad] = [0, length];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await holds(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

function headOf(line: string, at: number): { version: number; versionId: string; versionTime: string } {
  const { versionId, versionTime } = JSON.parse(line) as { versionId: string; versionTime: string };
  return { version: at + 1, versionId, versionTime };
}

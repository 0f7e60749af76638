// `delegate`: asks a running sidecar, over its Unix socket, to pass a part of its capability on to another agent.

import { request } from 'node:http';
import { type Command, Option } from 'commander';
import { ALGORITHMS } from '../crypto/public-key.ts';
import { writeDurably } from '../operator/durable-file.ts';
import { addGrantOptions, count, duration, type GrantOptions, readDetails } from './grant-options.ts';
import { CommandError, collect, type OutputOptions, print, UsageError } from './output.ts';
import { chooseAlgorithm, keyOfDid, readPublicKey } from './public-key-file.ts';

interface DelegateOptions extends OutputOptions, GrantOptions {
  socket: string;
  to: string;
  key?: string;
  alg?: string;
  audience?: string[];
  task?: string;
  lifetime?: number;
  maxDepth?: number;
  out?: string;
}

interface Delegation {
  readonly chain: readonly string[];
  readonly expires: string;
}

/** Longer than the sidecar gives a request. */
const TIMEOUT_MILLIS = 15_000;
const MOST_BYTES = 1024 * 1024;

export function addDelegateCommand(program: Command): void {
  const delegate = program
    .command('delegate')
    .summary('pass a part of what a running agent may do on to another agent')
    .description(
      "Asks the sidecar of an agent, over its local socket (sign.delegation), for a link to another agent's DID and key, below the session that the sidecar is in. Prints the whole chain, a token a line, root first: the capability of the other agent's sidecar. It ends with that session at the latest.",
    )
    .requiredOption('--socket <path>', "the sidecar's socket")
    .requiredOption('--to <did>', "the other agent's DID")
    .option('--key <file>', "the other agent's key, a public or a private JWK; a did:key's or did:jwk's own by default")
    .addOption(
      new Option('--alg <algorithm>', 'algorithm that the key is used with, where it leaves a choice').choices(ALGORITHMS),
    )
    .option('--audience <name>', "one of the chain's gateways; may be repeated", collect)
    .option('--task <name>', 'for one task');
  addGrantOptions(delegate)
    .addOption(
      new Option('--lifetime <duration>', 'how long it holds: 12h, 15m, 60s (default: as long as the session)').argParser(
        duration,
      ),
    )
    .option('--max-depth <n>', 'how deep the chain may go (default: as deep as the capability says)', count)
    .option('--out <file>', 'write the chain to this file, in one piece, instead of printing it')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  hermesbridge delegate --socket run/delegate.sock --to did:key:z6Mk… \\\n    --action chat --model openai/gpt-5-mini --max-output-tokens 500 --lifetime 10m --out helper.capability',
    )
    .action(run);
}

async function run(options: DelegateOptions): Promise<void> {
  if (options.key === undefined && !/^did:(?:key|jwk):/.test(options.to))
    throw new UsageError('--key: name the file with the key of the other agent, which only a did:key or did:jwk says itself');
  const key = options.key === undefined ? keyOfDid(options.to) : await readPublicKey(options.key);
  const { to, audience, task, lifetime, maxDepth, out } = options;
  const delegation = await ask(options.socket, {
    to,
    key: { ...key.jwk, alg: chooseAlgorithm(key, options.alg) },
    details: await readDetails(options),
    lifetimeSeconds: lifetime,
    maxDepth,
    audience,
    task,
  });
  const lines = delegation.chain.join('\n');
  // Not secret: without the other agent's key nothing can be done with it.
  if (out !== undefined) await writeDurably(out, `${lines}\n`, 0o644);
  print(options, out === undefined ? delegation : { ...delegation, file: out }, out === undefined ? lines : out);
}

/** @throws {CommandError} with what the sidecar says is wrong */
async function ask(socketPath: string, asked: object): Promise<Delegation> {
  const { status, body } = await post(socketPath, JSON.stringify(asked));
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new CommandError(`${socketPath} does not answer as a sidecar does`);
  }
  if (status === 201) return value as Delegation;
  throw new CommandError(`not delegated: ${whyNot(value) ?? `the sidecar answers ${status}`}`);
}

function whyNot(problem: unknown): string | undefined {
  const { title, detail, errors } = (problem ?? {}) as { title?: string; detail?: string; errors?: FieldError[] };
  const named = errors?.map((error) => `${error.field}: ${error.detail}`).join('; ');
  return title && `${title}. ${named || detail || ''}`;
}

interface FieldError {
  readonly field: string;
  readonly detail: string;
}

function post(socketPath: string, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asking = request({ socketPath, path: '/delegate', method: 'POST', headers, timeout: TIMEOUT_MILLIS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MOST_BYTES) asking.destroy(new CommandError(`${socketPath} does not answer as a sidecar does`));
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.once('error', reject);
    });
    asking.once('timeout', () => asking.destroy(new CommandError(`${socketPath} does not answer`)));
    asking.once('error', (error: NodeJS.ErrnoException) =>
      reject(error instanceof CommandError ? error : unreachable(socketPath, error)),
    );
    asking.end(body);
  });
}

function unreachable(socketPath: string, { code = 'unknown' }: NodeJS.ErrnoException): CommandError {
  const why: Readonly<Record<string, string>> = {
    ENOENT: 'is not there: the sidecar does not run, or its configuration has no sign.delegation',
    ECONNREFUSED: 'has nobody behind it: the sidecar does not run',
    EACCES: 'belongs to another user',
  };
  return new CommandError(`${socketPath} ${why[code] ?? `cannot be reached (${code})`}`);
}

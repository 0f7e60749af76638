// `sign` prints the headers for one request; `verify` explains a captured one step by step.

import { randomBytes, randomUUID } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { loadProviders } from '../checks/capability/provider-registry.ts';
import { type Checks, makeChecks } from '../checks/checks.ts';
import { NonceMemory } from '../checks/nonce/nonce-memory.ts';
import { NO_RESTRICTIONS } from '../checks/restriction/check-restriction.ts';
import { loadConfiguration } from '../config.ts';
import { type PrivateKey, readPrivateKey } from '../crypto/private-key.ts';
import { decide } from '../decide.ts';
import { refuse } from '../decision.ts';
import { parseCheckRequest } from '../ext-authz/parse-check-request.ts';
import { providerRoutes } from '../serve/provider-routes.ts';
import { readSecret } from '../serve/secret.ts';
import { assertVerify } from '../serve/start-verify.ts';
import { holdChain } from '../sign/held-chain.ts';
import { signRequest } from '../sign/sign-request.ts';
import { TokenError } from '../token/token-form.ts';
import { trustOperators } from '../trust/operators.ts';
import { selfDescribingResolver } from '../vault/resolver.ts';
import { asChecked, parseCapturedRequest, parseHeader } from './captured-request.ts';
import { CommandError, collect, EXIT, type OutputOptions, print, readNamedFile, UsageError } from './output.ts';

interface SignOptions extends OutputOptions {
  key: string;
  capability: string;
  url: string;
  method: string;
  header?: string[];
  data?: string;
  lifetime: number;
  curl?: boolean;
}

export function addRequestCommands(program: Command): void {
  program
    .command('sign')
    .summary('print the headers that make a request acceptable to the gateway')
    .description('Signs one request, for use with curl. The signature holds for one attempt and for the time --lifetime says.')
    .requiredOption('--key <file>', "the agent's private key")
    .requiredOption('--capability <file>', "the agent's capability")
    .requiredOption('--url <url>', "the gateway's URL with path and query")
    .option('-X, --method <method>', 'HTTP method', 'POST')
    .option('-H, --header <line>', 'a header of the request, NAME: VALUE; may be repeated', collect)
    .option('-d, --data <data>', 'the body; @FILE reads it from a file, @- from standard input')
    .option('--lifetime <seconds>', 'time until the signature expires', seconds, 60)
    .option('--curl', 'print a whole curl command')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      "\nExample:\n  hermesbridge sign --key agent.jwk --capability agent.capability \\\n    --url https://gateway.example/openai/v1/chat/completions -H 'content-type: application/json' -d @body.json",
    )
    .action(sign);
  program
    .command('verify')
    .summary('explain a captured request step by step')
    .description(
      'Runs every check of the gateway on a captured request and says how far it gets. Nothing is recorded and no nonce is taken, so a replay is not seen. Exits 1 when it would be denied.',
    )
    .argument(
      '<request>',
      'file with the request, as JSON {method, url, headers, body} or as HTTP/1.1 text; - for standard input',
    )
    .option('-c, --config <file>', "the gateway's configuration (or HERMESBRIDGE_CONFIG)", process.env.HERMESBRIDGE_CONFIG)
    .option('--at <time>', 'judge the times as of then (RFC 3339), instead of now', time)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  hermesbridge verify --config gateway.yaml captured.http --at 2026-05-04T10:00:00Z')
    .action(verify);
}

async function sign(options: SignOptions): Promise<void> {
  if (!URL.canParse(options.url))
    throw new UsageError('--url does not parse: give the whole URL, https://gateway.example/openai/v1/chat/completions');
  const url = new URL(options.url);
  if (!/^https?:$/.test(url.protocol)) throw new UsageError('--url must begin with https:// or http://');
  if (!/^[A-Z]{1,20}$/.test(options.method)) throw new UsageError('--method must be a method of HTTP, in capitals');
  const key = readPrivateKey(await readSecret({ file: options.key }, '--key'));
  const chain = (await readSecret({ file: options.capability }, '--capability', true)).split(/\s+/);
  warnOfUseless(key, chain);
  const body = await readData(options.data);
  const own = (options.header ?? []).map(parseHeader);
  if (body.length > 0 && !own.some(([name]) => name === 'content-type')) own.push(['content-type', 'application/json']);
  const fields = new Map<string, string[]>();
  for (const [name, value] of own) fields.set(name, [...(fields.get(name) ?? []), value]);
  const request = { method: options.method, authority: url.host, path: url.pathname, query: url.search || '?', fields, body };
  const moment = { now: Date.now(), lifetimeSeconds: options.lifetime, nonce: randomBytes(16) };
  const headers = [...own, ...signRequest(request, { key, chain }, moment)];
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  print(options, { method: options.method, url: url.href, headers }, options.curl ? curl(options, url, lines) : lines.join('\n'));
}

/** Signed all the same: how a gateway refuses it may be what someone wants to see. */
function warnOfUseless(key: PrivateKey, [root = '', ...links]: readonly string[]): void {
  try {
    holdChain(key, [root, ...links]);
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    const why = error.message.replace('sign.key', '--key');
    process.stderr.write(`hermesbridge: no gateway will accept this: --capability ${why}\n`);
  }
}

function curl({ method, data }: SignOptions, url: URL, lines: string[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ['curl -sS -N', `-X ${method}`, ...lines.map((line) => `-H ${quote(line)}`)];
  if (data !== undefined) parts.push(`--data-binary ${quote(data)}`);
  return [...parts, quote(url.href)].join(' \\\n  ');
}

async function readData(data: string | undefined): Promise<Buffer> {
  if (data === undefined) return Buffer.alloc(0);
  if (data === '@-') return readStandardInput();
  if (!data.startsWith('@')) return Buffer.from(data);
  return readNamedFile(data.slice(1));
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

interface Step {
  readonly check: string;
  readonly passed: boolean;
  readonly reason?: string;
  readonly detail?: string;
}

async function verify(file: string, options: OutputOptions & { config?: string; at?: number }): Promise<void> {
  if (options.config === undefined) throw new UsageError('name the gateway configuration with --config or HERMESBRIDGE_CONFIG');
  const { configuration } = await loadConfiguration(options.config);
  const role = configuration.verify;
  if (role === undefined) throw new CommandError(`${options.config} has no role "verify"`);
  const apis = await loadProviders();
  assertVerify(role, apis);
  const captured = parseCapturedRequest(file === '-' ? await readStandardInput() : await readNamedFile(file));
  const steps: Step[] = [];
  const checks = makeChecks({
    gatewayNames: role.gateway.names,
    operators: trustOperators(role.trust),
    resolver: selfDescribingResolver(),
    routes: providerRoutes(role, apis),
    signature: role.signature,
    chain: role.chain,
    nonces: new NonceMemory({ perKeyLimit: 1, windowMillis: 1, monotonic: () => 0, forgottenThrough: 0, bornAt: 0 }),
    restrictions: NO_RESTRICTIONS,
    clock: () => options.at ?? Date.now(),
    newDecisionId: randomUUID,
  });
  const parsed = parseCheckRequest(asChecked(captured));
  const decision = parsed.denied ? refuse(parsed, {}) : await decide(parsed.proof, explained(checks, steps));
  if (parsed.denied) steps.push({ check: 'parse', passed: false, reason: parsed.reason, detail: parsed.detail });
  const text = steps.map(
    ({ check, passed, reason, detail }) => `${passed ? 'pass' : 'FAIL'}  ${check}${passed ? '' : `  ${reason}: ${detail}`}`,
  );
  print(options, { effect: decision.effect, steps }, [...text, `=> ${decision.effect}`].join('\n'));
  if (decision.effect === 'deny') process.exitCode = EXIT.no;
}

/** The same checks, as synchronous or not as they are; each notes how it ended. */
function explained(checks: Checks, steps: Step[]): Checks {
  type Run = (...proofs: never[]) => ReturnType<Checks['form']> | Promise<ReturnType<Checks['form']>>;
  const noted = Object.entries(checks).map(([check, run]) => {
    const note = (outcome: ReturnType<Checks['form']>) => {
      steps.push(
        outcome.denied ? { check, passed: false, reason: outcome.reason, detail: outcome.detail } : { check, passed: true },
      );
      return outcome;
    };
    return [
      check,
      (...proofs: never[]) => {
        const outcome = (run as Run)(...proofs);
        return outcome instanceof Promise ? outcome.then(note) : note(outcome);
      },
    ];
  });
  return Object.fromEntries(noted) as Checks;
}

function seconds(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1 || Number(text) > 300)
    throw new InvalidArgumentError('must be a number of seconds from 1 to 300, which is the most a gateway can be set to accept');
  return Number(text);
}

function time(text: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError('must be a time such as 2026-05-04T10:00:00Z');
  return at;
}

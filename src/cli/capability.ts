// `capability issue` and `capability inspect`.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { compactVerify } from 'jose';
import { z } from 'zod';
import { readPrivateKey } from '../crypto/private-key.ts';
import { ALGORITHMS, type Algorithm } from '../crypto/public-key.ts';
import { readSecret } from '../serve/secret.ts';
import type { AuthorizationDetails } from '../token/authorization-details.ts';
import { parseRootToken } from '../token/capability-token.ts';
import { issueRootToken } from '../token/issue-root.ts';
import { didKeyOf } from '../vault/did-key.ts';
import { resolveDid, type VerificationMethod } from '../vault/resolve-did.ts';
import { CommandError, collect, EXIT, type OutputOptions, print, readNamedFile, UsageError } from './output.ts';

interface IssueOptions extends OutputOptions {
  operatorKey: string;
  operator?: string;
  agent: string;
  alg?: string;
  audience: string[];
  action?: string[];
  model?: string[];
  tool?: string[];
  /** `--no-tools` makes it false. */
  tools: boolean;
  maxOutputTokens?: number;
  maxInputBytes?: number;
  details?: string;
  lifetime: number;
  maxDepth: number;
}

export function addCapabilityCommands(program: Command): void {
  const capability = program
    .command('capability')
    .summary('issue and inspect capabilities')
    .description('What an operator says one of its agents may do.');
  capability
    .command('issue')
    .summary('issue a root token to an agent')
    .description("Signs a root token with the operator's key. Prints the token; give it to the agent's sidecar.")
    .requiredOption('--operator-key <file>', "the operator's private key")
    .option('--operator <did>', "the operator's DID; the did:key of its key by default")
    .requiredOption('--agent <did>', "the agent's DID (did:key or did:jwk)")
    .option('--alg <algorithm>', `algorithm that the agent signs with, where its key leaves a choice (${ALGORITHMS.join(', ')})`)
    .requiredOption('--audience <name>', 'name of a gateway it is for; may be repeated', collect)
    .option('--action <action>', 'an action it allows; may be repeated (default: chat)', collect)
    .option('--model <pattern>', 'a model it allows, provider/model with * at the end only; may be repeated', collect)
    .option('--tool <pattern>', 'a tool it allows; may be repeated (default: any)', collect)
    .option('--no-tools', 'allow no tool at all')
    .option('--max-output-tokens <n>', 'most output tokens of one request', count)
    .option('--max-input-bytes <n>', 'largest request body', count)
    .option('--details <file>', 'a whole authorization_details entry as JSON instead of the options above')
    .addOption(
      new Option('--lifetime <duration>', 'how long it holds: 90d, 12h, 15m, 60s')
        .argParser(duration)
        .default(duration('30d'), '30d'),
    )
    .option('--max-depth <n>', 'how deep the agent may delegate', count, 0)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      "\nExample:\n  hermesbridge capability issue --operator-key operator.jwk --agent did:key:z6Mk… \\\n    --audience gateway.example --action chat --model 'openai/gpt-5*' --max-output-tokens 4096 > agent.capability",
    )
    .action(issue);
  capability
    .command('inspect')
    .summary('show what a root token says and whether it verifies')
    .description(
      "Reads a token, checks its form, its times and its signature under its issuer's key. Exits 1 when it does not hold. Whether a gateway trusts the issuer is the gateway's to say.",
    )
    .argument('<token>', 'the token, a file that holds it, or - for standard input')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  hermesbridge capability inspect agent.capability')
    .action(inspect);
}

async function issue(options: IssueOptions): Promise<void> {
  const operatorKey = readPrivateKey(await readSecret({ file: options.operatorKey }, '--operator-key'));
  const operator = options.operator ?? didKeyOf(operatorKey.publicKey);
  const operatorMethod = methodFor(operator, 'assertionMethod', operatorKey.publicKey.jkt);
  const agentMethod = methodFor(options.agent, 'capabilityInvocation');
  const token = await issueRootToken({
    operatorKey,
    operator,
    operatorKeyId: operatorMethod.id,
    agent: options.agent,
    agentKey: agentMethod.key,
    agentAlgorithm: chooseAlgorithm(agentMethod, options.alg),
    audience: options.audience,
    details: await readDetails(options),
    issuedAt: Math.floor(Date.now() / 1000),
    lifetimeSeconds: options.lifetime,
    maxDepth: options.maxDepth,
  }).catch((error: unknown) => {
    if (error instanceof z.ZodError)
      throw new CommandError(error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; '));
    throw error;
  });
  print(options, { token, claims: parseRootToken(token).untrustedClaims }, token);
}

function methodFor(did: string, purpose: VerificationMethod['purposes'][number], jkt?: string): VerificationMethod {
  const method = resolveDid(did).verificationMethods.find(
    ({ key, purposes }) => purposes.includes(purpose) && (jkt === undefined || key.jkt === jkt),
  );
  if (method === undefined) throw new CommandError(`${did} has no such key under ${purpose}`);
  return method;
}

function chooseAlgorithm({ key }: VerificationMethod, named: string | undefined): Algorithm {
  const chosen = named === undefined ? key.algorithms[0] : key.algorithms.find((algorithm) => algorithm === named);
  if (chosen === undefined) throw new CommandError(`--alg: the agent's key is for ${key.algorithms.join(' or ')}`);
  return chosen;
}

async function readDetails(options: IssueOptions): Promise<AuthorizationDetails> {
  if (options.details !== undefined) return readDetailsFile(options.details);
  if (!options.tools && options.tool !== undefined)
    throw new UsageError('--no-tools allows no tool at all: leave it out, or leave --tool out');
  const max = {
    ...(options.maxOutputTokens !== undefined && { output_tokens: options.maxOutputTokens }),
    ...(options.maxInputBytes !== undefined && { input_bytes: options.maxInputBytes }),
  };
  const details = {
    type: 'llm_access',
    actions: options.action ?? ['chat'],
    ...(options.model && { models: options.model }),
    ...(options.tools ? options.tool && { tools: options.tool } : { tools: [] }),
    ...(Object.keys(max).length > 0 && { max }),
  };
  return details as AuthorizationDetails;
}

/** Its members are looked at when the token is issued. */
async function readDetailsFile(file: string): Promise<AuthorizationDetails> {
  const text = (await readNamedFile(file)).toString('utf8');
  try {
    return JSON.parse(text) as AuthorizationDetails;
  } catch {
    // The parser's own message quotes the text, and the file may be another than was meant: a key.
    throw new CommandError(`${file} is not JSON: it must hold one authorization_details entry`);
  }
}

async function inspect(argument: string, output: OutputOptions): Promise<void> {
  const compact = await readToken(argument);
  const token = parseRootToken(compact);
  const { iss, iat, exp, client_id } = token.untrustedClaims;
  const now = Date.now() / 1000;
  const problems: string[] = [];
  const method = resolveDid(iss).verificationMethods.find(
    ({ id, purposes }) => id === token.header.kid && purposes.includes('assertionMethod'),
  );
  const verifies =
    method !== undefined &&
    (await compactVerify(compact, method.key.keyObject, { algorithms: [token.header.alg] }).then(
      () => true,
      () => false,
    ));
  if (!verifies) problems.push('the signature does not verify under a key of its issuer');
  if (exp <= now) problems.push('it has expired');
  if (iat > now) problems.push('it was issued in the future');
  if (!resolveDid(client_id).verificationMethods.some(({ key }) => key.jkt === token.untrustedKey.jkt))
    problems.push("cnf.jwk is not a key of the agent's DID");
  const verdict = problems.length === 0 ? 'holds' : `does not hold: ${problems.join('; ')}`;
  const text = [
    JSON.stringify(token.untrustedClaims, undefined, 2),
    `keyid    ${token.untrustedKey.jkt}`,
    `expires  ${new Date(exp * 1000).toISOString()}`,
    verdict,
  ];
  print(
    output,
    { header: token.header, claims: token.untrustedClaims, jkt: token.untrustedKey.jkt, valid: problems.length === 0, problems },
    text.join('\n'),
  );
  if (problems.length > 0) process.exitCode = EXIT.no;
}

async function readToken(argument: string): Promise<string> {
  if (argument === '-') return (await new Response(process.stdin as unknown as ReadableStream).text()).trim();
  if (argument.split('.').length === 3 && argument.startsWith('ey')) return argument;
  return (await readNamedFile(argument)).toString('utf8').trim();
}

function count(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('must be a whole number');
  return Number(text);
}

function duration(text: string): number {
  const match = /^(\d{1,6})([dhms])$/.exec(text);
  if (match === null) throw new InvalidArgumentError('must be a number with d, h, m or s, such as 30d');
  if (Number(match[1]) === 0) throw new InvalidArgumentError('must be longer than nothing');
  return Number(match[1]) * { d: 86_400, h: 3600, m: 60, s: 1 }[match[2] as 'd' | 'h' | 'm' | 's'];
}

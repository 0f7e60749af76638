// `capability issue` and `capability inspect`.

import { type Command, Option } from 'commander';
import { compactVerify } from 'jose';
import { readPrivateKey } from '../crypto/private-key.ts';
import { ALGORITHMS, type Algorithm } from '../crypto/public-key.ts';
import { readSecret } from '../serve/secret.ts';
import { parseRootToken } from '../token/capability-token.ts';
import { issueRootToken } from '../token/issue-root.ts';
import type { VerificationMethod } from '../vault/did-document.ts';
import { didKeyOf } from '../vault/did-key.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import { addGrantOptions, count, duration, type GrantOptions, readDetails } from './grant-options.ts';
import { CommandError, collect, EXIT, type OutputOptions, print, readNamedFile } from './output.ts';

interface IssueOptions extends OutputOptions, GrantOptions {
  operatorKey: string;
  operator?: string;
  agent: string;
  alg?: string;
  audience: string[];
  lifetime: number;
  maxDepth: number;
}

export function addCapabilityCommands(program: Command): void {
  const capability = program
    .command('capability')
    .summary('issue and inspect capabilities')
    .description('What an operator says one of its agents may do.');
  const issuing = capability
    .command('issue')
    .summary('issue a root token to an agent')
    .description("Signs a root token with the operator's key. Prints the token; give it to the agent's sidecar.")
    .requiredOption('--operator-key <file>', "the operator's private key")
    .option('--operator <did>', "the operator's DID; the did:key of its key by default")
    .requiredOption('--agent <did>', "the agent's DID (did:key or did:jwk)")
    .option('--alg <algorithm>', `algorithm that the agent signs with, where its key leaves a choice (${ALGORITHMS.join(', ')})`)
    .requiredOption('--audience <name>', 'name of a gateway it is for; may be repeated', collect);
  addGrantOptions(issuing)
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
  });
  print(options, { token, claims: parseRootToken(token).untrustedClaims }, token);
}

function methodFor(did: string, purpose: VerificationMethod['purposes'][number], jkt?: string): VerificationMethod {
  const method = resolveSelfDescribing(did).verificationMethods.find(
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

async function inspect(argument: string, output: OutputOptions): Promise<void> {
  const compact = await readToken(argument);
  const token = parseRootToken(compact);
  const { iss, iat, exp, client_id } = token.untrustedClaims;
  const now = Date.now() / 1000;
  const problems: string[] = [];
  const method = resolveSelfDescribing(iss).verificationMethods.find(
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
  if (!resolveSelfDescribing(client_id).verificationMethods.some(({ key }) => key.jkt === token.untrustedKey.jkt))
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

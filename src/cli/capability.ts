// `capability issue`, and where the other commands about capabilities hang.

import { type Command, Option } from 'commander';
import { readPrivateKey } from '../crypto/private-key.ts';
import { ALGORITHMS, type Algorithm } from '../crypto/public-key.ts';
import { readSecret } from '../serve/secret.ts';
import { parseRootToken } from '../token/capability-token.ts';
import { issueRootToken } from '../token/issue-root.ts';
import type { VerificationMethod } from '../vault/did-document.ts';
import { didKeyOf } from '../vault/did-key.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import {
  addGrantOptions,
  count,
  duration,
  type GrantOptions,
  readDetails,
  rootLifetime,
  warnOfLifetime,
} from './grant-options.ts';
import { addInspectCommand } from './inspect-capability.ts';
import { addNarrowCommand } from './narrow-capability.ts';
import { CommandError, collect, type OutputOptions, print } from './output.ts';

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
    .summary('issue, narrow and inspect capabilities')
    .description('What an operator says one of its agents may do, and what that agent passes on.')
    .addHelpText('after', '\nExample:\n  hermesbridge capability inspect agent.capability');
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
        .argParser((text) => rootLifetime(duration(text)))
        .default(duration('30d'), '30d'),
    )
    .option('--max-depth <n>', 'how many links may stand below it: sessions, tasks and delegations', count, 0)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      "\nExample:\n  hermesbridge capability issue --operator-key operator.jwk --agent did:key:z6Mk… \\\n    --audience gateway.example --action chat --model 'openai/gpt-5*' --max-output-tokens 4096 > agent.capability",
    )
    .action(issue);
  addInspectCommand(capability);
  addNarrowCommand(capability);
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
  warnOfLifetime(options.lifetime);
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

// `capability narrow`: a link below a chain, minted by hand with the key of its last token.

import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { readPrivateKey } from '../crypto/private-key.ts';
import { ALGORITHMS, type PublicKey } from '../crypto/public-key.ts';
import { readSecret } from '../serve/secret.ts';
import type { AuthorizationDetails } from '../token/authorization-details.ts';
import { findChainFault, readChainForm, tokenName } from '../token/chain-form.ts';
import { mintLink } from '../token/mint-link.ts';
import { addGrantOptions, count, duration, type GrantOptions, readDetails, saysGrant } from './grant-options.ts';
import { CommandError, collect, type OutputOptions, print, UsageError } from './output.ts';
import { chooseAlgorithm, keyOfDid, readPublicKey } from './public-key-file.ts';
import { readTokens } from './read-tokens.ts';

interface NarrowOptions extends OutputOptions, GrantOptions {
  key: string;
  agent?: string;
  boundTo?: string;
  alg?: string;
  audience?: string[];
  /** `true` where no value is given. */
  session?: string | true;
  task?: string | true;
  lifetime?: number;
  maxDepth?: number;
}

export function addNarrowCommand(capability: Command): void {
  const narrow = capability
    .command('narrow')
    .summary('mint a link: a session, a task scope or a delegation')
    .description(
      'Signs a link below the last token of a chain with the key which that token is bound to, offline. What is not said is as in that token, and nothing can be more. Prints the whole chain, a token a line, root first.',
    )
    .argument('<token...>', 'the chain, root first: each token itself, a file that holds them, or - for standard input')
    .requiredOption('--key <file>', 'the private key that the last token is bound to')
    .option('--agent <did>', 'pass the work on to this agent; the same agent by default')
    .option(
      '--bound-to <file>',
      "key that the link is bound to, a private or a public JWK; a did:key's or did:jwk's own by default",
    )
    .addOption(
      new Option('--alg <algorithm>', 'algorithm that the key is used with, where it leaves a choice').choices(ALGORITHMS),
    )
    .option('--audience <name>', "one of the chain's gateways; may be repeated", collect)
    .option('--session [id]', 'open a session, under a new id unless one is given')
    .option('--task [id]', 'for one task, under a new id unless one is given');
  addGrantOptions(narrow, { actions: 'as above it', tools: 'as above it' })
    .addOption(
      new Option(
        '--lifetime <duration>',
        'how long it holds, at most as long as the chain (default: 12h, 15m with --task)',
      ).argParser(duration),
    )
    .option('--max-depth <n>', 'how deep the chain may go', count)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  hermesbridge capability narrow agent.capability --key agent.jwk --agent did:key:z6Mk… \\\n    --action chat --max-output-tokens 500 --task --lifetime 10m > helper.capability',
    )
    .action(mint);
}

async function mint(named: readonly string[], options: NarrowOptions): Promise<void> {
  const tokens = await readTokens(named);
  const chain = readChainForm(tokens);
  assertHolds(chain);
  const last = chain.at(-1) ?? chain[0];
  const { client_id, authorization_details } = last.untrustedClaims;
  const agent = options.agent ?? client_id;
  const key = await readBoundKey(options, agent === client_id ? undefined : agent);
  const link = await mintLink({
    parent: last.compact,
    parentKey: readPrivateKey(await readSecret({ file: options.key }, '--key')),
    agent,
    key,
    algorithm: chooseAlgorithm(key, options.alg),
    details: await narrowedDetails(options, authorization_details[0]),
    issuedAt: Math.floor(Date.now() / 1000),
    lifetimeSeconds: options.lifetime ?? duration(options.task === undefined ? '12h' : '15m'),
    sid: idFor(options.session),
    task: idFor(options.task),
    maxDepth: options.maxDepth,
    ...(options.audience && { audience: options.audience }),
  });
  const longer = [...tokens, link] as const;
  const minted = readChainForm([longer[0], ...longer.slice(1)]);
  assertHolds(minted);
  print(options, { token: link, chain: longer, claims: minted.at(-1)?.untrustedClaims }, longer.join('\n'));
}

function assertHolds(chain: ReturnType<typeof readChainForm>): void {
  const fault = findChainFault(chain);
  if (fault !== undefined) throw new CommandError(`${tokenName(fault.at)} ${fault.why}`);
}

/** @param delegate the other agent's DID, whose own key the link is bound to */
async function readBoundKey({ boundTo }: NarrowOptions, delegate: string | undefined): Promise<PublicKey> {
  if (boundTo !== undefined) return readPublicKey(boundTo);
  if (delegate === undefined) throw new UsageError('name the key of the session with --bound-to, or another agent with --agent');
  return keyOfDid(delegate);
}

async function narrowedDetails(options: NarrowOptions, above: AuthorizationDetails): Promise<AuthorizationDetails> {
  if (!saysGrant(options)) return above;
  const said = await readDetails(options);
  if (options.details !== undefined) return said;
  const { actions, max, ...others } = said;
  const limits = above.max || max ? { max: { ...above.max, ...max } } : {};
  return { ...above, ...others, actions: options.action ? actions : above.actions, ...limits };
}

function idFor(option: string | true | undefined): string | undefined {
  return option === true ? randomBytes(16).toString('base64url') : option;
}

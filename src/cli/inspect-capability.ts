// `capability inspect`: what a chain says, whether it verifies, and which edge of it does not hold.

import type { Command } from 'commander';
import { findUntimely, timesOf } from '../checks/chain/chain-times.ts';
import { findUnsigned, verifies } from '../checks/chain/verify-links.ts';
import { type ChainForm, findChainFault, readAt, readChainForm, tokenName } from '../token/chain-form.ts';
import { bindKey } from '../token/token-form.ts';
import type { DidDocument } from '../vault/did-document.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import { EXIT, type OutputOptions, print } from './output.ts';
import { readTokens } from './read-tokens.ts';

export function addInspectCommand(capability: Command): void {
  capability
    .command('inspect')
    .summary('show what a capability says and whether it verifies')
    .description(
      "Reads a root token and the links below it, and checks form, edges, times and signatures, offline: the root's under its issuer's key, each link's under that of the token above it. Exits 1 when the chain does not hold, and names the token that breaks it. Whether a gateway trusts the issuer is the gateway's to say.",
    )
    .argument('<token...>', 'the tokens, root first: each one itself, a file that holds them, or - for standard input')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  hermesbridge capability inspect agent.capability\n  hermesbridge capability inspect agent.capability session.link',
    )
    .action(inspect);
}

interface Findings {
  readonly problems: string[];
  /** What only a gateway, or `did resolve`, can find out. */
  readonly unseen: string[];
}

async function inspect(named: readonly string[], output: OutputOptions): Promise<void> {
  const chain = readChainForm(await readTokens(named));
  const { problems, unseen } = await lookAt(chain);
  const valid = problems.length === 0 && unseen.length === 0;
  const tokens = chain.map(({ header, untrustedClaims: claims, untrustedJkt: jkt }) => ({ header, claims, jkt }));
  const { expires } = timesOf(chain);
  const shown = tokens.map(({ claims }, at) => {
    const text = JSON.stringify(claims, undefined, 2);
    return chain.length === 1 ? text : `${tokenName(at)}\n${text}`;
  });
  const text = [
    ...shown,
    `keyid    ${tokens.at(-1)?.jkt}`,
    `expires  ${new Date(expires * 1000).toISOString()}`,
    verdict(problems, unseen),
  ];
  print(output, { tokens, valid, problems, unseen }, text.join('\n'));
  if (!valid) process.exitCode = EXIT.no;
}

function verdict(problems: readonly string[], unseen: readonly string[]): string {
  if (problems.length > 0) return `does not hold: ${problems.join('; ')}`;
  return unseen.length > 0 ? `cannot be told offline: ${unseen.join('; ')}` : 'holds';
}

async function lookAt(chain: ChainForm): Promise<Findings> {
  const findings: Findings = { problems: [], unseen: [] };
  const { problems } = findings;
  // All keys, the leaf's too: what is no key makes no sense further on.
  for (const [at, token] of chain.entries()) readAt(at, () => bindKey(token));
  const name = (at: number) => (chain.length === 1 ? 'it' : tokenName(at));
  const faults = [findChainFault(chain), await findUnsigned(chain), findUntimely(timesOf(chain), 0, Date.now())];
  await lookAtIssuer(chain, findings);
  for (const fault of faults) if (fault !== undefined) problems.push(`${name(fault.at)} ${fault.why}`);
  lookAtAgents(chain, findings);
  return findings;
}

async function lookAtIssuer([root]: ChainForm, { problems, unseen }: Findings): Promise<void> {
  const { iss } = root.untrustedClaims;
  if (!isSelfDescribing(iss)) {
    unseen.push(`the signature of the root token, by ${iss}`);
    return;
  }
  const { kid } = root.header;
  const method = documentOf(iss)?.verificationMethods.find(({ id }) => id === (kid.startsWith('#') ? `${iss}${kid}` : kid));
  if (method === undefined || !(await verifies(root, method.key)))
    problems.push('the signature does not verify under a key of its issuer');
}

function lookAtAgents(chain: ChainForm, { problems, unseen }: Findings): void {
  for (const [at, { untrustedClaims, untrustedJkt }] of chain.entries()) {
    const { client_id } = untrustedClaims;
    if (client_id === chain[at - 1]?.untrustedClaims.client_id) continue;
    const whose = at === 0 ? "the agent's DID" : `the DID of the agent of ${tokenName(at)}`;
    if (!isSelfDescribing(client_id)) unseen.push(`whether cnf.jwk is a current key of ${client_id}`);
    else if (!documentOf(client_id)?.verificationMethods.some(({ key }) => key.jkt === untrustedJkt))
      problems.push(`cnf.jwk is not a key of ${whose}`);
  }
}

function isSelfDescribing(did: string): boolean {
  return /^did:(?:key|jwk):/.test(did);
}

function documentOf(did: string): DidDocument | undefined {
  try {
    return resolveSelfDescribing(did);
  } catch {
    return undefined;
  }
}

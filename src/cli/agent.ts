// `agent`: the agents of an operator, from registration to the end.

import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { Algorithm } from '../crypto/public-key.ts';
import { deactivateAgent } from '../operator/deactivate-agent.ts';
import { registerAgent } from '../operator/register-agent.ts';
import { renewAgent } from '../operator/rotate-agent.ts';
import {
  type AgentGrantOptions,
  addAgentGrantOptions,
  capabilityLines,
  capabilityView,
  givenGrant,
  KEY_HELP,
  readKeyOption,
} from './agent-options.ts';
import { addRotateCommand } from './agent-rotate.ts';
import { addAgentViews } from './agent-views.ts';
import { days, readDetails, warnOfLifetime } from './grant-options.ts';
import { addHomeOptions, fileOption, type HomeOptions, operatorTools } from './home-options.ts';
import { algorithmOption } from './operator.ts';
import { CommandError, print, UsageError } from './output.ts';

interface RegisterOptions extends HomeOptions, AgentGrantOptions {
  audience: string[];
  algorithm: Algorithm;
  out?: string;
  key?: string;
}

const DEFAULT_LIFETIME = days('30');

export function addAgentCommands(program: Command): void {
  const agent = program
    .command('agent')
    .summary('register, look at, rotate and deactivate agents')
    .description(
      "An operator's agents: each has a DID in the vault, a key of its own, and a capability that says what it may do.",
    )
    .addHelpText('after', '\nExample:\n  hermesbridge agent register reader --audience gateway.example --model openai/gpt-5*');
  const registering = addHomeOptions(agent.command('register'))
    .summary('register an agent and issue its capability')
    .description(
      "Makes an agent's key, registers its DID with the operator as controller, and issues its capability. A run that was cut short is repeated with the same command.",
    )
    .argument('<name>', 'name of the agent in the vault: a-z, 0-9 and "-"')
    .addOption(algorithmOption("algorithm of the agent's key").default('Ed25519'))
    .option('--out <dir>', "where the sidecar reads key.jwk and capability; the agent's folder in the home by default")
    .option('--key <file>', KEY_HELP);
  addAgentGrantOptions(registering)
    .addHelpText(
      'after',
      "\nExample:\n  hermesbridge agent register reader --audience gateway.example --model 'openai/gpt-5*' --out /etc/hermesbridge/reader",
    )
    .action(register);
  addAgentViews(agent);
  addRotateCommand(agent);
  const renewing = addHomeOptions(agent.command('renew'))
    .summary('issue the capability again, for the same key')
    .description(
      'Issues the capability of an agent anew, with the time that it holds counted from now. What it allows is as before; any grant option replaces all of that.',
    )
    .argument('<name>', 'the agent');
  addAgentGrantOptions(renewing).addHelpText('after', '\nExample:\n  hermesbridge agent renew reader --days 30').action(renew);
  addHomeOptions(agent.command('deactivate'))
    .summary('end an agent for good')
    .description("Publishes the last entry of the agent's log: no key of it holds any more. It cannot be taken back.")
    .argument('<name>', 'the agent')
    .option('--yes', 'without asking')
    .addHelpText('after', '\nExample:\n  hermesbridge agent deactivate reader')
    .action(deactivate);
}

async function register(name: string, options: RegisterOptions): Promise<void> {
  const { audience, algorithm, days: lifetimeSeconds = DEFAULT_LIFETIME, maxDepth = 0 } = options;
  const grant = { audience, details: await readDetails(options), lifetimeSeconds, maxDepth };
  const tools = operatorTools(options);
  warnOfLifetime(lifetimeSeconds);
  const key = await readKeyOption(options.key);
  const made = await registerAgent({ name, grant, algorithm, key, directory: fileOption(options.out) }, tools);
  const { did } = made.agent;
  const text = [
    `agent       ${did}`,
    `version     ${made.versionId}`,
    `key         ${made.keyFile ?? 'kept where it is'} (${made.keyId})`,
    ...capabilityLines(made.capability),
    '',
    `Give the sidecar these files: sign.key and sign.capability.`,
    'The key needs no backup: if it is lost, `hermesbridge agent rotate` replaces it. What that takes is the one backup of the operator,',
    `${tools.files.recoveryKey}: it covers this agent too.`,
  ];
  print(
    options,
    {
      name,
      did,
      versionId: made.versionId,
      keyId: made.keyId,
      keyFile: made.keyFile ?? null,
      ...capabilityView(made.capability),
      backUp: tools.files.recoveryKey,
    },
    text.join('\n'),
  );
}

async function renew(name: string, options: HomeOptions & AgentGrantOptions): Promise<void> {
  const { agent, capability } = await renewAgent({ name, grant: await givenGrant(options) }, operatorTools(options));
  print(
    options,
    { name, did: agent.did, ...capabilityView(capability) },
    [`agent       ${agent.did}`, ...capabilityLines(capability)].join('\n'),
  );
}

async function deactivate(name: string, options: HomeOptions & { yes?: boolean }): Promise<void> {
  if (!options.yes) await confirm(name);
  const { did, versionId } = await deactivateAgent(name, operatorTools(options));
  print(options, { name, did, versionId, deactivated: true }, `${did}\ndeactivated with version ${versionId}`);
}

async function confirm(name: string): Promise<void> {
  if (!process.stdin.isTTY)
    throw new UsageError('this ends the agent for good: confirm it with --yes, since there is no terminal to ask on');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`This ends ${name} for good, and every request of it. Type its name to go on: `);
    if (answer.trim() !== name) throw new CommandError('nothing was changed: that is not its name');
  } finally {
    terminal.close();
  }
}

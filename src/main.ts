#!/usr/bin/env node
// The program: its commands, and what happens to what nobody caught.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addAgentCommands } from './cli/agent.ts';
import { addCapabilityCommands } from './cli/capability.ts';
import { addDelegateCommand } from './cli/delegate.ts';
import { addDidCommands } from './cli/did.ts';
import { addEventCommands } from './cli/events.ts';
import { addKeyCommands } from './cli/keys.ts';
import { addOperatorCommands } from './cli/operator.ts';
import { EXIT, fail } from './cli/output.ts';
import { addRecordCommands } from './cli/records.ts';
import { addRestrictCommands } from './cli/restrict.ts';
import { addRestrictionsCommands } from './cli/restrictions.ts';
import { addRunCommands, surviveUncaught } from './cli/run.ts';
import { addSessionCommands } from './cli/session.ts';
import { addRequestCommands } from './cli/sign-verify.ts';
import { addTreeCommand } from './cli/tree.ts';
import { addVaultCommands } from './cli/vault.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

const program = new Command('hermesbridge')
  .description('Identity, capability and record for every LLM call an agent makes: an ext_authz service for stock Envoy.')
  .version(version)
  .showHelpAfterError('(add --help for what it takes)')
  .enablePositionalOptions()
  .exitOverride();
addRunCommands(program);
addKeyCommands(program);
addDidCommands(program);
addOperatorCommands(program);
addAgentCommands(program);
addCapabilityCommands(program);
addDelegateCommand(program);
addRestrictCommands(program);
addRestrictionsCommands(program);
addSessionCommands(program);
addTreeCommand(program);
addRequestCommands(program);
addRecordCommands(program);
addVaultCommands(program);
addEventCommands(program);

surviveUncaught();
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else fail(error, { json: process.argv.includes('--json') });
}

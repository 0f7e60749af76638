#!/usr/bin/env node
// The program: its commands, and what happens to what nobody caught.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addCommands } from './cli/commands.ts';
import { shieldIdentifier } from './cli/dashed-identifier.ts';
import { EXIT, fail } from './cli/output.ts';
import { surviveUncaught } from './cli/survive-uncaught.ts';

// Before the first thread is made: half of them look names up, and verify what is slower than Ed25519.
process.env.UV_THREADPOOL_SIZE ??= '16';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

const program = new Command('hermesbridge')
  .description('Identity, capability and record for every LLM call an agent makes: an ext_authz service for stock Envoy.')
  .version(version)
  .addHelpText('after', '\nExample:\n  hermesbridge up --config gateway.yaml')
  .showHelpAfterError('(add --help for what it takes)')
  .enablePositionalOptions()
  .exitOverride();
surviveUncaught();
try {
  const words = shieldIdentifier(process.argv.slice(2));
  await addCommands(program, words);
  await program.parseAsync(words, { from: 'user' });
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else fail(error, { json: process.argv.includes('--json') });
}

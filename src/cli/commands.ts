// All commands. Only the code of the one that was asked for is loaded: most of the time that a short command takes is loading.

import type { Command } from 'commander';

type Add = (program: Command) => void;

/** The order is that of the help. */
const COMMANDS: readonly (readonly [words: readonly string[], load: () => Promise<Add>])[] = [
  [['serve', 'up', 'envoy', 'config'], async () => (await import('./run.ts')).addRunCommands],
  [['keygen'], async () => (await import('./keys.ts')).addKeyCommands],
  [['did'], async () => (await import('./did.ts')).addDidCommands],
  [['operator'], async () => (await import('./operator.ts')).addOperatorCommands],
  [['agent'], async () => (await import('./agent.ts')).addAgentCommands],
  [['capability'], async () => (await import('./capability.ts')).addCapabilityCommands],
  [['delegate'], async () => (await import('./delegate.ts')).addDelegateCommand],
  [['revoke', 'narrow'], async () => (await import('./restrict.ts')).addRestrictCommands],
  [['restrictions'], async () => (await import('./restrictions.ts')).addRestrictionsCommands],
  [['session'], async () => (await import('./session.ts')).addSessionCommands],
  [['tree'], async () => (await import('./tree.ts')).addTreeCommand],
  [['sign', 'verify'], async () => (await import('./sign-verify.ts')).addRequestCommands],
  [['records'], async () => (await import('./records.ts')).addRecordCommands],
  [['vault'], async () => (await import('./vault.ts')).addVaultCommands],
  [['events'], async () => (await import('./events.ts')).addEventCommands],
];

/** Those of the first word, or all of them where it is the name of none: for help, and for the error that names what is near. */
export async function addCommands(program: Command, [word = '']: readonly string[]): Promise<void> {
  const asked = COMMANDS.filter(([words]) => words.includes(word));
  for (const [, load] of asked.length > 0 ? asked : COMMANDS) (await load())(program);
}
